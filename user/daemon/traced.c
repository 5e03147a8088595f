// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/traced.h"

#include <errno.h>
#include <stdlib.h>

#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "base/clock.h"
#include "daemon/lightly.h"
#include "daemon/tracing.h"
#include "process/identity.h"
#include "process/maps.h"
#include "symbol/symbolize.h"

/* What replaces code from now on does so in this version, at the latest. Caller holds the lock, and has read the mappings, or a record of
 * one, before. */
static void date_mappings(struct tracing *t, struct traced *p)
{
	if (t->unwinder)
		address_space_set_version(p->space, unwinder_version(t->unwinder, p->instance));
}

int traced_refresh(struct tracing *t, struct traced *p)
{
	struct maps maps = {0};
	struct diag d = {0};
	int err = maps_read(p->pid, &maps, &d);

	/* It may run another program by now, whose exec was not told yet. */
	if (!err && t->unwinder && kernel_instance(t->kernel, p->pid, NULL) != p->instance)
		err = -ESRCH;
	/* As when its first thread has ended, and others have not: what it had mapped still names their stacks. */
	if (!err && !maps.n)
		err = -ESRCH;
	date_mappings(t, p);
	if (!err)
		err = address_space_update(p->space, &maps);
	maps_done(&maps);
	return err;
}

void traced_add_mapping(struct tracing *t, struct traced *p, const struct mapping *m)
{
	if (t->unwinder && address_space_conflicts(p->space, m) && !traced_refresh(t, p))
		return;
	date_mappings(t, p);
	address_space_add(p->space, m);
}

void traced_free(struct traced *p)
{
	if (!p->lender)
		address_space_destroy(p->space);
	free(p);
}

static const char *known(struct tracing *t, const char *text)
{
	return text[0] ? strings_intern(&t->strings, text) : NULL;
}

static void describe_container(struct tracing *t, struct traced *p, const struct identity *id)
{
	struct container_names names;

	containers_find(&t->containers, id->container, &names);
	p->container = known(t, id->container);
	p->container_name = known(t, names.name);
	p->pod = known(t, names.pod);
	p->namespace_ = known(t, names.namespace_);
	p->pod_uid = known(t, id->pod_uid);
	p->namespace_pid = id->ns_pid != id->pid ? id->ns_pid : 0;
}

void traced_describe(struct tracing *t, struct traced *p, const struct identity *id)
{
	p->comm = strings_intern(&t->strings, id->comm);
	p->exe = strings_intern(&t->strings, id->exe);
	p->cgroup = known(t, id->cgroup);
	describe_container(t, p, id);
	p->limit_bytes = id->limit_bytes;
	if (p->start_boottime_ns == id->start_boottime_ns)
		return;
	p->start_boottime_ns = id->start_boottime_ns;
	p->start_real_ns = id->start_real_ns;
}

double traced_age_seconds(const struct traced *p)
{
	uint64_t now_ns = clock_boottime_ns();

	return now_ns > p->start_boottime_ns
		       ? (double)(now_ns - p->start_boottime_ns) / NS_PER_SECOND
		       : 0;
}

void traced_inherit(struct traced *p, const struct traced *parent)
{
	p->comm = parent->comm;
	p->exe = parent->exe;
	p->cgroup = parent->cgroup;
	p->container = parent->container;
	p->container_name = parent->container_name;
	p->pod = parent->pod;
	p->namespace_ = parent->namespace_;
	p->pod_uid = parent->pod_uid;
}

struct traced *traced_create(struct tracing *t, instance_id instance, pid_t pid,
			     struct traced *lender)
{
	struct traced *p = calloc(1, sizeof(*p));
	struct identity id;
	struct diag d = {0};

	if (!p)
		return NULL;
	p->instance = instance;
	p->pid = pid;
	p->start_boottime_ns = clock_boottime_ns();
	p->start_real_ns = clock_realtime_ns();
	if (t->everything)
		return lightly_keep(t, p, lender);
	/* By now its pid may be another process's, or it runs another program. */
	if (!identity_read(pid, &id, &d) && kernel_instance(t->kernel, pid, NULL) == instance)
		traced_describe(t, p, &id);
	else if (lender)
		traced_inherit(p, lender);
	if (address_space_create(t->symbolizer, pid, &p->space) ||
	    hashmap_put(&t->traced, instance, p)) {
		traced_free(p);
		return NULL;
	}
	hashmap_put(&t->by_pid, pid, p);
	/* A child that is gone already had the same files in the same places as its parent when it was forked. */
	if (traced_refresh(t, p) && lender && lender->space) {
		address_space_destroy(p->space);
		p->space = lender->space;
		p->lender = lender;
		lender->n_borrowers++;
	}
	return p;
}

struct traced *traced_now(struct tracing *t, pid_t pid)
{
	instance_id instance = kernel_instance(t->kernel, pid, NULL);
	struct traced *p = hashmap_get(&t->traced, instance);

	return p || !instance ? p : traced_create(t, instance, pid, NULL);
}

struct address_space *traced_space(const struct traced *p)
{
	while (!p->space && p->lender)
		p = p->lender;
	return p->space;
}

void traced_release(struct traced *p)
{
	struct traced *lender = p->lender;

	p->forgotten = true;
	if (p->n_borrowers)
		return;
	traced_free(p);
	if (lender && --lender->n_borrowers == 0 && lender->forgotten)
		traced_release(lender);
}

void traced_drop_pids(struct tracing *t, const struct traced *p)
{
	const struct traced *other;
	size_t cursor = 0;
	uint64_t pid;

	if (hashmap_get(&t->by_pid, p->pid) == p)
		hashmap_take(&t->by_pid, p->pid);
	/* The event of a vfork child's end may come after the end. */
	while (p->lent_memory && (other = hashmap_next(&t->by_pid, &cursor, &pid)))
		if (other == p) {
			hashmap_take(&t->by_pid, pid);
			cursor = 0; /* the table has changed */
		}
}
