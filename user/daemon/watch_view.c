// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/watch_view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "process/host_memory.h"
#include "process/pressure.h"

/* What a report is made of: candidates are indices of items. */
struct choice {
	const struct watcher_item *items;
	struct chosen {
		const struct watcher_item *item;
		size_t place; /* in the watcher's order */
	} * processes, *cgroups;
	size_t n_processes, n_cgroups;
	/* By index of the pass's cgroups. */
	struct members {
		const struct watch_process *first; /* shown as the cgroup's */
		size_t n;
		bool wanted;
	} * members;
};

static bool is_pid_of(const struct watched_pid *w, const struct watch_process *p)
{
	return w->pid == p->pid && w->start_boottime_ns == p->start_boottime_ns;
}

int view_pin(struct watch_view *v, const struct watch_pass *pass)
{
	const struct pid_list *pids = &v->options->pids;

	for (size_t i = 0; i < pids->n; i++)
		for (size_t j = 0; j < pass->n_processes; j++) {
			const struct watch_process *p = &pass->processes[j];

			if (p->pid == (uint32_t)pids->items[i] &&
			    vec_push(&v->pids, (struct watched_pid){p->pid, p->start_boottime_ns}))
				return -ENOMEM;
		}
	return 0;
}

bool view_is_over(const struct watch_view *v, const struct watch_pass *pass)
{
	if (!v->options->pids.n)
		return false;
	for (size_t i = 0; i < v->pids.n; i++)
		for (size_t j = 0; j < pass->n_processes; j++)
			if (is_pid_of(&v->pids.items[i], &pass->processes[j]))
				return false;
	return true;
}

static uint64_t cgroup_id(const struct watch_pass *pass, const struct watch_process *p)
{
	return p->cgroup < pass->n_cgroups ? pass->cgroups[p->cgroup].id : 0;
}

static bool is_selected(struct watch_view *v, const struct watch_pass *pass,
			const struct watch_process *p)
{
	const struct details *details;
	bool given = !v->options->pids.n;

	for (size_t i = 0; i < v->pids.n && !given; i++)
		given = is_pid_of(&v->pids.items[i], p);
	if (!given || selector_is_empty(&v->selector))
		return given;
	if (v->selector.user && p->uid != v->selector.uid)
		return false;
	details = details_get(&v->details, p, cgroup_id(pass, p));
	return details && details->selected;
}

size_t view_count(struct watch_view *v, const struct watch_pass *pass)
{
	size_t n = 0;

	for (size_t i = 0; i < pass->n_processes; i++)
		n += is_selected(v, pass, &pass->processes[i]);
	return n;
}

static bool grows(const struct watcher_item *item)
{
	return item->suspect ||
	       (item->estimate.bytes_per_second > 0 && strcmp(item->estimate.verdict, "steady"));
}

static struct members *members_of(const struct choice *c, const struct watch_pass *pass,
				  const struct watcher_item *item)
{
	for (size_t i = 0; i < pass->n_cgroups; i++)
		if (pass->cgroups[i].id == item->cgroup.id)
			return &c->members[i];
	return NULL;
}

static void count_member(struct choice *c, const struct watch_pass *pass,
			 const struct watch_process *p, bool wanted)
{
	struct members *m;

	if (p->cgroup >= pass->n_cgroups)
		return;
	m = &c->members[p->cgroup];
	if (!m->n++)
		m->first = p;
	m->wanted = m->wanted || wanted;
}

/* Which items are to be shown, the limit on rows aside. */
static void choose(struct watch_view *v, const struct watch_pass *pass, struct choice *c,
		   size_t n_items)
{
	const struct watch_view_options *o = v->options;

	for (size_t i = 0; i < n_items; i++) {
		const struct watcher_item *item = &c->items[i];
		bool selected;

		if (item->is_cgroup)
			continue;
		selected = is_selected(v, pass, &item->process);
		count_member(c, pass, &item->process, selected);
		if (selected && !o->cgroups && (o->all || o->pids.n || grows(item)))
			c->processes[c->n_processes++] = (struct chosen){item, i};
	}
	for (size_t i = 0; i < n_items; i++) {
		const struct watcher_item *item = &c->items[i];
		const struct members *m;

		if (!item->is_cgroup || !(o->all || grows(item)))
			continue;
		m = members_of(c, pass, item);
		if (m && m->wanted)
			c->cgroups[c->n_cgroups++] = (struct chosen){item, i};
	}
}

static double memory_bytes(const struct watcher_item *item)
{
	if (item->is_cgroup)
		return item->cgroup.current_bytes;
	return (double)item->process.anon_bytes + item->process.shmem_bytes +
	       item->process.swap_bytes;
}

/* Larger comes first; NAN last. */
static double sort_key(const struct watcher_item *item, enum watch_sort sort)
{
	double key = 0;

	switch (sort) {
	case WATCH_SORT_WORST:
		break;
	case WATCH_SORT_GROWTH:
		key = item->estimate.bytes_per_second;
		break;
	case WATCH_SORT_SIZE:
		key = memory_bytes(item);
		break;
	case WATCH_SORT_LIMIT:
		key = -item->seconds_to_limit;
		break;
	}
	return isnan(key) ? -INFINITY : key;
}

