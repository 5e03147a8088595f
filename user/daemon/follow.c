// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "collect/collector.h"
#include "daemon/tracing.h"

/* A process that is not traced, as of its events since the last look. */
struct stranger {
	uint64_t exec_ns; /* CLOCK_MONOTONIC, 0: it runs the same program as before */
	char name[16];	  /* its new one, which /proc may not show yet; "": the same as before */
};

static void on_stranger(void *arg, const struct collector_event *e)
{
	struct follow *f = arg;
	struct stranger *s = hashmap_get(&f->strangers, e->pid);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || hashmap_put(&f->strangers, e->pid, s)) {
			free(s);
			f->n_lost--; /* as if the event had been lost: /proc is looked through */
			return;
		}
	}
	if (e->name[0])
		memcpy(s->name, e->name, sizeof(s->name));
	if (e->execed)
		s->exec_ns = e->time_ns;
}

/* Of one that is gone already only its name is known: enough where nothing else was asked for. */
static bool is_wanted(void *arg, pid_t pid, const char *name)
{
	struct follow *f = arg;
	struct selector rest = *f->selector;
	struct diag d = {0};
	struct identity id;

	if (!identity_read(pid, &id, &d))
		return selector_matches(f->selector, &id);
	rest.comm_glob = NULL;
	id = (struct identity){.pid = pid};
	snprintf(id.comm, sizeof(id.comm), "%s", name);
	if (*name && selector_is_empty(&rest))
		return selector_matches(f->selector, &id);
	f->n_vanished++;
	return false;
}

/* Trouble with one process is that one's. Returns 0 or what stops everything. */
static int attach(struct follow *f, const struct identity *id, uint64_t since_ns)
{
	struct tracing *t = f->tracing;
	struct diag d = {0};
	int err = tracing_begin(t, id, since_ns, &d);

	if (!err) {
		f->n_attached++;
		return 0;
	}
	if (err == -ESRCH) {
		f->n_vanished++;
	} else if (err != -EEXIST) {
		t->n_unprobed++;
		if (!t->quiet)
			log_info("%s", d.text);
	}
	return err == -ENOMEM ? err : 0;
}

static int visit(void *arg, const struct identity *id)
{
	struct follow *f = arg;

	return tracing_is_traced(f->tracing, id->pid) ? 0 : attach(f, id, 0);
}

static int look_through(struct follow *f, struct diag *d)
{
	return selector_each(f->selector, visit, f, d);
}

int follow_start(struct follow *f, const struct selector *selector, struct tracing *t,
		 struct diag *d)
{
	int err;

	f->tracing = t;
	f->selector = selector;
	/* The kernel side tells of strangers since before this look. */
	if (!selector->everything) {
		t->on_stranger = on_stranger;
		t->is_wanted = is_wanted;
		t->select_arg = f;
	}
	err = look_through(f, d);
	if (err)
		return d->text[0] ? err : diag_set(d, -err, "%s", strerror(-err));
	if (!t->quiet && !f->n_attached)
		log_info("no process matches yet: waiting for one; Ctrl-C ends this");
	else if (!t->quiet)
		log_info("tracing %llu processes; Ctrl-C for the last report",
			 (unsigned long long)f->n_attached);
	return 0;
}

/* A process of this name: a cut one may be any that begins so. */
static bool may_match(const struct follow *f, pid_t pid, const char *name)
{
	const struct selector by_name = {.comm_glob = f->selector->comm_glob};
	struct identity id = {.pid = pid};

	snprintf(id.comm, sizeof(id.comm), "%s", name);
	return !*name || strlen(name) == sizeof(((struct stranger *)0)->name) - 1 ||
	       selector_matches(&by_name, &id);
}

static int judge(struct follow *f, pid_t pid, const struct stranger *s)
{
	struct diag d = {0};
	struct identity id;

	if (identity_read(pid, &id, &d)) {
		f->n_vanished += may_match(f, pid, s->name);
		return 0;
	}
	if (s->name[0])
		strcpy(id.comm, s->name);
	if (!selector_matches(f->selector, &id)) {
		/* It was taken for what it was before its exec. */
		if (s->exec_ns && tracing_is_traced(f->tracing, pid))
			tracing_dismiss(f->tracing, pid);
		return 0;
	}
	return tracing_is_traced(f->tracing, pid) ? 0 : attach(f, &id, s->exec_ns);
}

int follow_settle(struct follow *f, struct diag *d)
{
	struct stranger *s;
	size_t cursor = 0;
	uint64_t pid, n_lost;
	int err = 0;

	if (!f->tracing)
		return 0;
	while ((s = hashmap_next(&f->strangers, &cursor, &pid))) {
		if (!err)
			err = judge(f, pid, s);
		free(s);
	}
	hashmap_done(&f->strangers);
	n_lost = collector_lost_strangers(f->tracing->collector) +
		 (f->selector->everything ? collector_lost_events(f->tracing->collector) : 0);
	if (!err && n_lost != f->n_lost) {
		f->n_lost = n_lost;
		err = look_through(f, d);
	}
	return err && !d->text[0] ? diag_set(d, -err, "%s", strerror(-err)) : err;
}

int follow_recheck(struct follow *f, struct diag *d)
{
	if (!f->tracing || !f->selector->user)
		return 0;
	return look_through(f, d);
}

void follow_done(struct follow *f)
{
	size_t cursor = 0;
	struct stranger *s;

	while ((s = hashmap_next(&f->strangers, &cursor, NULL)))
		free(s);
	hashmap_done(&f->strangers);
}
