// SPDX-License-Identifier: BSD-2-Clause
#include "output/openmetrics.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "model/metrics.h"
#include "output/exposition.h"
#include "output/output.h"
#include "output/record.h"
#include "output/stream.h"
#include "output/text_fold.h"

/* What the processes of one group have now. */
struct now {
	uint64_t n_processes, n_leaking, outstanding_bytes, outstanding_allocations;
	uint64_t resident_bytes, limit_bytes, limit_hits; /* limit: the lowest; 0: none */
	double oldest_seconds;				  /* NAN: not known, like the next */
	double growth, seconds_to_limit, overhead_ratio;
};

/* One call site in all processes that have it. */
struct place {
	const struct site *site; /* one of its sites, for the names */
	uint64_t outstanding_bytes, outstanding_allocations;
	double growth; /* NAN: of none it is known */
};

struct places {
	struct place *items;
	size_t n, cap;
	struct hashmap by_site; /* fingerprint and kind -> number + 1 */
	struct place other;
};

struct writer {
	struct exposition e;
	const struct metrics *m;
	struct now *groups;		       /* as metrics.groups */
	const struct process_report **largest; /* processes by what they hold */
	struct places places;
};

#define N_LABELS 4

static void group_labels(const struct metrics_labels *l, struct exposition_label out[N_LABELS])
{
	out[0] = (struct exposition_label){"namespace", l->namespace_};
	out[1] = (struct exposition_label){"pod", l->pod};
	out[2] = (struct exposition_label){"container", l->container};
	out[3] = (struct exposition_label){"comm", l->comm};
}

static void add_number(double *sum, double value)
{
	if (!isnan(value))
		*sum = isnan(*sum) ? value : *sum + value;
}

static void keep_if(double *kept, double value, bool larger)
{
	if (!isnan(value) && (isnan(*kept) || (larger ? value > *kept : value < *kept)))
		*kept = value;
}

static void add_process(struct now *g, const struct process_report *p)
{
	g->n_processes++;
	g->n_leaking += p->verdict && !strcmp(p->verdict, "leak");
	g->outstanding_bytes += p->outstanding_bytes;
	g->outstanding_allocations += p->outstanding_allocations;
	g->resident_bytes += p->rss_bytes;
	g->limit_hits += p->limit_hits;
	if (p->limit_bytes && (!g->limit_bytes || p->limit_bytes < g->limit_bytes))
		g->limit_bytes = p->limit_bytes;
	add_number(&g->growth, p->growth_bytes_per_second);
	keep_if(&g->seconds_to_limit, p->seconds_to_limit, false);
	keep_if(&g->overhead_ratio, p->overhead_ratio, true);
}

static int add_site(struct places *all, const struct site *s)
{
	uint64_t key = s->fingerprint ^ (uint64_t)s->kind << 56;
	size_t number = (uintptr_t)hashmap_get(&all->by_site, key);

	if (!s->outstanding_bytes && !s->outstanding_allocations)
		return 0;
	if (s->suppressed) {
		all->other.outstanding_bytes += s->outstanding_bytes;
		all->other.outstanding_allocations += s->outstanding_allocations;
		return 0;
	}
	if (!number) {
		if (vec_push(all, (struct place){.site = s, .growth = NAN}) ||
		    hashmap_put(&all->by_site, key, (void *)(uintptr_t)all->n))
			return -ENOMEM;
		number = all->n;
	}
	add_number(&all->items[number - 1].growth, s->growth_bytes_per_second);
	all->items[number - 1].outstanding_bytes += s->outstanding_bytes;
	all->items[number - 1].outstanding_allocations += s->outstanding_allocations;
	return 0;
}

static int by_size(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = by_size(x->outstanding_bytes, y->outstanding_bytes);

	return order ? order : by_size(y->site->fingerprint, x->site->fingerprint);
}

static int compare_processes(const void *a, const void *b)
{
	const struct process_report *x = *(const struct process_report **)a;
	const struct process_report *y = *(const struct process_report **)b;
	int order = by_size(x->outstanding_bytes, y->outstanding_bytes);

	return order ? order : by_size(y->pid, x->pid);
}

