// SPDX-License-Identifier: BSD-2-Clause
#include "cli/assemble.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/growth.h"
#include "analyze/merge.h"
#include "analyze/rank.h"
#include "attach/cover.h"
#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "model/losses.h"
#include "cli/governing.h"
#include "cli/traced.h"
#include "cli/tracing.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "symbol/symbolize.h"

struct named_stack {
	uint64_t sequence; /* of the last report that used it */
	struct frame *frames;
	size_t n;
	uint64_t fingerprint, family;
	const char *truncated;
	bool complete; /* else what is unknown may become known: mappings are read late */
};

/* What a pass over the blocks of a site finds. */
struct site_sums {
	double bytes, allocations;
	double bytes_variance, allocations_variance; /* Horvitz and Thompson's estimate */
	uint64_t oldest_ns;			     /* when the oldest was born, 0: none */
	double most_bytes_variance, most_allocations_variance; /* of one sample */
};

#define NOWHERE UINT32_MAX /* in place of a process's number: the report does not show it */
#define Z_95 1.96	   /* standard deviations of a 95% confidence interval */

int assembly_init(struct assembly *a, struct tracing *t, struct diag *d)
{
	a->tracing = t;
	a->start_ns = clock_monotonic_ns();
	return growth_create(&a->growth) ? diag_set(d, ENOMEM, "out of memory") : 0;
}

static void named_free(struct named_stack *n)
{
	if (!n)
		return;
	free(n->frames);
	free(n);
}

void assembly_done(struct assembly *a)
{
	struct named_stack *n;
	size_t cursor = 0;

	while ((n = hashmap_next(&a->named, &cursor, NULL)))
		named_free(n);
	hashmap_done(&a->named);
	growth_destroy(a->growth);
	free(a->ended_losses);
}

/* By frame pointers alone, a stack ends where it leaves the code that is mapped: they led into something else there, and what lies
 * behind is no caller but bytes of the target's memory. The leaf stays, whatever it is. */
static void end_at_unknown(struct named_stack *n)
{
	for (size_t i = 1; i < n->n; i++) {
		if (n->frames[i].module)
			continue;
		n->n = i;
		n->truncated = "left known code";
	}
}

static bool all_known(const struct named_stack *n)
{
	for (size_t i = 0; i < n->n; i++)
		if (!n->frames[i].module)
			return false;
	return true;
}

static struct named_stack *name_stack(struct assembly *a, const struct traced *p, uint64_t stack)
{
	struct tracing *t = a->tracing;
	const uint64_t *addresses = NULL;
	struct named_stack *n = calloc(1, sizeof(*n));
	struct address_space *space;
	size_t n_addresses;
	uint32_t version;

	if (!n)
		return NULL;
	n_addresses = collector_stack(t->collector, stack, &addresses, &version, &n->truncated);
	pthread_mutex_lock(&t->lock);
	space = p ? traced_space(p) : NULL;
	if (n_addresses && space) {
		address_space_view(space, version);
		symbolize_stack(t->symbolizer, space, addresses, n_addresses, 0, &n->frames, &n->n);
	}
	pthread_mutex_unlock(&t->lock);
	n->complete = all_known(n);
	if (a->frame_pointers)
		end_at_unknown(n);
	symbolize_fingerprints(n->frames, n->n, &n->fingerprint, &n->family);
	return n;
}

/* The names of a stack, from the cache or made now. Owned by the cache. NULL without memory. */
static const struct named_stack *named_get(struct assembly *a, const struct traced *p,
					   uint64_t stack)
{
	struct named_stack *n = hashmap_get(&a->named, stack);

	if (n && n->complete) {
		n->sequence = a->sequence;
		return n;
	}
	named_free(hashmap_take(&a->named, stack));
	n = name_stack(a, p, stack);
	if (n)
		n->sequence = a->sequence;
	if (n && hashmap_put(&a->named, stack, n)) {
		named_free(n);
		return NULL;
	}
	return n;
}

static uint64_t site_key(uint64_t stack, instance_id instance, enum site_kind kind)
{
	return stack ^ ((uint64_t)instance << 8 | kind) * 0x9e3779b97f4a7c15ULL;
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
}

