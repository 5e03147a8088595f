// SPDX-License-Identifier: BSD-2-Clause
#include "cli/traced.h"
#include "cli/tracing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/governing.h"
#include "cli/lightly.h"
#include "cli/options.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "process/maps.h"
#include "symbol/symbolize.h"

static void on_event(void *arg, const struct collector_event *e);

/* Tells the kernel what an instance has mapped by now; pid: one of its processes. A vfork child is asked about by its parent's
 * pid: once it executes something else, its mappings are no longer the instance's. Any thread, without the lock. */
static void follow_instance(struct tracing *t, instance_id instance, pid_t pid, bool asked)
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
	err = asked ? unwinder_answer(t->unwinder, pid, instance, &d)
		    : unwinder_update(t->unwinder, pid, instance, &d);
	if (err && err != -ESRCH && !t->quiet)
		log_info("%s", d.text);
}

static void follow_mappings(struct tracing *t, pid_t pid)
{
	follow_instance(t, kernel_instance(t->kernel, pid, NULL), pid, false);
}

/* Where many come and go: from now on its allocations are counted. */
static void tell_traced(const struct tracing *t, pid_t pid, const char *comm)
{
	if (t->is_wanted && !t->quiet)
		log_info("tracing process %d (%s)", pid, comm);
}

