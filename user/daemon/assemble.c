// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/assemble.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/growth.h"
#include "analyze/merge.h"
#include "analyze/rank.h"
#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "daemon/blocks.h"
#include "daemon/free_errors.h"
#include "daemon/governing.h"
#include "daemon/traced.h"
#include "daemon/tracing.h"
#include "model/losses.h"
#include "symbol/symbolize.h"

int assembly_init(struct assembly *a, struct tracing *t, struct diag *d)
{
	a->tracing = t;
	a->start_ns = clock_monotonic_ns();
	a->judging.pages = a->pages;
	judging_begin(&a->judging, kernel_start_ns(t->kernel));
	return growth_create(&a->growth) ? diag_set(d, ENOMEM, "out of memory") : 0;
}

void assembly_done(struct assembly *a)
{
	naming_done(&a->names);
	judging_done(&a->judging);
	growth_destroy(a->growth);
	baseline_done(&a->baseline);
	free(a->ended_losses);
}

static uint64_t site_key(uint64_t stack, instance_id instance, enum site_kind kind)
{
	return stack ^ ((uint64_t)instance << 8 | kind) * 0x9e3779b97f4a7c15ULL;
}

const struct site_ref *assembled_find(const struct assembled *r, uint64_t stack,
				      instance_id instance, enum site_kind kind)
{
	return hashmap_get(&r->site_index, site_key(stack, instance, kind));
}

static uint64_t difference(double a, double b)
{
	return a > b ? (uint64_t)llround(a - b) : 0;
}

static void fill_site(const struct snapshot_site *from, const struct named_stack *name,
		      uint32_t process, struct site *to)
{
	*to = (struct site){
		.process = process,
		.kind = from->kind,
		.outstanding_bytes = from->allocated_bytes - from->freed_bytes,
		.outstanding_allocations = difference(from->allocations, from->frees),
		.allocated_bytes = from->allocated_bytes,
		.allocations = llround(from->allocations),
		.freed_bytes = from->freed_bytes,
		.frees = llround(from->frees),
		.oldest_age_seconds = from->oldest_ns < 0 ? -1 : from->oldest_ns / NS_PER_SECOND,
		.median_age_seconds = from->median_ns < 0 ? -1 : from->median_ns / NS_PER_SECOND,
		.survival = {NAN, NAN, NAN, NAN},
		.growth_bytes_per_second = NAN,
		.verdict = "unknown",
	};
	if (!name)
		return;
	to->fingerprint = name->fingerprint;
	to->family = name->family;
	to->truncated = name->truncated;
	to->frames = name->frames;
	to->n_frames = name->n;
	to->suppressed = name->suppressed;
}

static double age_of_hit(const struct snapshot_process *from, uint64_t now_ns)
{
	if (!from->limit_hits || !from->limit_hit_ns || from->limit_hit_ns > now_ns)
		return NAN;
	return (double)(now_ns - from->limit_hit_ns) / NS_PER_SECOND;
}

static void fill_process(const struct snapshot_process *from, const struct traced *p, bool last,
			 struct process_report *to)
{
	*to = (struct process_report){
		.instance = from->instance,
		.pid = from->pid,
		.start_ns = p ? p->start_real_ns : 0,
		.age_seconds = p ? traced_age_seconds(p) : 0,
		.comm = p ? p->comm : NULL,
		.exe = p ? p->exe : NULL,
		.cgroup = p ? p->cgroup : NULL,
		.container = p ? p->container : NULL,
		.container_name = p ? p->container_name : NULL,
		.namespace_ = p ? p->namespace_ : NULL,
		.pod = p ? p->pod : NULL,
		.pod_uid = p ? p->pod_uid : NULL,
		.namespace_pid = p ? p->namespace_pid : 0,
		.final = last || from->ended,
		.ended = from->ended,
		.exit_status = from->exit_status,
		.oom_killed = from->oom_killed,
		.limit_hits = from->limit_hits,
		.inherited_frees = from->inherited_frees,
		.unknown_frees = from->unknown_frees,
		.rss_bytes = p ? p->rss_bytes : 0,
		.limit_bytes = p ? p->limit_bytes : 0,
		.growth_bytes_per_second = NAN,
		.seconds_to_limit = NAN,
		.overhead_ratio = NAN,
		.verdict = "unknown",
		.seen_from_seconds = p ? p->seen_from_seconds : 0,
		.losses = from->losses,
		.n_losses = from->n_losses,
		.truncated = from->truncated,
		.n_truncated = from->n_truncated,
	};
}