static int count(struct writer *w)
{
	const struct report *r = w->m->report;

	w->groups = calloc(w->m->n_groups + 1, sizeof(*w->groups));
	w->largest = calloc(r->n_processes + 1, sizeof(*w->largest));
	if (!w->groups || !w->largest)
		return -ENOMEM;
	for (size_t i = 0; i < w->m->n_groups; i++)
		w->groups[i] = (struct now){.oldest_seconds = NAN,
					    .growth = NAN,
					    .seconds_to_limit = NAN,
					    .overhead_ratio = NAN};
	for (size_t i = 0; i < r->n_processes; i++) {
		add_process(&w->groups[w->m->group_of[i]], &r->processes[i]);
		w->largest[i] = &r->processes[i];
	}
	for (size_t i = 0; i < r->n_sites; i++) {
		const struct site *s = &r->sites[i];
		struct now *g = &w->groups[w->m->group_of[s->process]];

		if (s->outstanding_allocations && s->oldest_age_seconds >= 0)
			keep_if(&g->oldest_seconds, s->oldest_age_seconds, true);
		if (output_is_counted(w->m->session, s) && add_site(&w->places, s))
			return -ENOMEM;
	}
	if (w->places.n)
		qsort(w->places.items, w->places.n, sizeof(*w->places.items), compare_places);
	qsort(w->largest, r->n_processes, sizeof(*w->largest), compare_processes);
	return 0;
}

/* A figure of each group that has it: one of struct now, at offset. */
static void put_gauge(struct writer *w, const char *name, const char *unit, const char *help,
		      size_t offset, bool zero_is_none)
{
	struct exposition_label labels[N_LABELS];

	exposition_family(&w->e, name, EXPOSITION_GAUGE, unit, help);
	for (size_t i = 0; i < w->m->n_groups; i++) {
		uint64_t value = *(uint64_t *)((char *)&w->groups[i] + offset);

		if (!w->groups[i].n_processes || (zero_is_none && !value))
			continue;
		group_labels(&w->m->groups[i].labels, labels);
		exposition_count(&w->e, labels, N_LABELS, value);
	}
}

static void put_number(struct writer *w, const char *name, const char *unit, const char *help,
		       size_t offset)
{
	struct exposition_label labels[N_LABELS];

	exposition_family(&w->e, name, EXPOSITION_GAUGE, unit, help);
	for (size_t i = 0; i < w->m->n_groups; i++) {
		double value;

		memcpy(&value, (const char *)&w->groups[i] + offset, sizeof(value));
		if (!w->groups[i].n_processes || isnan(value))
			continue;
		group_labels(&w->m->groups[i].labels, labels);
		exposition_value(&w->e, labels, N_LABELS, value);
	}
}

static void put_counter(struct writer *w, const char *name, const char *unit, const char *help,
			size_t offset)
{
	struct exposition_label labels[N_LABELS];

	exposition_family(&w->e, name, EXPOSITION_COUNTER, unit, help);
	for (size_t i = 0; i < w->m->n_groups; i++) {
		const struct metrics_group *g = &w->m->groups[i];

		/* The first has nothing to say as long as all have their own. */
		if (!i && !g->allocations && !g->frees && !w->groups[i].n_processes)
			continue;
		group_labels(&g->labels, labels);
		exposition_count(&w->e, labels, N_LABELS, *(uint64_t *)((char *)g + offset));
	}
}

static void put_groups(struct writer *w)
{
	put_gauge(w, "seep_traced_processes", NULL, "Processes that are traced now.",
		  offsetof(struct now, n_processes), false);
	put_gauge(w, "seep_leaking_processes", NULL, "Of these, those whose verdict is leak.",
		  offsetof(struct now, n_leaking), false);
	put_gauge(w, "seep_outstanding_bytes", "bytes", "Memory allocated and not freed.",
		  offsetof(struct now, outstanding_bytes), false);
	put_gauge(w, "seep_outstanding_allocations", NULL, "Blocks allocated and not freed.",
		  offsetof(struct now, outstanding_allocations), false);
	put_number(w, "seep_oldest_allocation_seconds", "seconds", "Age of the oldest of these.",
		   offsetof(struct now, oldest_seconds));
	put_number(w, "seep_growth_bytes_per_second", NULL,
		   "Growth of what is outstanding, of processes of which it is known.",
		   offsetof(struct now, growth));
	put_gauge(w, "seep_resident_bytes", "bytes", "Resident memory of traced processes.",
		  offsetof(struct now, resident_bytes), false);
	put_gauge(w, "seep_memory_limit_bytes", "bytes",
		  "Memory limit of their cgroups, the lowest one.",
		  offsetof(struct now, limit_bytes), true);
	put_number(w, "seep_time_to_limit_seconds", "seconds",
		   "Until the first of them reaches its limit, if it goes on like this.",
		   offsetof(struct now, seconds_to_limit));
	put_number(w, "seep_overhead_ratio", "ratio",
		   "CPU time that probes cost a process, by its own; of the one that pays most.",
		   offsetof(struct now, overhead_ratio));
	put_counter(w, "seep_allocated_bytes", "bytes",
		    "Memory allocated while traced, by processes that have ended, too.",
		    offsetof(struct metrics_group, allocated_bytes));
	put_counter(w, "seep_freed_bytes", "bytes", "The same of memory freed.",
		    offsetof(struct metrics_group, freed_bytes));
	put_counter(w, "seep_allocations", NULL, "The same of allocations.",
		    offsetof(struct metrics_group, allocations));
	put_counter(w, "seep_frees", NULL, "The same of frees.",
		    offsetof(struct metrics_group, frees));
}