/* A program that began a moment ago had not yet loaded its allocator when it was first looked at. */
static void first_probes(struct tracing *t, pid_t pid)
{
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->by_pid, pid);
	if (p && p->pid == pid && p->since_ns) {
		p->seen_from_seconds = (double)(clock_monotonic_ns() - p->since_ns) / NS_PER_SECOND;
		p->since_ns = 0;
		tell_traced(t, p->pid, p->comm);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Probes what is new in a process; one that has ended meanwhile is no loss. Any thread, without the lock. */
static void probe(struct tracing *t, pid_t pid)
{
	struct diag d = {0};
	int err;

	/* First, so that no stack is taken by what is not known yet. */
	if (lightly_is_walked(t, pid))
		follow_mappings(t, pid);
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

/* The kernel walks the process by these from now on. The unwinder's callback. */
static void on_published(void *arg, instance_id instance, const struct maps *maps, uint32_t version)
{
	struct tracing *t = arg;
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->traced, instance);
	if (p && p->space && !p->lender) {
		address_space_set_version(p->space, version);
		address_space_update(p->space, maps);
	}
	pthread_mutex_unlock(&t->lock);
}

/* A new executable mapping somewhere on the host. */
static void on_mapping(void *arg, pid_t pid, const struct mapping *m)
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

static void kernel_options_from(const struct trace_options *o, struct kernel_options *k)
{
	*k = (struct kernel_options){
		.link = o->link == OPTIONS_LINK_SESSION ? LINK_SESSION
			: o->link == OPTIONS_LINK_MULTI ? LINK_MULTI
			: o->link == OPTIONS_LINK_PERF	? LINK_PERF
							: 0,
		.sampling = o->growth		 ? KERNEL_SAMPLE_ALL
			    : o->sample_bytes	 ? KERNEL_SAMPLE_BYTES
			    : o->sample_rate > 1 ? KERNEL_SAMPLE_COUNT
						 : KERNEL_SAMPLE_ALL,
		.sample_interval = o->sample_bytes ? o->sample_bytes : o->sample_rate,
		.min_size_bytes = o->min_size_bytes,
		.max_size_bytes = o->max_size_bytes,
		.max_outstanding = o->max_outstanding,
		.max_sites = o->max_sites,
		.max_stacks = o->stack_storage_size,
		.max_frames = o->max_stack_depth,
		.stack = o->stack == OPTIONS_STACK_FP	  ? KERNEL_STACK_FP
			 : o->stack == OPTIONS_STACK_NONE ? KERNEL_STACK_NONE
							  : KERNEL_STACK_CFI,
		/* Each suspect is one by itself. */
		.follow = !o->no_follow && !o->escalate,
		.everything = o->select.everything,
		.strangers = !o->select.everything && !o->escalate &&
			     !selector_is_empty(&o->select),
		.strange_names = o->select.comm_glob,
		.strange_cgroups = o->select.cgroup || o->select.container,
		.trace_calls = o->trace,
		.vm = o->mmap,
		.growth = o->growth,
	};
}

int tracing_open(const struct trace_options *options, struct tracing *t, struct diag *d)
{
	const struct cover_options cover = {
		.scope = options->select.everything ? COVER_FILES : COVER_PROCESSES,
		.object = options->object,
		.prefix = options->symbols_prefix,
	};
	const struct unwinder_options unwind = {
		.memory_bytes = options->unwind_memory_bytes,
		.on_published = on_published,
		.arg = t,
	};
	const struct symbolizer_options symbols = {0};
	struct kernel_options kernel;
	struct kernel_maps maps;
	int err;

	pthread_mutex_init(&t->lock, NULL);
	t->quiet = options->quiet;
	t->growth = options->growth;
	t->everything = options->select.everything;
	t->restricted = options->object || options->symbols_prefix;
	kernel_options_from(options, &kernel);
	kernel.governed = t->costs;
	err = kernel_open(&kernel, &t->kernel, d);
	if (err)
		return err;
	kernel_get_maps(t->kernel, &maps);
	err = collector_create(&(struct collector_maps){.live = maps.live,
							.sites = maps.sites,
							.unknown_sites = maps.unknown_sites,
							.stacks = maps.stacks,
							.procs = maps.procs,
							.instances = maps.instances,
							.process_ring = maps.process_ring,
							.event_ring = maps.event_ring,
							.losses = maps.losses,
							.stranger_ring = maps.stranger_ring,
							.evict = kernel_evict_fd(t->kernel)},
			       kernel_start_ns(t->kernel),
			       options->mmap || options->growth ? options->max_outstanding : 0,
			       options->growth ? options->max_outstanding : 0, on_event, t,
			       &t->collector, d);
	if (!err)
		err = symbolizer_create(&symbols, &t->symbolizer, d);
	if (!err)
		err = cover_create(t->kernel, &cover, &t->cover, d);
	if (!err)
		err = governing_start(t, options, d);
	if (!err && kernel.stack == KERNEL_STACK_CFI)
		err = unwinder_create(t->kernel, &unwind, &t->unwinder, d);
	/* Before anything is read from /proc: what is mapped after that must not be missed. */
	if (!err)
		err = mapping_watch_create(on_mapping, t, &t->mappings, d);
	return err;
}

void tracing_close(struct tracing *t)
{
	struct traced *p;
	size_t cursor = 0;

	governing_stop(t);
	cover_destroy(t->cover);
	mapping_watch_destroy(t->mappings);
	unwinder_destroy(t->unwinder);
	while ((p = hashmap_next(&t->traced, &cursor, NULL)))
		traced_free(p);
	hashmap_done(&t->traced);
	hashmap_done(&t->by_pid);
	hashmap_done(&t->touched);
	hashmap_done(&t->generating);
	hashmap_done(&t->asking);
	hashmap_done(&t->leaving);
	symbolizer_destroy(t->symbolizer);
	collector_destroy(t->collector);
	kernel_close(t->kernel);
	strings_done(&t->strings);
	containers_done(&t->containers);
	pthread_mutex_destroy(&t->lock);
}

static double age_seconds(const struct traced *p)
{
	uint64_t now = clock_realtime_ns();

	return now > p->start_real_ns ? (double)(now - p->start_real_ns) / NS_PER_SECOND : 0;
}

/* What the kernel knows as its instance, though user space may never have heard of it. */
void tracing_dismiss(struct tracing *t, pid_t pid)
{
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = traced_now(t, pid);
	if (!p)
		p = hashmap_get(&t->by_pid, pid);
	if (p && p->pid == pid)
		p->dismissed = true;
	pthread_mutex_unlock(&t->lock);
	tracing_release(t, pid);
}

static int ended_meanwhile(const struct identity *id, struct diag *d)
{
	return diag_set(d, ESRCH, "process %d (%s) ended while it was being attached to", id->pid,
			id->comm);
}

int tracing_begin(struct tracing *t, const struct identity *id, uint64_t since_ns, struct diag *d)
{
	uint64_t ns_per_tick = NS_PER_SECOND / sysconf(_SC_CLK_TCK);
	struct traced *p;
	int64_t instance;
	int err;

	instance = kernel_add_process(t->kernel, id->pid, id->start_ticks * ns_per_tick, false, d);
	if (instance == -EEXIST) {
		pthread_mutex_lock(&t->lock);
		traced_now(t, id->pid);
		pthread_mutex_unlock(&t->lock);
	}
	if (instance < 0)
		return instance;
	pthread_mutex_lock(&t->lock);
	p = traced_create(t, instance, id->pid, NULL);
	if (p && t->everything)
		traced_describe(t, p, id);
	if (p)
		p->young_ns = 0;
	pthread_mutex_unlock(&t->lock);
	if (!p)
		return diag_set(d, ENOMEM, "out of memory");
	if (!t->everything)
		follow_mappings(t, id->pid);
	err = t->growth ? 0 : cover_update(t->cover, id->pid, d);
	p->covered_ns = clock_monotonic_ns();
	p->seen_from_seconds = since_ns ? (double)(p->covered_ns - since_ns) / NS_PER_SECOND
					: age_seconds(p);
	if (err >= 0 && !t->growth && !cover_count(t->cover, id->pid))
		p->since_ns = p->covered_ns - (uint64_t)(p->seen_from_seconds * NS_PER_SECOND);
	else if (err >= 0)
		tell_traced(t, id->pid, id->comm);
	if (err >= 0 && !identity_alive(id))
		err = -ESRCH;
	if (err < 0)
		tracing_dismiss(t, id->pid);
	return err == -ESRCH ? ended_meanwhile(id, d) : err < 0 ? err : 0;
}

int tracing_attach(struct tracing *t, pid_t pid, struct diag *d)
{
	struct identity id;
	int err = identity_read(pid, &id, d);

	if (!err)
		err = tracing_begin(t, &id, 0, d);
	if (err)
		return err;
	if (!t->growth && !cover_count(t->cover, pid))
		return diag_set_hint(
			d, ENOENT, EXIT_RUNTIME,
			t->restricted
				? "none that -O FILE and -S PREFIX let through: try without them"
				: "a Go program, or a static one without symbols? --growth shows where it grows; `seep "
				  "doctor -p PID` lists what was looked at; an allocator under other names: -O FILE "
				  "-S PREFIX",
			"process %d (%s): no allocation function found in any of its files", pid,
			id.comm);
	return 0;
}

bool tracing_is_traced(struct tracing *t, pid_t pid)
{
	bool traced;

	pthread_mutex_lock(&t->lock);
	traced = hashmap_get(&t->by_pid, pid);
	pthread_mutex_unlock(&t->lock);
	return traced;
}

bool tracing_has_any(struct tracing *t)
{
	bool any;

	pthread_mutex_lock(&t->lock);
	any = t->by_pid.n;
	pthread_mutex_unlock(&t->lock);
	return any;
}

bool tracing_is_dismissed(struct tracing *t, instance_id instance)
{
	const struct traced *p;
	bool dismissed;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->traced, instance);
	dismissed = p && p->dismissed;
	pthread_mutex_unlock(&t->lock);
	return dismissed;
}

