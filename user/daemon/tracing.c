// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/traced.h"
#include "daemon/tracing.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "base/clock.h"
#include "base/log.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "daemon/events.h"
#include "daemon/governing.h"
#include "daemon/kernel_heap.h"
#include "daemon/lightly.h"
#include "daemon/probing.h"
#include "daemon/trace_options.h"
#include "process/maps.h"
#include "symbol/kernel_symbols.h"
#include "symbol/symbolize.h"

#define STRAY_NS NS_PER_SECOND

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
		.stack = o->stack == OPTIONS_STACK_FP		       ? KERNEL_STACK_FP
			 : o->stack == OPTIONS_STACK_NONE || o->kernel ? KERNEL_STACK_NONE
								       : KERNEL_STACK_CFI,
		/* Each suspect is one by itself. */
		.follow = !o->no_follow && !o->escalate,
		.everything = o->select.everything,
		.strangers = !o->select.everything && !o->escalate &&
			     !selector_is_empty(&o->select),
		.strange_names = o->select.comm_glob,
		.strange_cgroups = o->select.cgroup || o->select.container,
		.trace_calls = o->trace,
		.errors = o->errors,
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
	struct kernel_heap_options heap;
	struct kernel_options kernel;
	struct kernel_maps maps;
	int err;

	pthread_mutex_init(&t->lock, NULL);
	t->quiet = options->quiet;
	t->growth = options->growth;
	t->everything = options->select.everything;
	t->selecting = options->escalate || !selector_is_empty(&options->select);
	t->restricted = options->object || options->symbols_prefix;
	kernel_options_from(options, &kernel);
	kernel.governed = t->costs;
	t->max_frames = options->max_stack_depth;
	err = options->kernel ? kernel_heap_options_from(t, options, &heap, d) : 0;
	if (err)
		return err;
	kernel.heap = options->kernel ? &heap : NULL;
	err = kernel_open(&kernel, &t->kernel, d);
	if (err)
		return err;
	kernel_get_maps(t->kernel, &maps);
	err = collector_create(&maps, kernel_start_ns(t->kernel),
			       options->mmap || options->growth ? options->max_outstanding : 0,
			       options->growth ? options->max_outstanding : 0, events_on_event, t,
			       &t->collector, d);
	if (!err)
		err = symbolizer_create(&symbols, &t->symbolizer, d);
	if (!err)
		err = cover_create(t->kernel, &cover, &t->cover, d);
	if (!err)
		err = governing_start(t, options, d);
	if (!err && kernel.stack == KERNEL_STACK_CFI)
		err = unwinder_create(t->kernel, &unwind, &t->unwinder, d);
	if (!err && t->unwinder && tables_start(&t->tables, t->unwinder, t->quiet))
		err = diag_set(d, EAGAIN, "cannot start a thread");
	/* Before anything is read from /proc: what is mapped after that must not be missed. */
	if (!err)
		err = mapping_watch_create(events_on_mapping, t, &t->mappings, d);
	return err;
}

void tracing_close(struct tracing *t)
{
	struct traced *p;
	size_t cursor = 0;

	governing_stop(t);
	cover_destroy(t->cover);
	mapping_watch_destroy(t->mappings);
	tables_stop(&t->tables);
	unwinder_destroy(t->unwinder);
	while ((p = hashmap_next(&t->traced, &cursor, NULL)))
		traced_free(p);
	hashmap_done(&t->traced);
	hashmap_done(&t->by_pid);
	hashmap_done(&t->touched);
	hashmap_done(&t->generating);
	hashmap_done(&t->asking);
	hashmap_done(&t->leaving);
	hashmap_done(&t->strays);
	symbolizer_destroy(t->symbolizer);
	kernel_symbols_destroy(t->kernel_symbols);
	collector_destroy(t->collector);
	kernel_close(t->kernel);
	strings_done(&t->strings);
	containers_done(&t->containers);
	pthread_mutex_destroy(&t->lock);
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
	uint64_t now_ns;
	struct traced *p;
	int64_t instance;
	bool covered;
	int err;

	instance = kernel_add_process(t->kernel, id->pid, id->start_boottime_ns, false, d);
	if (instance == -EEXIST) {
		pthread_mutex_lock(&t->lock);
		traced_now(t, id->pid);
		pthread_mutex_unlock(&t->lock);
	}
	if (instance < 0)
		return instance;
	pthread_mutex_lock(&t->lock);
	p = traced_create(t, instance, id->pid, NULL);
	/* It may have become another program, or ended, since it was looked at. */
	if (p && (t->everything || !p->comm))
		traced_describe(t, p, id);
	if (p)
		p->young_ns = 0;
	pthread_mutex_unlock(&t->lock);
	if (!p)
		return diag_set(d, ENOMEM, "out of memory");
	if (!t->everything)
		probing_follow(t, id->pid, t->selecting ? PROBING_QUICKLY : PROBING_WHOLLY);
	err = t->growth ? 0 : cover_update(t->cover, id->pid, d);
	now_ns = clock_monotonic_ns();
	covered = t->growth || cover_count(t->cover, id->pid);
	/* In the midst of an exec there is nothing to probe yet. */
	p->covered_ns = covered ? now_ns : 0;
	p->probed_ns = now_ns;
	p->seen_from_seconds = since_ns ? (double)(now_ns - since_ns) / NS_PER_SECOND
					: traced_age_seconds(p);
	if (err >= 0 && !covered)
		p->since_ns = now_ns - (uint64_t)(p->seen_from_seconds * NS_PER_SECOND);
	else if (err >= 0)
		probing_tell(t, id->pid, id->comm);
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
	probing_update(t, pid);
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

void tracing_refresh(struct tracing *t)
{
	struct traced *p;
	size_t cursor = 0;

	mapping_watch_revive(t->mappings);
	cover_trim(t->cover);
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

/* The kernel's tables name another instance for its pid, or none, or there is no process with it. Who lent its memory may live on
 * in those that borrow. */
static bool is_stray(const struct tracing *t, const struct snapshot_process *p)
{
	return !p->ended && p->pid && !p->n_borrowers &&
	       (kernel_instance(t->kernel, p->pid, NULL) != p->instance ||
		(kill(p->pid, 0) && errno == ESRCH));
}

static void end_stray(struct tracing *t, const struct snapshot_process *p)
{
	if (kernel_instance(t->kernel, p->pid, NULL) == p->instance)
		tracing_release(t, p->pid);
	collector_end(t->collector, p->instance);
}

void tracing_end_strays(struct tracing *t, const struct snapshot *s)
{
	struct hashmap strays = {0};

	for (size_t i = 0; i < s->processes.n; i++) {
		const struct snapshot_process *p = &s->processes.items[i];

		/* One that begins, or is about to end, looks like that for a moment. */
		if (s->time_ns - p->began_ns < STRAY_NS || !is_stray(t, p))
			continue;
		if (hashmap_get(&t->strays, p->instance))
			end_stray(t, p);
		else
			hashmap_put(&strays, p->instance, t);
	}
	hashmap_done(&t->strays);
	t->strays = strays;
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