static int fill_processes(struct assembly *a, bool last, struct assembled *r)
{
	struct tracing *t = a->tracing;
	struct report *report = &r->report;

	report->processes = calloc(r->snapshot.processes.n ? r->snapshot.processes.n : 1,
				   sizeof(*report->processes));
	if (!report->processes)
		return -ENOMEM;
	for (size_t i = 0; i < r->snapshot.processes.n; i++) {
		struct snapshot_process *from = &r->snapshot.processes.items[i];
		struct process_report *to = &report->processes[report->n_processes];
		const struct traced *p;
		int err = 0;

		governing_excuse(t, from);
		pthread_mutex_lock(&t->lock);
		p = hashmap_get(&t->traced, from->instance);
		if (p)
			err = losses_count(&from->losses, &from->n_losses, LOSS_THREAD_ENDED,
					   p->n_bereft);
		fill_process(from, p, last, to);
		pthread_mutex_unlock(&t->lock);
		if (err)
			return err;
		to->limit_hit_age_seconds = age_of_hit(from, r->snapshot.time_ns);
		governing_fill(t, from->instance, to);
		notes_fill(t, from, to, &r->notes);
		report->n_processes++;
		if (hashmap_put(&r->by_instance, from->instance, to))
			return -ENOMEM;
	}
	return 0;
}

/* No block is older than the trace of its process. */
static void limit_ages(struct site *site, const struct snapshot *s, size_t process)
{
	double most = (double)(s->time_ns - s->processes.items[process].began_ns) / NS_PER_SECOND;

	if (site->oldest_age_seconds < 0)
		return;
	site->oldest_age_seconds = fmin(site->oldest_age_seconds, most);
	site->median_age_seconds = fmin(site->median_age_seconds, most);
}

static int fill_sites(struct assembly *a, struct assembled *r)
{
	struct report *report = &r->report;

	report->sites =
		calloc(r->snapshot.sites.n ? r->snapshot.sites.n : 1, sizeof(*report->sites));
	r->refs = calloc(r->snapshot.sites.n ? r->snapshot.sites.n : 1, sizeof(*r->refs));
	if (!report->sites || !r->refs)
		return -ENOMEM;
	for (size_t i = 0; i < r->snapshot.sites.n; i++) {
		const struct snapshot_site *from = &r->snapshot.sites.items[i];
		struct process_report *process = hashmap_get(&r->by_instance, from->instance);
		const struct traced *p = tracing_find(a->tracing, from->instance);
		struct site *to = &report->sites[report->n_sites];
		struct site_ref *ref = &r->refs[report->n_sites];
		const struct named_stack *name;

		if (!process)
			continue;
		name = naming_get(&a->names, a->tracing, p, from->stack);
		fill_site(from, name, process - report->processes, to);
		limit_ages(to, &r->snapshot, process - report->processes);
		judging_site(&a->judging, &r->snapshot, from,
			     name && name->complete ? name->fingerprint : 0);
		process->n_stacks += from->n_stacks;
		*ref = (struct site_ref){to->process, to->fingerprint};
		if (hashmap_put(&r->site_index, site_key(from->stack, from->instance, from->kind),
				ref))
			return -ENOMEM;
		report->n_sites++;
	}
	return 0;
}

/* Once all sites of the reading are known. */
static void fill_verdicts(struct assembly *a, struct assembled *r)
{
	struct site *to = r->report.sites;

	judging_end(&a->judging, &r->snapshot);
	for (size_t i = 0; i < r->snapshot.sites.n; i++)
		if (hashmap_get(&r->by_instance, r->snapshot.sites.items[i].instance))
			judging_fill(&a->judging, &r->snapshot.sites.items[i], to++, &r->notes);
}

/* growth: a mapping and the pages in it are the same memory; what was touched counts. */
static void sum_sites(struct report *report, bool growth)
{
	for (size_t i = 0; i < report->n_sites; i++) {
		const struct site *site = &report->sites[i];
		struct process_report *p = &report->processes[site->process];

		if (growth && site->kind != SITE_FAULT)
			continue;
		p->outstanding_bytes += site->outstanding_bytes;
		p->outstanding_allocations += site->outstanding_allocations;
		p->allocated_bytes += site->allocated_bytes;
		p->freed_bytes += site->freed_bytes;
		p->allocations += site->allocations;
		p->frees += site->frees;
	}
}