/* Where ids go: too many values for a label, but an alert wants to name them. */
static void put_infos(struct writer *w, size_t n)
{
	exposition_family(&w->e, "seep_process", EXPOSITION_INFO, NULL,
			  "Who the processes are that seep_process_outstanding_bytes is of.");
	for (size_t i = 0; i < n; i++) {
		const struct process_report *p = w->largest[i];
		char pid[16];
		struct exposition_label labels[] = {
			{"pid", pid},
			{"comm", p->comm},
			{"exe", p->exe},
			{"container", p->container_name ? p->container_name : p->container},
			{"container_id", p->container},
			{"namespace", p->namespace_},
			{"pod", p->pod},
			{"pod_uid", p->pod_uid},
			{"cgroup", p->cgroup},
			{"verdict", p->verdict},
			{"mode", p->mode},
		};

		snprintf(pid, sizeof(pid), "%" PRIu32, p->pid);
		exposition_count(&w->e, labels, ARRAY_SIZE(labels), 1);
	}
}

static void put_processes(struct writer *w)
{
	size_t n = w->m->report->n_processes;
	uint64_t left_out = 0;

	exposition_family(&w->e, "seep_process_outstanding_bytes", EXPOSITION_GAUGE, "bytes",
			  "Memory allocated and not freed, of the processes that hold most.");
	for (size_t i = 0; i < n; i++) {
		const struct process_report *p = w->largest[i];
		char pid[16];

		if (i >= OPENMETRICS_PROCESSES) {
			left_out += p->outstanding_bytes;
			continue;
		}
		snprintf(pid, sizeof(pid), "%" PRIu32, p->pid);
		exposition_count(&w->e,
				 (struct exposition_label[]){{"pid", pid}, {"comm", p->comm}}, 2,
				 p->outstanding_bytes);
	}
	if (n > OPENMETRICS_PROCESSES)
		exposition_count(&w->e, (struct exposition_label[]){{"comm", OPENMETRICS_OTHER}}, 1,
				 left_out);
	put_infos(w, n < OPENMETRICS_PROCESSES ? n : OPENMETRICS_PROCESSES);
}

/* The name that tells whose code it is. Returns out, or a name that lives as long as the site. */
static const char *function_of(const struct site *s, char *out, size_t n)
{
	struct text_fold fold = {0};
	const struct frame *f;

	if (!s->n_frames)
		return "[unknown]";
	text_fold(s->frames, s->n_frames, NULL, 1, &fold);
	f = &s->frames[fold.n ? fold.frames[0] : 0];
	if (f->function)
		return f->function;
	format_frame(f, out, n);
	return out;
}

/* value: of any type, as a double holds it: exact up to 2^53. */
static void put_place(struct writer *w, const struct place *p, double value)
{
	char site[24], family[24], function[512];
	struct exposition_label labels[] = {
		{"site", site},
		{"family", family},
		{"kind", record_kind(p->site->kind)},
		{"function", function_of(p->site, function, sizeof(function))},
	};

	snprintf(site, sizeof(site), "%016" PRIx64, p->site->fingerprint);
	snprintf(family, sizeof(family), "%016" PRIx64, p->site->family);
	exposition_value(&w->e, labels, ARRAY_SIZE(labels), value);
}

static void put_other_places(struct writer *w, double value)
{
	exposition_value(&w->e,
			 (struct exposition_label[]){{"site", OPENMETRICS_OTHER},
						     {"function", OPENMETRICS_OTHER}},
			 2, value);
}

