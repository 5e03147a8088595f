// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/events.h"

#include "attach/cover.h"
#include "attach/kernel.h"
#include "base/clock.h"
#include "base/log.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "daemon/lightly.h"
#include "daemon/probing.h"
#include "daemon/traced.h"
#include "process/maps.h"
#include "symbol/symbolize.h"

/* A new executable mapping somewhere on the host. */
void events_on_mapping(void *arg, pid_t pid, const struct mapping *m)
{
	struct tracing *t = arg;
	struct traced *p, *now;

	pthread_mutex_lock(&t->lock);
	now = hashmap_get(&t->by_pid, pid);
	p = now ? now : hashmap_get(&t->leaving, pid);
	if (p && t->everything && p->pid == pid && !p->lender)
		lightly_own_space(t, p);
	if (p && p->pid == pid && p->space && !p->lender)
		traced_add_mapping(t, p, m);
	pthread_mutex_unlock(&t->lock);
	/* Looked at once after the drain, however many mappings come. */
	if (now)
		hashmap_put(m->inode ? &t->touched : &t->generating, pid, now);
}

/* Probes a process after an event in it. late: its probes did not stand before. Between two programs a process maps nothing that
 * could be probed: the exec's event comes then. */
static void cover(struct tracing *t, struct traced *p, const struct collector_event *e, bool late)
{
	bool current = kernel_instance(t->kernel, e->pid, NULL) == e->instance;
	uint64_t now_ns;

	/* What is there instead of one that is gone has an event of its own. */
	if (current)
		probing_update(t, e->pid);
	now_ns = clock_monotonic_ns();
	if (!p)
		return;
	/* The kernel follows what grows by itself. Else it is 0, or known from the first file of the new program that was not probed
	 * before. */
	if (late && !t->growth)
		p->seen_from_seconds = (double)(now_ns - e->time_ns) / NS_PER_SECOND;
	p->probed_ns = late ? now_ns : 0;
	p->covered_ns = current && cover_count(t->cover, e->pid) ? now_ns : 0;
	p->since_ns = late && !p->covered_ns ? e->time_ns : 0;
}

/* What an event says that a process is from now on. The launcher's thread may have seen it before, or even what it is after that: then
 * further events will say so. Caller holds the lock. */
static struct traced *traced_event(struct tracing *t, const struct collector_event *e,
				   struct traced *lender)
{
	struct traced *p = hashmap_get(&t->traced, e->instance);

	if (!p)
		return traced_create(t, e->instance, e->pid, lender);
	hashmap_put(&t->by_pid, e->pid, p);
	return p;
}

/* Without the launcher a child runs on while we hear of it: what it did before its probes stood is not seen. A perf link sees
 * all that use a process's memory; a second one for a vfork child would count everything twice. */
static void on_fork(struct tracing *t, const struct collector_event *e)
{
	struct traced *p = NULL;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->traced, e->instance);
	if (e->shares_memory) {
		/* While one of them lives, what it borrowed is reported. */
		if (p) {
			p->lent_memory = true;
			hashmap_put(&t->by_pid, e->pid, p);
		}
		p = NULL;
	} else {
		p = traced_event(t, e, hashmap_get(&t->traced, e->other));
	}
	pthread_mutex_unlock(&t->lock);
	if (t->launched || t->everything ||
	    (e->shares_memory && kernel_link(t->kernel) == LINK_PERF))
		return;
	cover(t, p, e, true);
}

/* Its probes hang on a thread that ended, usually the first one. What they missed before they hang on another one is a loss. */
static void follow_threads(struct tracing *t, pid_t pid)
{
	struct diag d = {0};
	int missed = t->growth ? 0 : cover_follow(t->cover, pid, &d);
	struct traced *p;

	if (!missed)
		return;
	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->by_pid, pid);
	if (p)
		p->n_bereft++;
	pthread_mutex_unlock(&t->lock);
	if (missed < 0 && !t->quiet)
		log_info("%s", d.text);
}

static void on_bereft(struct tracing *t, pid_t pid)
{
	struct traced *p;

	follow_threads(t, pid);
	/* What was mapped meanwhile could not be probed. */
	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->by_pid, pid);
	if (p)
		hashmap_put(&t->touched, pid, p);
	pthread_mutex_unlock(&t->lock);
}

/* After an exec, of a process that the user may not want any more. */
static bool unwanted(struct tracing *t, const struct collector_event *e)
{
	if (!t->is_wanted || t->is_wanted(t->select_arg, e->pid, e->name))
		return false;
	tracing_dismiss(t, e->pid);
	return true;
}

/* Probes that stood before follow their process into the new program. */
static void on_exec(struct tracing *t, const struct collector_event *e)
{
	const struct traced *before;
	uint32_t leader = 0;
	struct traced *p;
	bool late;

	pthread_mutex_lock(&t->lock);
	before = hashmap_get(&t->by_pid, e->pid);
	late = !t->launched && (!before || before->pid != (pid_t)e->pid || !before->covered_ns ||
				before->covered_ns > e->time_ns);
	p = traced_event(t, e, NULL);
	if (p && !t->launched && !t->everything)
		p->young_ns = e->time_ns;
	/* By another thread than its first one: what its probes hung on is gone. */
	kernel_instance(t->kernel, e->pid, &leader);
	late |= !t->launched && leader == e->instance;
	if (p && before && before != p && before->ahead_ns > e->time_ns) {
		p->seen_from_seconds = (double)(before->ahead_ns - e->time_ns) / NS_PER_SECOND;
		probing_tell(t, p->pid, p->comm);
	}
	/* It was gone before it could be looked at. */
	if (p && !p->comm && e->name[0])
		p->comm = strings_intern(&t->strings, e->name);
	pthread_mutex_unlock(&t->lock);
	if (p && t->everything)
		lightly_renamed(t, p, e->name);
	if (t->launched || t->everything || unwanted(t, e))
		return;
	cover(t, p, e, late);
	/* It was judged by its new name while it was still at its exec. */
	if (late && p && p->covered_ns)
		probing_tell(t, p->pid, p->comm);
}