/* Losses of no one process: the kernel side's, and those of our own readers. */
static int fill_losses(struct assembly *a, struct assembled *r)
{
	const struct tracing *t = a->tracing;
	const struct {
		enum loss_cause cause;
		uint64_t count;
	} own[] = {
		{LOSS_MAPPING_RING_FULL, mapping_watch_lost(t->mappings)},
		{LOSS_MAPPING_GAPS, mapping_watch_gaps(t->mappings)},
		{LOSS_PROCESSES_NOT_PROBED, t->n_unprobed},
		{LOSS_TRACE_RING_FULL, t->n_lost_calls},
		{LOSS_ERROR_RING_FULL, collector_lost_errors(t->collector)},
		{LOSS_MISSED_RUNS, kernel_missed_runs(t->kernel)},
	};
	struct report *report = &r->report;
	int err = 0;

	for (size_t i = 0; i < r->snapshot.n_losses && !err; i++)
		err = losses_add(&report->losses, &report->n_losses, r->snapshot.losses[i].cause,
				 r->snapshot.losses[i].count);
	for (size_t i = 0; i < ARRAY_SIZE(own) && !err; i++)
		err = losses_count(&report->losses, &report->n_losses, own[i].cause, own[i].count);
	return err;
}

static int compare_processes(const void *a, const void *b)
{
	const struct process_report *x = *(const struct process_report *const *)a;
	const struct process_report *y = *(const struct process_report *const *)b;

	if (!x->ended != !y->ended)
		return x->ended ? 1 : -1;
	if (x->outstanding_bytes != y->outstanding_bytes)
		return x->outstanding_bytes > y->outstanding_bytes ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* It lived for a while, and what it allocated may have been left out: that there was such a process is to be said. */
static bool is_notable(const struct snapshot_process *from, const struct process_report *p)
{
	return p->ended && p->estimated && from->ended_ns - from->began_ns > NS_PER_SECOND;
}

/* What the user did not want, and, when everything is traced, those of which there is nothing to say. */
static bool is_hidden(const struct assembly *a, const struct snapshot_process *from,
		      const struct process_report *p)
{
	if (tracing_is_dismissed(a->tracing, from->instance))
		return true;
	return a->tracing->everything && !p->allocations && !p->unknown_frees &&
	       !p->inherited_frees && !p->n_losses && !p->oom_killed && !is_notable(from, p);
}

static void drop_hidden_sites(struct report *report, const uint32_t *place)
{
	size_t n = 0;

	for (size_t i = 0; i < report->n_sites; i++)
		if (place[report->sites[i].process] != SITE_HIDDEN)
			report->sites[n++] = report->sites[i];
	report->n_sites = n;
}

/* The living first, and those that hold most, without the hidden ones; their numbers in sites and references follow. */
static int order_processes(const struct assembly *a, struct assembled *r)
{
	struct report *report = &r->report;
	size_t n = report->n_processes, n_shown = 0;
	_cleanup_free_ struct process_report **order = calloc(n + 1, sizeof(*order));
	_cleanup_free_ uint32_t *place = calloc(n + 1, sizeof(*place));
	struct process_report *sorted = calloc(n + 1, sizeof(*sorted));

	if (!order || !place || !sorted) {
		free(sorted);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		place[i] = SITE_HIDDEN;
		if (!is_hidden(a, &r->snapshot.processes.items[i], &report->processes[i]))
			order[n_shown++] = &report->processes[i];
	}
	qsort(order, n_shown, sizeof(*order), compare_processes);
	for (size_t i = 0; i < n_shown; i++) {
		place[order[i] - report->processes] = i;
		sorted[i] = *order[i];
	}
	for (size_t i = 0; i < report->n_sites; i++)
		r->refs[i].process = place[r->refs[i].process];
	drop_hidden_sites(report, place);
	for (size_t i = 0; i < report->n_sites; i++)
		report->sites[i].process = place[report->sites[i].process];
	report->n_processes = n_shown;
	free(report->processes);
	report->processes = sorted;
	return 0;
}

static bool any_estimated(const struct report *r)
{
	for (size_t i = 0; i < r->n_processes; i++)
		if (r->processes[i].estimated)
			return true;
	return false;
}

int assemble_take(struct assembly *a, bool last, struct assembled *ret, struct diag *d)
{
	struct tracing *t = a->tracing;
	struct assembled r = {0};
	int err;

	tracing_refresh(t);
	tracing_drain(t);
	kernel_look_at_limits(t->kernel);
	err = collector_read(t->collector, &r.snapshot, d);
	if (err)
		return err;
	/* Whoever came after the drain and is in the snapshot has a name, too; one that ended is not met again after it is forgotten. */
	tracing_drain(t);
	r.report.time_ns = clock_realtime_ns();
	r.report.elapsed_seconds = (double)(r.snapshot.time_ns - a->start_ns) / NS_PER_SECOND;
	r.report.sequence = ++a->sequence;
	r.report.map_bytes = kernel_map_bytes(t->kernel, &r.report.map_bytes_bound);
	if (t->unwinder)
		r.report.map_bytes += unwinder_map_bytes(t->unwinder);
	err = fill_processes(a, last, &r);
	if (!err)
		err = fill_losses(a, &r);
	if (err) {
		assembled_settle(a, &r);
		return diag_set(d, -err, "cannot make the report: %s", strerror(-err));
	}
	*ret = r;
	return 0;
}

int assemble_finish(struct assembly *a, struct assembled *r, struct diag *d)
{
	int err;

	a->names.sequence = r->report.sequence;
	judging_start(&a->judging);
	for (size_t i = 0; i < r->report.n_processes; i++)
		judging_process(&a->judging, &r->snapshot, &r->snapshot.processes.items[i],
				&r->report.processes[i]);
	err = fill_sites(a, r);
	if (!err)
		fill_verdicts(a, r);
	if (!err && (a->sampled || a->older_ns || any_estimated(&r->report)))
		err = blocks_sum(a, r);
	if (!err) {
		sum_sites(&r->report, a->pages);
		err = order_processes(a, r);
	}
	if (!err)
		err = free_errors_fill(a, r);
	hashmap_done(&r->by_instance);
	symbolizer_trim(a->tracing->symbolizer);
	if (err)
		return diag_set(d, -err, "cannot make the report: %s", strerror(-err));
	merge_sites(&r->report);
	judging_sum(&a->judging, &r->report, &r->notes);
	rank_sites(r->report.sites, r->report.n_sites, a->by_count);
	growth_update(a->growth, &r->report);
	if (*r->mark && baseline_set(&a->baseline, r->mark, &r->report))
		return diag_set(d, ENOMEM, "cannot set the mark: out of memory");
	baseline_apply(&a->baseline, &r->report);
	return 0;
}

int assembly_sample(struct assembly *a, struct diag *d)
{
	struct snapshot s = {0};
	int err = collector_read(a->tracing->collector, &s, d);

	if (err)
		return err;
	judging_start(&a->judging);
	for (size_t i = 0; i < s.processes.n; i++) {
		const struct traced *p = tracing_find(a->tracing, s.processes.items[i].instance);
		struct process_report process = {.seen_from_seconds = p ? p->seen_from_seconds : 0};

		governing_fill(a->tracing, s.processes.items[i].instance, &process);
		judging_process(&a->judging, &s, &s.processes.items[i], &process);
	}
	for (size_t i = 0; i < s.sites.n; i++)
		judging_site(&a->judging, &s, &s.sites.items[i], 0);
	judging_end(&a->judging, &s);
	snapshot_done(&s);
	return 0;
}

/* Its losses stay in the session's sums. */
static void forget(struct assembly *a, const struct assembled *r,
		   const struct snapshot_process *process)
{
	for (size_t i = 0; i < process->n_losses; i++)
		losses_add(&a->ended_losses, &a->n_ended_losses, process->losses[i].cause,
			   process->losses[i].count);
	tracing_forget(a->tracing, &r->snapshot, process->instance);
}

void assembled_settle(struct assembly *a, struct assembled *r)
{
	bool purge = false;

	for (size_t i = 0; i < r->snapshot.processes.n; i++)
		if (r->snapshot.processes.items[i].ended) {
			forget(a, r, &r->snapshot.processes.items[i]);
			purge = true;
		}
	if (purge)
		kernel_purge(a->tracing->kernel);
	tracing_end_strays(a->tracing, &r->snapshot);
	naming_trim(&a->names);
	notes_done(&r->notes);
	free(r->report.processes);
	free(r->report.sites);
	free(r->report.losses);
	free(r->errors);
	free(r->refs);
	free(r->memory);
	hashmap_done(&r->site_index);
	hashmap_done(&r->by_instance);
	snapshot_done(&r->snapshot);
}

int assembly_losses(const struct assembly *a, const struct report *r, struct loss **ret,
		    size_t *ret_n)
{
	int err = 0;

	for (size_t i = 0; i < a->n_ended_losses && !err; i++)
		err = losses_add(ret, ret_n, a->ended_losses[i].cause, a->ended_losses[i].count);
	for (size_t i = 0; i < r->n_losses && !err; i++)
		err = losses_add(ret, ret_n, r->losses[i].cause, r->losses[i].count);
	for (size_t i = 0; i < r->n_processes && !err; i++)
		for (size_t j = 0; j < r->processes[i].n_losses && !err; j++)
			err = losses_add(ret, ret_n, r->processes[i].losses[j].cause,
					 r->processes[i].losses[j].count);
	return err;
}