void tracing_release(struct tracing *t, pid_t pid)
{
	cover_forget(t->cover, pid);
	kernel_release_process(t->kernel, pid);
	pthread_mutex_lock(&t->lock);
	hashmap_take(&t->by_pid, pid);
	pthread_mutex_unlock(&t->lock);
}

int tracing_adopt(struct tracing *t, pid_t pid, struct diag *d)
{
	struct traced *p;
	int64_t instance = kernel_add_process(t->kernel, pid, clock_boottime_ns(), true, d);

	if (instance < 0)
		return instance;
	t->launched = true;
	pthread_mutex_lock(&t->lock);
	p = traced_create(t, instance, pid, NULL);
	if (p)
		pthread_mutex_unlock(&t->lock);
	return p ? 0 : diag_set(d, ENOMEM, "out of memory");
}

void tracing_mapped(struct tracing *t, pid_t pid)
{
	struct diag d = {0};
	struct identity id;
	struct traced *p;
	bool described;

	/* Without --follow only children that share the target's memory count, until they exec. */
	if (!kernel_instance(t->kernel, pid, NULL))
		return;
	described = !identity_read(pid, &id, &d);
	probe(t, pid);
	pthread_mutex_lock(&t->lock);
	p = traced_now(t, pid);
	if (p && p->space && !p->lender)
		traced_refresh(t, p);
	/* A vfork child is its parent's instance, but not by name and age. */
	if (p && described && p->pid == pid)
		traced_describe(t, p, &id);
	pthread_mutex_unlock(&t->lock);
}

