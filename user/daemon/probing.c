// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/probing.h"

#include <errno.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/lightly.h"
#include "daemon/traced.h"

#define YOUNG_NS                                                                                   \
	NS_PER_SECOND /* for so long a program is loading the libraries that it begins with */

/* Tells the kernel what an instance has mapped by now; pid: one of its processes. A vfork child is asked about by its parent's
 * pid: once it executes something else, its mappings are no longer the instance's. Any thread, without the lock. */
void probing_follow_instance(struct tracing *t, instance_id instance, pid_t pid, enum probing how)
{
	const struct traced *p;
	struct diag d = {0};
	int err;

	if (!t->unwinder || !instance)
		return;
	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->traced, instance);
	if (p)
		pid = p->pid;
	pthread_mutex_unlock(&t->lock);
	err = how == PROBING_ASKED     ? unwinder_answer(t->unwinder, pid, instance, &d)
	      : how == PROBING_QUICKLY ? unwinder_update_quickly(t->unwinder, pid, instance, &d)
				       : unwinder_update(t->unwinder, pid, instance, &d);
	if (err == -EINPROGRESS)
		tables_want(&t->tables, instance, pid);
	else if (err && err != -ESRCH && !t->quiet)
		log_info("%s", d.text);
}

void probing_follow(struct tracing *t, pid_t pid, enum probing how)
{
	probing_follow_instance(t, kernel_instance(t->kernel, pid, NULL), pid, how);
}

/* Where many come and go: from now on its allocations are counted. */
void probing_tell(const struct tracing *t, pid_t pid, const char *comm)
{
	if (t->is_wanted && !t->quiet)
		log_info("tracing process %d (%s)", pid, comm);
}

/* A program that began a moment ago had not yet loaded its allocator when it was first looked at. */
static void first_probes(struct tracing *t, pid_t pid)
{
	uint64_t now_ns = clock_monotonic_ns(), since_ns = 0;
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->by_pid, pid);
	if (p && p->pid != pid)
		p = NULL;
	if (p && kernel_instance(t->kernel, pid, NULL) != p->instance) {
		p->ahead_ns = now_ns;
	} else if (p) {
		p->probed_ns = t->launched ? 0 : now_ns;
		since_ns = p->since_ns ? p->since_ns : p->young_ns;
	}
	/* What is probed anew after all of its first second was seen, it has loaded just now. */
	if (since_ns && (p->since_ns || t->drained_ns < since_ns + YOUNG_NS)) {
		p->seen_from_seconds = (double)(now_ns - since_ns) / NS_PER_SECOND;
		p->since_ns = 0;
		probing_tell(t, p->pid, p->comm);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Probes what is new in a process; one that has ended meanwhile is no loss. Any thread, without the lock. */
void probing_update(struct tracing *t, pid_t pid)
{
	struct diag d = {0};
	int err;

	/* First, so that no stack is taken by what is not known yet; and whom we stop ourselves waits for it. */
	if (lightly_is_walked(t, pid))
		probing_follow(t, pid, t->launched ? PROBING_WHOLLY : PROBING_QUICKLY);
	if (t->growth)
		return;
	err = cover_update(t->cover, pid, &d);
	if (err > 0)
		first_probes(t, pid);
	if (err >= 0 || err == -ESRCH)
		return;
	t->n_unprobed++;
	if (!t->quiet)
		log_info("%s", d.text);
}