static void put_places(struct writer *w)
{
	struct places *all = &w->places;
	size_t n = all->n < OPENMETRICS_SITES ? all->n : OPENMETRICS_SITES;

	all->other.growth = NAN;
	for (size_t i = n; i < all->n; i++) {
		add_number(&all->other.growth, all->items[i].growth);
		all->other.outstanding_bytes += all->items[i].outstanding_bytes;
		all->other.outstanding_allocations += all->items[i].outstanding_allocations;
	}
	exposition_family(&w->e, "seep_site_outstanding_bytes", EXPOSITION_GAUGE, "bytes",
			  "Memory allocated and not freed, of the call sites that hold most.");
	for (size_t i = 0; i < n; i++)
		put_place(w, &all->items[i], all->items[i].outstanding_bytes);
	if (all->other.outstanding_bytes)
		put_other_places(w, all->other.outstanding_bytes);
	exposition_family(&w->e, "seep_site_outstanding_allocations", EXPOSITION_GAUGE, NULL,
			  "Blocks allocated and not freed, of the same call sites.");
	for (size_t i = 0; i < n; i++)
		put_place(w, &all->items[i], all->items[i].outstanding_allocations);
	if (all->other.outstanding_allocations)
		put_other_places(w, all->other.outstanding_allocations);
	exposition_family(&w->e, "seep_site_growth_bytes_per_second", EXPOSITION_GAUGE, NULL,
			  "Growth of what is outstanding, of those of them of which it is known.");
	for (size_t i = 0; i < n; i++)
		if (!isnan(all->items[i].growth))
			put_place(w, &all->items[i], all->items[i].growth);
	if (!isnan(all->other.growth))
		put_other_places(w, all->other.growth);
}

static void put_losses(struct writer *w, const char *name, const char *help, const char *label,
		       const struct loss *losses, size_t n)
{
	exposition_family(&w->e, name, EXPOSITION_COUNTER, NULL, help);
	for (size_t i = 0; i < n; i++)
		exposition_count(&w->e, (struct exposition_label[]){{label, losses[i].cause}}, 1,
				 losses[i].count);
}

static void put_one(struct writer *w, const char *name, enum exposition_type type, const char *unit,
		    const char *help, uint64_t value)
{
	exposition_family(&w->e, name, type, unit, help);
	exposition_count(&w->e, NULL, 0, value);
}

static void put_self(struct writer *w)
{
	const struct metrics *m = w->m;
	uint64_t n_stacks = 0;

	for (size_t i = 0; i < m->n_groups; i++)
		n_stacks += m->groups[i].n_stacks;
	put_losses(w, "seep_events_lost", "Events that are not in these figures, by cause.",
		   "cause", m->losses, m->n_losses);
	put_one(w, "seep_stacks", EXPOSITION_COUNTER, NULL, "Stacks taken.", n_stacks);
	put_losses(w, "seep_stacks_truncated", "Stacks that end early, by reason.", "reason",
		   m->truncated, m->n_truncated);
	put_one(w, "seep_reports", EXPOSITION_COUNTER, NULL, "Reports taken.", m->n_reports);
	put_one(w, "seep_sites_omitted", EXPOSITION_GAUGE, NULL,
		"Call sites that are in a site [other], for want of room.", m->n_sites_omitted);
	put_one(w, "seep_kernel_memory_bytes", EXPOSITION_GAUGE, "bytes",
		"Kernel memory of seep's maps.", m->report->map_bytes);
	exposition_family(&w->e, "seep_report_timestamp_seconds", EXPOSITION_GAUGE, "seconds",
			  "When the figures were taken, since 1970.");
	exposition_value(&w->e, NULL, 0, (double)m->report->time_ns / 1e9);
	exposition_family(&w->e, "seep_build", EXPOSITION_INFO, NULL, "The seep that traces.");
	exposition_count(&w->e,
			 (struct exposition_label[]){
				 {"version", m->session->version},
				 {"kernel", m->session->kernel},
				 {"mode", m->session->mode == REPORT_EXACT ? "exact" : "sampled"}},
			 3, 1);
	exposition_family(&w->e, "process_cpu_seconds", EXPOSITION_COUNTER, "seconds",
			  "CPU time of seep itself.");
	exposition_value(&w->e, NULL, 0, m->cpu_seconds);
	if (m->resident_bytes)
		put_one(w, "process_resident_memory_bytes", EXPOSITION_GAUGE, "bytes",
			"Resident memory of seep itself.", m->resident_bytes);
}

int openmetrics_write(FILE *f, bool openmetrics, const struct metrics *m)
{
	struct writer w = {.e = {.f = f, .openmetrics = openmetrics}, .m = m};
	int err = count(&w);

	if (!err) {
		put_groups(&w);
		put_processes(&w);
		put_places(&w);
		put_self(&w);
		exposition_end(&w.e);
		err = stream_result(f);
	}
	free(w.groups);
	free(w.largest);
	free(w.places.items);
	hashmap_done(&w.places.by_site);
	return err;
}