static void fill_process(const struct snapshot_process *from, const struct traced *p, bool last,
			 struct process_report *to)
{
	*to = (struct process_report){
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

/* A perf link sees a process's memory, and one for all processes everybody; the others see threads. The launcher stops children until
 * they have links of their own. */
static bool unseen_borrowers(const struct tracing *t)
{
	return !t->launched && !t->everything && kernel_link(t->kernel) != LINK_PERF;
}

struct notes {
	char *items[ARRAY_SIZE(((struct process_report *)0)->notes)];
	size_t n;
	size_t n_untabled; /* files without a table that are not among the items */
};

static void add_note(struct notes *notes, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_note(struct notes *notes, const char *fmt, ...)
{
	va_list ap;

	if (notes->n == ARRAY_SIZE(notes->items))
		return;
	va_start(ap, fmt);
	if (vasprintf(&notes->items[notes->n], fmt, ap) >= 0)
		notes->n++;
	va_end(ap);
}

/* unwinder_each's visitor. The last item is for those that find no room. */
static void note_untabled(void *arg, const struct unwinder_file *file)
{
	struct notes *notes = arg;

	if (!file->without)
		return;
	if (notes->n + 1 < ARRAY_SIZE(notes->items))
		add_note(notes, "%s: %s, its stacks go by frame pointers", file->path,
			 file->without);
	else
		notes->n_untabled++;
}

/* What has ended cannot be looked at any more, but how it was unwound is known. */
static void note_files(struct assembly *a, const struct snapshot_process *from, struct notes *notes)
{
	struct tracing *t = a->tracing;

	if (!from->ended && !t->growth)
		notes->n += cover_notes(t->cover, from->pid, notes->items + notes->n,
					ARRAY_SIZE(notes->items) / 2);
	if (t->unwinder)
		unwinder_each(t->unwinder, from->instance, note_untabled, notes);
	if (notes->n_untabled)
		add_note(notes, "%zu more files without a table, their stacks go by frame pointers",
			 notes->n_untabled);
}

static void fill_notes(struct assembly *a, struct assembled *r, const struct snapshot_process *from,
		       struct process_report *to)
{
	struct notes notes = {0};
	char **grown;

	if (from->n_borrowers && unseen_borrowers(a->tracing))
		add_note(&notes, "%u vfork children: what they did in its memory before their exec",
			 from->n_borrowers);
	note_files(a, from, &notes);
	grown = notes.n ? realloc(r->notes, (r->n_notes + notes.n) * sizeof(*grown)) : NULL;
	if (!grown) {
		for (size_t i = 0; i < notes.n; i++)
			free(notes.items[i]);
		return;
	}
	r->notes = grown;
	for (size_t i = 0; i < notes.n; i++) {
		r->notes[r->n_notes++] = notes.items[i];
		to->notes[to->n_notes++] = notes.items[i];
	}
}

static int fill_processes(struct assembly *a, bool last, struct assembled *r,
			  struct hashmap *ret_indices)
{
	struct report *report = &r->report;

	report->processes = calloc(r->snapshot.processes.n ? r->snapshot.processes.n : 1,
				   sizeof(*report->processes));
	if (!report->processes)
		return -ENOMEM;
	for (size_t i = 0; i < r->snapshot.processes.n; i++) {
		struct snapshot_process *from = &r->snapshot.processes.items[i];
		struct process_report *to = &report->processes[report->n_processes];

		governing_excuse(a->tracing, from);
		fill_process(from, tracing_find(a->tracing, from->instance), last, to);
		governing_fill(a->tracing, from->instance, to);
		fill_notes(a, r, from, to);
		report->n_processes++;
		if (hashmap_put(ret_indices, from->instance, to))
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

static int fill_sites(struct assembly *a, struct assembled *r, const struct hashmap *indices)
{
	struct report *report = &r->report;

	report->sites =
		calloc(r->snapshot.sites.n ? r->snapshot.sites.n : 1, sizeof(*report->sites));
	r->refs = calloc(r->snapshot.sites.n ? r->snapshot.sites.n : 1, sizeof(*r->refs));
	if (!report->sites || !r->refs)
		return -ENOMEM;
	for (size_t i = 0; i < r->snapshot.sites.n; i++) {
		const struct snapshot_site *from = &r->snapshot.sites.items[i];
		struct process_report *process = hashmap_get(indices, from->instance);
		const struct traced *p = tracing_find(a->tracing, from->instance);
		struct site *to = &report->sites[report->n_sites];
		struct site_ref *ref = &r->refs[report->n_sites];

		if (!process)
			continue;
		fill_site(from, named_get(a, p, from->stack), process - report->processes, to);
		limit_ages(to, &r->snapshot, process - report->processes);
		process->n_stacks += from->n_stacks;
		*ref = (struct site_ref){to->process, to->fingerprint};
		if (hashmap_put(&r->site_index, site_key(from->stack, from->instance, from->kind),
				ref))
			return -ENOMEM;
		report->n_sites++;
	}
	return 0;
}

struct summing {
	const struct assembly *a;
	const struct assembled *r;
	struct site_sums *sums; /* one per site */
};

static bool old_enough(const struct assembly *a, const struct assembled *r,
		       const struct snapshot_block *b)
{
	return b->time_ns + a->older_ns <= r->snapshot.time_ns;
}

static uint64_t half_interval(double variance)
{
	return llround(Z_95 * sqrt(variance));
}

static int sum_block(void *arg, const struct snapshot_block *b)
{
	const struct summing *s = arg;
	const struct site_ref *ref =
		hashmap_get(&s->r->site_index, site_key(b->stack, b->instance, b->kind));
	double size = b->size_bytes, w = b->weight;
	struct site_sums *sums;

	if (!ref || !old_enough(s->a, s->r, b))
		return 0;
	sums = &s->sums[ref - s->r->refs];
	sums->bytes += size * w;
	if (!sums->oldest_ns || b->time_ns < sums->oldest_ns)
		sums->oldest_ns = b->time_ns;
	sums->allocations += b->further_part ? 0 : w;
	sums->bytes_variance += size * size * w * (w - 1);
	sums->allocations_variance += w * (w - 1);
	sums->most_bytes_variance = fmax(sums->most_bytes_variance, size * size * w * (w - 1));
	sums->most_allocations_variance = fmax(sums->most_allocations_variance, w * (w - 1));
	return 0;
}

/* The samples tell nothing of the rare heavy one that was not drawn, so the estimate is low when
 * there are few: it takes the heaviest twice. In simulation the 95% interval of a site's count then
 * covers 84 to 94% of runs, at 2 to 80 samples, without 80 to 92%. */
static void widen(struct site_sums *sums)
{
	sums->bytes_variance += sums->most_bytes_variance;
	sums->allocations_variance += sums->most_allocations_variance;
}

/* Replaces the sites' outstanding figures by what a pass over the blocks finds: with -o and when sampling. */
static int sum_blocks(struct assembly *a, struct assembled *r)
{
	struct report *report = &r->report;
	_cleanup_free_ struct site_sums *sums = calloc(report->n_sites + 1, sizeof(*sums));
	_cleanup_free_ struct site_sums *totals = calloc(report->n_processes + 1, sizeof(*totals));
	struct summing s = {a, r, sums};
	int err;

	if (!sums || !totals)
		return -ENOMEM;
	err = collector_each_block(a->tracing->collector, sum_block, &s);
	for (size_t i = 0; i < report->n_sites && !err; i++) {
		struct site *site = &report->sites[i];
		struct site_sums *total = &totals[site->process];

		widen(&sums[i]);
		if (a->older_ns) {
			site->outstanding_bytes = llround(sums[i].bytes);
			site->outstanding_allocations = llround(sums[i].allocations);
		}
		if (sums[i].oldest_ns)
			site->oldest_age_seconds =
				(double)(r->snapshot.time_ns - sums[i].oldest_ns) / NS_PER_SECOND;
		site->interval_bytes = half_interval(sums[i].bytes_variance);
		site->interval_allocations = half_interval(sums[i].allocations_variance);
		/* Variances add up, not their roots. */
		total->bytes_variance += sums[i].bytes_variance;
		total->allocations_variance += sums[i].allocations_variance;
	}
	for (size_t i = 0; i < report->n_processes && !err; i++) {
		struct process_report *p = &report->processes[i];

		p->interval_bytes = half_interval(totals[i].bytes_variance);
		p->interval_allocations = half_interval(totals[i].allocations_variance);
	}
	return err;
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
	const uint64_t lost_mappings = mapping_watch_lost(a->tracing->mappings);
	const uint64_t gaps = mapping_watch_gaps(a->tracing->mappings);
	const uint64_t missed_runs = kernel_missed_runs(a->tracing->kernel);
	struct report *report = &r->report;
	int err = 0;

	for (size_t i = 0; i < r->snapshot.n_losses && !err; i++)
		err = losses_add(&report->losses, &report->n_losses, r->snapshot.losses[i].cause,
				 r->snapshot.losses[i].count);
	if (!err && lost_mappings)
		err = losses_add(&report->losses, &report->n_losses, "mapping_ring_full",
				 lost_mappings);
	if (!err && gaps)
		err = losses_add(&report->losses, &report->n_losses, "mapping_gaps", gaps);
	if (!err && a->tracing->n_unprobed)
		err = losses_add(&report->losses, &report->n_losses, "processes_not_probed",
				 a->tracing->n_unprobed);
	if (!err && missed_runs)
		err = losses_add(&report->losses, &report->n_losses, "missed_runs", missed_runs);
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

/* What the user did not want, and, when everything is traced, those of which there is nothing to say. */
static bool is_hidden(const struct assembly *a, const struct snapshot_process *from,
		      const struct process_report *p)
{
	const struct traced *traced = tracing_find(a->tracing, from->instance);

	if (traced && traced->dismissed)
		return true;
	return a->tracing->everything && !p->allocations && !p->unknown_frees &&
	       !p->inherited_frees && !p->n_losses && !p->oom_killed;
}

static void drop_hidden_sites(struct report *report, const uint32_t *place)
{
	size_t n = 0;

	for (size_t i = 0; i < report->n_sites; i++)
		if (place[report->sites[i].process] != NOWHERE)
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
		place[i] = NOWHERE;
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

int assemble(struct assembly *a, bool last, struct assembled *ret, struct diag *d)
{
	struct assembled r = {0};
	struct hashmap indices = HASHMAP_INIT;
	int err;

	tracing_refresh(a->tracing);
	tracing_drain(a->tracing);
	err = collector_read(a->tracing->collector, &r.snapshot, d);
	if (err)
		return err;
	/* Whoever came after the drain and is in the snapshot has a name, too; one that ended is not met again after it is forgotten. */
	tracing_drain(a->tracing);
	r.report.time_ns = clock_realtime_ns();
	r.report.elapsed_seconds = (double)(r.snapshot.time_ns - a->start_ns) / NS_PER_SECOND;
	r.report.sequence = ++a->sequence;
	r.report.map_bytes = kernel_map_bytes(a->tracing->kernel, &r.report.map_bytes_bound);
	if (a->tracing->unwinder)
		r.report.map_bytes += unwinder_map_bytes(a->tracing->unwinder);
	err = fill_processes(a, last, &r, &indices);
	if (!err)
		err = fill_sites(a, &r, &indices);
	if (!err && (a->sampled || a->older_ns || any_estimated(&r.report)))
		err = sum_blocks(a, &r);
	if (!err)
		err = fill_losses(a, &r);
	hashmap_done(&indices);
	if (err) {
		assembled_settle(a, &r);
		return diag_set(d, -err, "cannot make the report: %s", strerror(-err));
	}
	sum_sites(&r.report, a->pages);
	if (order_processes(a, &r)) {
		assembled_settle(a, &r);
		return diag_set(d, ENOMEM, "out of memory");
	}
	merge_sites(&r.report);
	rank_sites(r.report.sites, r.report.n_sites, a->by_count);
	growth_update(a->growth, &r.report);
	*ret = r;
	return 0;
}

/* Names of stacks go with their sites, which end with their process or are evicted. */
static void drop_names(struct assembly *a)
{
	struct {
		uint64_t *items;
		size_t n, cap;
	} old = {0};
	const struct named_stack *n;
	size_t cursor = 0;
	uint64_t stack;
	int err = 0;

	while (!err && (n = hashmap_next(&a->named, &cursor, &stack)))
		if (n->sequence != a->sequence)
			err = vec_push(&old, stack);
	for (size_t i = 0; i < old.n; i++)
		named_free(hashmap_take(&a->named, old.items[i]));
	free(old.items);
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
	drop_names(a);
	for (size_t i = 0; i < r->n_notes; i++)
		free(r->notes[i]);
	free(r->notes);
	free(r->report.processes);
	free(r->report.sites);
	free(r->report.losses);
	free(r->refs);
	hashmap_done(&r->site_index);
	snapshot_done(&r->snapshot);
	pthread_mutex_lock(&a->tracing->lock);
	symbolizer_trim(a->tracing->symbolizer);
	pthread_mutex_unlock(&a->tracing->lock);
}

struct passing {
	const struct assembly *a;
	const struct assembled *r;
	int (*visit)(void *arg, const struct block *b);
	void *arg;
};

static int pass_block(void *arg, const struct snapshot_block *b)
{
	const struct passing *p = arg;
	const struct site_ref *ref =
		hashmap_get(&p->r->site_index, site_key(b->stack, b->instance, b->kind));
	uint64_t now = p->r->snapshot.time_ns;

	if (!ref || ref->process == NOWHERE || !old_enough(p->a, p->r, b))
		return 0;
	return p->visit(p->arg,
			&(struct block){
				.process = ref->process,
				.address = b->address,
				.size_bytes = b->size_bytes,
				.age_seconds = now > b->time_ns
						       ? (double)(now - b->time_ns) / NS_PER_SECOND
						       : 0,
				.site = ref->fingerprint,
				.reachable = -1,
			});
}

int assembled_each_block(struct assembly *a, const struct assembled *r,
			 int (*visit)(void *arg, const struct block *b), void *arg)
{
	struct passing p = {a, r, visit, arg};

	return collector_each_block(a->tracing->collector, pass_block, &p);
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