static void on_exit_event(struct tracing *t, const struct collector_event *e)
{
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->by_pid, e->pid);
	/* The launcher's thread may know of the next one with this pid already. */
	if (p && p->instance == e->instance) {
		hashmap_take(&t->by_pid, e->pid);
		hashmap_put(&t->leaving, e->pid, p);
	}
	pthread_mutex_unlock(&t->lock);
	if (!t->launched)
		cover_forget(t->cover, e->pid);
}

/* It is about to die: what only /proc says of it is read now. */
static void on_oom(struct tracing *t, const struct collector_event *e)
{
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->traced, e->instance);
	if (p && p->space && !p->lender)
		traced_refresh(t, p);
	if (p)
		identity_rss(p->pid, &p->rss_bytes);
	pthread_mutex_unlock(&t->lock);
	t->urgent = true;
}

void events_on_event(void *arg, const struct collector_event *e)
{
	struct tracing *t = arg;

	switch (e->type) {
	case COLLECTOR_FORK:
		on_fork(t, e);
		break;
	case COLLECTOR_EXEC:
		on_exec(t, e);
		break;
	case COLLECTOR_EXIT:
		on_exit_event(t, e);
		break;
	case COLLECTOR_BEREFT:
		on_bereft(t, e->pid);
		break;
	case COLLECTOR_OOM:
		on_oom(t, e);
		break;
	case COLLECTOR_LIMIT:
		t->urgent = true;
		break;
	case COLLECTOR_UNMAPPED:
		/* Not from here: a process that maps all the time asks again while it is answered. */
		hashmap_put(&t->asking, e->instance, t);
		break;
	case COLLECTOR_STRANGER:
		if (t->on_stranger)
			t->on_stranger(t->select_arg, e);
		break;
	default:
		if (t->on_call)
			t->n_lost_calls += !t->on_call(t->on_call_arg, e);
	}
}

/* After events were lost: who ended or became another program, and who maps new files, is looked up instead. */
static void resync(struct tracing *t)
{
	struct traced *p;
	uint64_t pid;
	size_t cursor = 0;

	pthread_mutex_lock(&t->lock);
	while ((p = hashmap_next(&t->by_pid, &cursor, &pid))) {
		instance_id now = kernel_instance(t->kernel, pid, NULL);

		hashmap_put(&t->touched, pid, p);
		if (now == p->instance)
			continue;
		hashmap_take(&t->by_pid, pid);
		if (!t->launched)
			cover_forget(t->cover, pid);
		if (now)
			traced_now(t, pid);
		cursor = 0; /* the table has changed */
	}
	pthread_mutex_unlock(&t->lock);
}

static bool lost_some(struct tracing *t)
{
	uint64_t n_events = collector_lost_events(t->collector);
	uint64_t n_mappings = mapping_watch_lost(t->mappings) + mapping_watch_gaps(t->mappings);
	bool lost = n_events != t->n_lost_events || n_mappings != t->n_lost_mappings;

	t->n_lost_events = n_events;
	t->n_lost_mappings = n_mappings;
	return lost;
}

/* The kernel asks for an instance's mappings, whichever of its processes made it. */
static void answer(struct tracing *t, instance_id instance)
{
	struct traced *p = tracing_find(t, instance);

	if (p && t->everything)
		lightly_look(t, p);
	if (p && !tables_is_wanted(&t->tables, instance))
		probing_follow_instance(t, instance, p->pid, PROBING_ASKED);
}

void tracing_drain(struct tracing *t)
{
	uint64_t began_ns = clock_monotonic_ns();
	uint64_t instance;
	uint64_t pid;
	size_t cursor = 0;
	bool resynced;

	/* Processes first: a mapping belongs to the program that its process is by then. */
	collector_drain(t->collector);
	mapping_watch_drain(t->mappings);
	hashmap_done(&t->leaving);
	resynced = lost_some(t);
	if (resynced)
		resync(t);
	if (t->everything) {
		pthread_mutex_lock(&t->lock);
		lightly_grow_up(t, false);
		pthread_mutex_unlock(&t->lock);
	}
	while (hashmap_next(&t->touched, &cursor, &pid)) {
		if (resynced && kernel_instance(t->kernel, pid, NULL))
			follow_threads(t, pid);
		probing_update(t, pid);
	}
	hashmap_done(&t->touched);
	cursor = 0;
	while (hashmap_next(&t->generating, &cursor, &pid))
		probing_follow(t, pid, PROBING_QUICKLY);
	hashmap_done(&t->generating);
	cursor = 0;
	while (hashmap_next(&t->asking, &cursor, &instance))
		answer(t, instance);
	hashmap_done(&t->asking);
	t->drained_ns = began_ns;
}
