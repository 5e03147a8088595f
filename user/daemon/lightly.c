// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/lightly.h"

#include <stdlib.h>

#include "base/clock.h"
#include "daemon/traced.h"
#include "symbol/symbolize.h"

#define YOUNG_NS NS_PER_SECOND

struct traced *lightly_keep(struct tracing *t, struct traced *p, struct traced *parent)
{
	p->young_ns = clock_monotonic_ns();
	if (parent) {
		traced_inherit(p, parent);
		p->walked = parent->walked;
	}
	if (hashmap_put(&t->traced, p->instance, p)) {
		free(p);
		return NULL;
	}
	hashmap_put(&t->by_pid, p->pid, p);
	if (parent) {
		p->lender = parent;
		parent->n_borrowers++;
	}
	return p;
}

void lightly_renamed(struct tracing *t, struct traced *p, const char *name)
{
	struct identity id;
	struct diag d = {0};
	bool described = !identity_read(p->pid, &id, &d);

	pthread_mutex_lock(&t->lock);
	p->comm = strings_intern(&t->strings, name);
	if (described)
		traced_describe(t, p, &id);
	pthread_mutex_unlock(&t->lock);
}

/* One that is gone cannot be read any more: its parent's names are the best there is. Caller holds the lock. */
static void stop_borrowing(struct tracing *t, struct traced *p)
{
	struct traced *lender = p->lender;

	lightly_own_space(t, p);
	if (!p->space)
		return;
	if (traced_refresh(t, p) && lender) {
		address_space_destroy(p->space);
		p->space = NULL;
		return;
	}
	p->lender = NULL;
	if (lender && --lender->n_borrowers == 0 && lender->forgotten)
		traced_release(lender);
}

void lightly_look(struct tracing *t, struct traced *p)
{
	struct identity id;
	struct diag d = {0};
	bool described = !identity_read(p->pid, &id, &d);

	pthread_mutex_lock(&t->lock);
	p->walked = true;
	if (described) {
		traced_describe(t, p, &id);
		stop_borrowing(t, p);
	}
	pthread_mutex_unlock(&t->lock);
}

void lightly_own_space(struct tracing *t, struct traced *p)
{
	if (!p->space && address_space_create(t->symbolizer, p->pid, &p->space))
		p->space = NULL;
}

void lightly_grow_up(struct tracing *t, bool all)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct traced *p;
	size_t cursor = 0;

	if (!all && now_ns - t->grown_ns < YOUNG_NS)
		return;
	t->grown_ns = now_ns;
	while ((p = hashmap_next(&t->by_pid, &cursor, NULL))) {
		struct identity id;
		struct diag d = {0};

		if (!p->young_ns || (!all && now_ns - p->young_ns < YOUNG_NS))
			continue;
		p->young_ns = 0;
		if (!identity_read(p->pid, &id, &d))
			traced_describe(t, p, &id);
		hashmap_put(&t->touched, p->pid, p);
	}
}

bool lightly_is_walked(struct tracing *t, pid_t pid)
{
	const struct traced *p;
	bool walked;

	if (!t->everything)
		return true;
	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->by_pid, pid);
	walked = p && p->walked;
	pthread_mutex_unlock(&t->lock);
	return walked;
}
