// SPDX-License-Identifier: BSD-2-Clause
#include "cli/triage_pick.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/vec.h"
#include "cli/options.h"
#include "process/identity.h"

#define LOOK_NS 1000000000

struct candidate {
	pid_t pid;
	char comm[64];
	uint64_t before_bytes, bytes;
};

struct candidates {
	struct candidate *items;
	size_t n, cap;
};

static int note(void *arg, const struct identity *id)
{
	struct candidates *all = arg;
	struct candidate c = {.pid = id->pid};

	memcpy(c.comm, id->comm, sizeof(c.comm));
	if (identity_rss(c.pid, &c.before_bytes))
		return 0;
	c.bytes = c.before_bytes;
	return vec_push(all, c);
}

static int64_t growth(const struct candidate *c)
{
	return (int64_t)(c->bytes - c->before_bytes);
}

static const struct candidate *worst(const struct candidates *all)
{
	const struct candidate *worst = &all->items[0];

	for (size_t i = 1; i < all->n; i++) {
		const struct candidate *c = &all->items[i];

		if (growth(c) > growth(worst) ||
		    (growth(c) == growth(worst) && c->bytes > worst->bytes))
			worst = c;
	}
	return worst;
}

int triage_pick(const struct triage_options *o, pid_t *ret, struct diag *d)
{
	struct timespec look = {.tv_sec = LOOK_NS / 1000000000};
	struct candidates all = {0};
	int err;

	if (o->pids.n) {
		*ret = o->pids.items[0];
		return 0;
	}
	err = selector_each(&o->select, note, &all, d);
	if (!err && !all.n)
		err = diag_set_hint(d, ESRCH, EXIT_RUNTIME,
				    "'seep watch -a' lists processes and their cgroups",
				    "no process matches");
	if (!err && all.n > 1) {
		nanosleep(&look, NULL);
		for (size_t i = 0; i < all.n; i++)
			identity_rss(all.items[i].pid, &all.items[i].bytes);
	}
	if (!err) {
		const struct candidate *c = worst(&all);

		*ret = c->pid;
		if (all.n > 1 && !o->quiet)
			log_info("of %zu processes that match, %d (%s) %s", all.n, c->pid, c->comm,
				 growth(c) > 0 ? "grows most"
					       : "is the largest; none grows just now");
	}
	free(all.items);
	return err == -ENOMEM && !d->text[0] ? diag_set(d, ENOMEM, "out of memory") : err;
}