static int compare(const void *a, const void *b, void *sort)
{
	const struct chosen *x = a, *y = b;
	double x_key = sort_key(x->item, *(int *)sort), y_key = sort_key(y->item, *(int *)sort);

	if (x->item->suspect != y->item->suspect)
		return x->item->suspect ? -1 : 1;
	if (x_key != y_key)
		return x_key > y_key ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

/* How many of the sorted ones are shown. */
static size_t cut(const struct watch_view_options *o, const struct chosen *chosen, size_t n)
{
	size_t n_suspects = 0;

	if (!o->top)
		return n;
	while (n_suspects < n && chosen[n_suspects].item->suspect)
		n_suspects++;
	return n - n_suspects > o->top ? n_suspects + o->top : n;
}

static struct watch_row row_of(const struct watcher_item *item)
{
	const struct watch_process *p = &item->process;
	struct watch_row row = {
		.is_cgroup = item->is_cgroup,
		.suspect = item->suspect,
		.anon_bytes = p->anon_bytes,
		.file_bytes = p->file_bytes,
		.shmem_bytes = p->shmem_bytes,
		.swap_bytes = p->swap_bytes,
		.page_table_bytes = p->page_table_bytes,
		.current_bytes = item->is_cgroup ? item->cgroup.current_bytes : 0,
		.limit_bytes = item->cgroup.limit_bytes,
		.memory_pressure_ratio = NAN,
		.growth_bytes_per_second = item->estimate.bytes_per_second,
		.growth_low_bytes_per_second = item->estimate.low_bytes_per_second,
		.growth_high_bytes_per_second = item->estimate.high_bytes_per_second,
		.confidence = item->estimate.confidence,
		.verdict = item->estimate.verdict,
		.growing_since_seconds = item->estimate.since_seconds,
		.seconds_to_limit = item->seconds_to_limit,
	};

	trend_line(item->trend, row.line, WATCH_LINE_VALUES);
	return row;
}

static int show_process(struct watch_view *v, const struct watch_pass *pass,
			const struct watcher_item *item)
{
	struct watch_row row = row_of(item);
	const struct details *details =
		details_get(&v->details, &item->process, cgroup_id(pass, &item->process));

	if (!details)
		return -ENOMEM;
	row.pid = item->process.pid;
	row.start_ns = details->start_ns;
	row.comm = details->comm;
	row.exe = details->exe;
	row.cgroup = details->cgroup;
	row.container = details->container;
	return vec_push(&v->processes, row);
}

static int show_cgroup(struct watch_view *v, const struct watcher_item *item,
		       const struct members *m)
{
	struct watch_row row = row_of(item);
	const struct details *details = details_get(&v->details, m->first, item->cgroup.id);

	if (!details)
		return -ENOMEM;
	row.cgroup = details->memory_cgroup;
	row.container = details->container;
	row.n_processes = m->n;
	if (details->pressure_path)
		row.memory_pressure_ratio = pressure_read(details->pressure_path);
	return vec_push(&v->cgroups, row);
}

static int show(struct watch_view *v, const struct watch_pass *pass, struct choice *c,
		struct watch_report *r)
{
	size_t n_processes = cut(v->options, c->processes, c->n_processes);
	size_t n_cgroups = cut(v->options, c->cgroups, c->n_cgroups);
	int err = 0;

	v->processes.n = v->cgroups.n = 0;
	for (size_t i = 0; i < n_processes && !err; i++)
		err = show_process(v, pass, c->processes[i].item);
	for (size_t i = 0; i < n_cgroups && !err; i++)
		err = show_cgroup(v, c->cgroups[i].item, members_of(c, pass, c->cgroups[i].item));
	r->processes = v->processes.items;
	r->n_processes = v->processes.n;
	r->cgroups = v->cgroups.items;
	r->n_cgroups = v->cgroups.n;
	r->n_more = c->n_processes - n_processes;
	r->n_more_cgroups = c->n_cgroups - n_cgroups;
	return err;
}

static void sum_up(const struct watch_pass *pass, const struct choice *c, size_t n_items,
		   struct watch_report *r)
{
	struct host_memory memory;

	for (size_t i = 0; i < c->n_processes; i++)
		if (c->processes[i].item->suspect) {
			r->n_suspects++;
			r->suspects_bytes_per_second +=
				c->processes[i].item->estimate.bytes_per_second;
		}
	for (size_t i = 0; i < c->n_cgroups; i++)
		r->n_suspects += c->cgroups[i].item->suspect;
	for (size_t i = 0; i < n_items; i++)
		r->n_early += !c->items[i].is_cgroup &&
			      isnan(c->items[i].estimate.bytes_per_second);
	host_memory_read(&memory);
	r->host = (struct watch_host){
		.n_processes = pass->n_processes,
		.memory_bytes = memory.total_bytes,
		.available_bytes = memory.available_bytes,
		.swap_bytes = memory.swap_bytes,
		.swap_free_bytes = memory.swap_free_bytes,
		.memory_pressure_ratio = pressure_read(PRESSURE_HOST),
	};
}

int view_report(struct watch_view *v, const struct watch_pass *pass,
		const struct watcher_item *items, size_t n_items, struct watch_report *ret)
{
	struct choice c = {
		.items = items,
		.processes = calloc(n_items + 1, sizeof(*c.processes)),
		.cgroups = calloc(n_items + 1, sizeof(*c.cgroups)),
		.members = calloc(pass->n_cgroups + 1, sizeof(*c.members)),
	};
	int err = c.processes && c.cgroups && c.members ? 0 : -ENOMEM, sort = v->options->sort;

	v->details.selector = &v->selector;
	if (!err) {
		choose(v, pass, &c, n_items);
		qsort_r(c.processes, c.n_processes, sizeof(*c.processes), compare, &sort);
		qsort_r(c.cgroups, c.n_cgroups, sizeof(*c.cgroups), compare, &sort);
		sum_up(pass, &c, n_items, ret);
		err = show(v, pass, &c, ret);
	}
	/* What rows borrow was asked for just now. */
	details_settle(&v->details);
	free(c.processes);
	free(c.cgroups);
	free(c.members);
	return err;
}

void view_done(struct watch_view *v)
{
	details_done(&v->details);
	free(v->pids.items);
	free(v->processes.items);
	free(v->cgroups.items);
}