void tracing_forked(struct tracing *t, pid_t pid, bool shares_memory)
{
	if (!shares_memory || kernel_link(t->kernel) != LINK_PERF)
		tracing_mapped(t, pid);
}

void tracing_ended(struct tracing *t, pid_t pid)
{
	cover_forget(t->cover, pid);
}

/* Probes a process after an event in it. late: its probes did not stand before. Between two programs a process maps nothing that
 * could be probed: the exec's event comes then. */
static void cover(struct tracing *t, struct traced *p, const struct collector_event *e, bool late)
{
	bool current = kernel_instance(t->kernel, e->pid, NULL) == e->instance;
	uint64_t now_ns;

	/* What is there instead of one that is gone has an event of its own. */
	if (current)
		probe(t, e->pid);
	now_ns = clock_monotonic_ns();
	if (!p)
		return;
	/* The kernel follows what grows by itself. */
	p->seen_from_seconds = late && !t->growth ? (double)(now_ns - e->time_ns) / NS_PER_SECOND
						  : 0;
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
	struct traced *p;
	bool late;

	pthread_mutex_lock(&t->lock);
	before = hashmap_get(&t->by_pid, e->pid);
	late = !t->launched && (!before || before->pid != (pid_t)e->pid || !before->covered_ns ||
				before->covered_ns > e->time_ns);
	p = traced_event(t, e, NULL);
	pthread_mutex_unlock(&t->lock);
	if (p && t->everything)
		lightly_renamed(t, p, e->name);
	if (t->launched || t->everything || unwanted(t, e))
		return;
	cover(t, p, e, late);
	/* It was judged by its new name while it was still at its exec. */
	if (late && p && p->covered_ns)
		tell_traced(t, p->pid, p->comm);
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

static void on_event(void *arg, const struct collector_event *e)
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
	uint64_t n_mappings = mapping_watch_lost(t->mappings);
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
	if (p)
		follow_instance(t, instance, p->pid, true);
}

void tracing_drain(struct tracing *t)
{
	uint64_t instance;
	uint64_t pid;
	size_t cursor = 0;

	/* Processes first: a mapping belongs to the program that its process is by then. */
	collector_drain(t->collector);
	mapping_watch_drain(t->mappings);
	hashmap_done(&t->leaving);
	if (lost_some(t))
		resync(t);
	if (t->everything) {
		pthread_mutex_lock(&t->lock);
		lightly_grow_up(t, false);
		pthread_mutex_unlock(&t->lock);
	}
	while (hashmap_next(&t->touched, &cursor, &pid))
		probe(t, pid);
	hashmap_done(&t->touched);
	cursor = 0;
	while (hashmap_next(&t->generating, &cursor, &pid))
		follow_mappings(t, pid);
	hashmap_done(&t->generating);
	cursor = 0;
	while (hashmap_next(&t->asking, &cursor, &instance))
		answer(t, instance);
	hashmap_done(&t->asking);
}

void tracing_refresh(struct tracing *t)
{
	struct traced *p;
	size_t cursor = 0;

	pthread_mutex_lock(&t->lock);
	if (t->everything)
		lightly_grow_up(t, true);
	while ((p = hashmap_next(&t->by_pid, &cursor, NULL))) {
		/* The others hold nothing. */
		if (t->everything && !p->walked)
			continue;
		if (p->space && !p->lender)
			traced_refresh(t, p);
		identity_rss(p->pid, &p->rss_bytes);
		hashmap_put(&t->generating, p->pid, p);
	}
	pthread_mutex_unlock(&t->lock);
}

struct traced *tracing_find(struct tracing *t, instance_id instance)
{
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->traced, instance);
	pthread_mutex_unlock(&t->lock);
	return p;
}

void tracing_forget(struct tracing *t, const struct snapshot *s, instance_id instance)
{
	struct traced *p;

	collector_forget(t->collector, s, instance);
	governing_forget(t, instance);
	pthread_mutex_lock(&t->lock);
	/* Also one whose fork was not told: the kernel gave it mappings, too. */
	if (t->unwinder)
		unwinder_forget(t->unwinder, instance);
	p = hashmap_take(&t->traced, instance);
	if (p) {
		traced_drop_pids(t, p);
		traced_release(p);
	}
	pthread_mutex_unlock(&t->lock);
}
