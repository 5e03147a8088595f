// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/watcher.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/vec.h"

#define NSEC_PER_SEC 1e9

/* Who is suspected: surely growing, and by more than a leaky logger's 20 MB a day. */
#define SUSPECT_CONFIDENCE 0.7
#define SUSPECT_BYTES_PER_SECOND 256
/* Of a cgroup's growth: a process that explains so much is the suspect in its stead. */
#define EXPLAINS_RATIO 0.75
/* Of a cgroup's memory: when processes end that held so much, it begins anew. */
#define RESTART_RATIO 0.5
/* What ended counts for that only when it lived so long: a build's jobs come and go, which is churn. */
#define RESTART_LIFE_SECONDS 60
/* A restart may leave a cgroup without processes so long. */
#define EMPTY_CGROUP_SECONDS 60
/* Time to the limit from which on it does not press. */
#define FAR_SECONDS 1e6

/* What lasts from pass to pass of a process (by pid, the rest of its identity is compared) or a cgroup (by id). */
struct member {
	struct trend *trend;
	uint64_t seen; /* the last pass that had it */
	double bytes;  /* then */

	uint64_t start_boottime_ns, program, cgroup; /* of a process; the cgroup's id or 0 */
	double first_seconds, last_seconds;	     /* of a process: the passes that had it */

	double seen_seconds, ended_bytes; /* of a cgroup: held by processes that ended since */
	size_t item;			  /* of a cgroup: its index in the pass's items */
};

struct rank {
	double score, bytes;
	size_t item;
};

struct watcher {
	struct hashmap processes, cgroups; /* struct member */
	uint64_t pass;
	size_t n_seen; /* processes of this pass */
	struct {
		struct watcher_item *items;
		size_t n, cap;
	} now, ranked;
	struct rank *ranks;
	size_t n_ranks; /* allocated */
	bool is_ranked;
};

static double grown_bytes(const struct watch_process *p)
{
	return (double)p->anon_bytes + p->shmem_bytes + p->swap_bytes;
}

int watcher_create(struct watcher **ret)
{
	struct watcher *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*ret = w;
	return 0;
}

static void member_destroy(struct member *m)
{
	if (!m)
		return;
	trend_destroy(m->trend);
	free(m);
}

static void members_destroy(struct hashmap *members)
{
	struct member *m;
	size_t cursor = 0;

	while ((m = hashmap_next(members, &cursor, NULL)))
		member_destroy(m);
	hashmap_done(members);
}

void watcher_destroy(struct watcher *w)
{
	if (!w)
		return;
	members_destroy(&w->processes);
	members_destroy(&w->cgroups);
	free(w->now.items);
	free(w->ranked.items);
	free(w->ranks);
	free(w);
}

/* A new member under key. Returns NULL without memory. */
static struct member *member_add(struct hashmap *members, uint64_t key)
{
	struct member *m = calloc(1, sizeof(*m));

	if (m && !trend_create(&m->trend) && !hashmap_put(members, key, m))
		return m;
	member_destroy(m);
	return NULL;
}

/* What a process held is no longer its cgroup's. */
static void leave_cgroup(struct watcher *w, const struct member *process)
{
	struct member *cgroup = process->cgroup ? hashmap_get(&w->cgroups, process->cgroup) : NULL;

	if (cgroup && process->last_seconds - process->first_seconds >= RESTART_LIFE_SECONDS)
		cgroup->ended_bytes += process->bytes;
}

/* The process's member: m, that of its pid or NULL, or anew when that was of another process or program. NULL without memory. */
static struct member *process_member(struct watcher *w, const struct watch_process *p,
				     struct member *m)
{
	if (m && (m->start_boottime_ns != p->start_boottime_ns || m->program != p->program)) {
		leave_cgroup(w, m);
		member_destroy(hashmap_take(&w->processes, p->pid));
		m = NULL;
	}
	if (!m)
		m = member_add(&w->processes, p->pid);
	if (!m)
		return NULL;
	m->start_boottime_ns = p->start_boottime_ns;
	m->program = p->program;
	return m;
}

static int take_process(struct watcher *w, const struct watch_pass *pass,
			const struct watch_process *p)
{
	struct watcher_item item = {.process = *p, .seconds_to_limit = NAN};
	struct member *m = hashmap_get(&w->processes, p->pid);

	/* A pid seen twice was used again while the pass was taken. */
	if (m && m->seen == w->pass)
		return 0;
	m = process_member(w, p, m);
	if (!m)
		return -ENOMEM;
	m->seen = w->pass;
	w->n_seen++;
	if (p->cgroup < pass->n_cgroups)
		item.cgroup = pass->cgroups[p->cgroup];
	else
		item.process.cgroup = WATCH_NO_CGROUP;
	m->last_seconds = pass->time_ns / NSEC_PER_SEC;
	if (!(m->first_seconds > 0))
		m->first_seconds = m->last_seconds;
	if (m->cgroup && m->cgroup != item.cgroup.id)
		leave_cgroup(w, m);
	m->cgroup = item.cgroup.id;
	m->bytes = grown_bytes(p);
	trend_add(m->trend, pass->time_ns / NSEC_PER_SEC, m->bytes);
	item.trend = m->trend;
	return vec_push(&w->now, item);
}

/* Forgets members that are gone: processes at once, cgroups some time later. */
static int forget(struct watcher *w, struct hashmap *members, double before_seconds)
{
	struct {
		uint64_t *items;
		size_t n, cap;
	} gone = {0};
	struct member *m;
	size_t cursor = 0;
	uint64_t key;
	int err = 0;

	while (!err && (m = hashmap_next(members, &cursor, &key)))
		if (m->seen != w->pass && m->seen_seconds < before_seconds)
			err = vec_push(&gone, key);
	for (size_t i = 0; i < gone.n; i++) {
		m = hashmap_take(members, gone.items[i]);
		if (members == &w->processes)
			leave_cgroup(w, m);
		member_destroy(m);
	}
	free(gone.items);
	return err;
}

/* Adds a process to the item of its cgroup. The name is the largest process's. */
static void sum_up(struct watch_process *sum, const struct watch_process *p, double *largest_bytes)
{
	if (grown_bytes(p) >= *largest_bytes) {
		*largest_bytes = grown_bytes(p);
		memcpy(sum->comm, p->comm, sizeof(sum->comm));
		sum->uid = p->uid;
	}
	sum->anon_bytes += p->anon_bytes;
	sum->file_bytes += p->file_bytes;
	sum->shmem_bytes += p->shmem_bytes;
	sum->swap_bytes += p->swap_bytes;
	sum->page_table_bytes += p->page_table_bytes;
	sum->cpu_ns += p->cpu_ns;
}

/* Appends an item for each cgroup of the pass that has processes among the first n_processes items. */
static int take_cgroups(struct watcher *w, const struct watch_pass *pass, size_t n_processes)
{
	double *largest = calloc(pass->n_cgroups ? pass->n_cgroups : 1, sizeof(*largest));
	struct member *m;

	if (!largest)
		return -ENOMEM;
	for (size_t i = 0; i < n_processes; i++) {
		const struct watch_process p = w->now.items[i].process;
		const struct watch_cgroup cgroup = w->now.items[i].cgroup;
		struct watcher_item item = {.is_cgroup = true, .cgroup = cgroup};

		if (!cgroup.id)
			continue;
		m = hashmap_get(&w->cgroups, cgroup.id);
		if (!m)
			m = member_add(&w->cgroups, cgroup.id);
		if (!m)
			goto without_memory;
		if (m->seen != w->pass) {
			item.process.cgroup = p.cgroup;
			item.seconds_to_limit = NAN;
			item.trend = m->trend;
			if (vec_push(&w->now, item))
				goto without_memory;
			m->item = w->now.n - 1;
			m->seen = w->pass;
		}
		sum_up(&w->now.items[m->item].process, &p, &largest[p.cgroup]);
	}
	free(largest);
	return 0;
without_memory:
	free(largest);
	return -ENOMEM;
}

/* The sums are complete: they go into the trends. */
static void add_cgroups(struct watcher *w, double seconds, size_t n_processes)
{
	for (size_t i = n_processes; i < w->now.n; i++) {
		struct watcher_item *item = &w->now.items[i];
		struct member *m = hashmap_get(&w->cgroups, item->cgroup.id);
		double bytes = grown_bytes(&item->process);

		if (m->ended_bytes > 0 && m->ended_bytes >= RESTART_RATIO * m->bytes)
			trend_restart(m->trend);
		m->ended_bytes = 0;
		m->bytes = bytes;
		m->seen_seconds = seconds;
		trend_add(m->trend, seconds, bytes);
	}
}

static bool is_growing(const struct watcher_item *item)
{
	return item->estimate.confidence > 0 && !strcmp(item->estimate.verdict, "growing");
}

static void judge_item(struct watcher_item *item)
{
	const struct watch_cgroup *c = &item->cgroup;
	const struct trend_estimate *e = &item->estimate;

	trend_estimate(item->trend, &item->estimate);
	if (!is_growing(item) || !(e->bytes_per_second > 0))
		return;
	item->suspect = e->confidence >= SUSPECT_CONFIDENCE &&
			e->bytes_per_second >= SUSPECT_BYTES_PER_SECOND;
	if (!c->limit_bytes)
		return;
	item->seconds_to_limit = 0;
	if (c->limit_current_bytes < c->limit_bytes)
		item->seconds_to_limit =
			(c->limit_bytes - c->limit_current_bytes) / e->bytes_per_second;
}

/* A cgroup that is suspected for one process's growth gives way to the process. */
static void name_culprits(struct watcher *w, size_t n_processes)
{
	for (size_t i = n_processes; i < w->now.n; i++) {
		struct watcher_item *cgroup = &w->now.items[i], *culprit = NULL;

		if (!cgroup->suspect)
			continue;
		for (size_t j = 0; j < n_processes; j++) {
			struct watcher_item *p = &w->now.items[j];

			if (p->cgroup.id != cgroup->cgroup.id || !is_growing(p))
				continue;
			if (!culprit ||
			    p->estimate.bytes_per_second > culprit->estimate.bytes_per_second)
				culprit = p;
		}
		if (culprit && culprit->estimate.bytes_per_second >=
				       EXPLAINS_RATIO * cgroup->estimate.bytes_per_second) {
			culprit->suspect = true;
			cgroup->suspect = false;
		}
	}
}

int watcher_update(struct watcher *w, const struct watch_pass *pass)
{
	double seconds = pass->time_ns / NSEC_PER_SEC;
	size_t n_processes;
	int err = 0;

	w->pass++;
	w->n_seen = 0;
	w->now.n = 0;
	w->is_ranked = false;
	for (size_t i = 0; i < pass->n_processes; i++)
		if (take_process(w, pass, &pass->processes[i]))
			err = -ENOMEM;
	n_processes = w->now.n;
	if (w->n_seen < w->processes.n && forget(w, &w->processes, INFINITY))
		err = -ENOMEM;
	if (take_cgroups(w, pass, n_processes))
		err = -ENOMEM;
	add_cgroups(w, seconds, n_processes);
	if (w->now.n - n_processes < w->cgroups.n &&
	    forget(w, &w->cgroups, seconds - EMPTY_CGROUP_SECONDS))
		err = -ENOMEM;
	for (size_t i = 0; i < w->now.n; i++)
		judge_item(&w->now.items[i]);
	name_culprits(w, n_processes);
	return err;
}

/* Orders of magnitude of the rate, and of how near the limit is. */
static double score(const struct watcher_item *item)
{
	const struct trend_estimate *e = &item->estimate;
	double weight;

	if (!(e->confidence > 0) || !(e->bytes_per_second > 0))
		return 0;
	weight = log10(1 + e->bytes_per_second);
	if (item->seconds_to_limit < FAR_SECONDS)
		weight += log10(FAR_SECONDS / fmax(item->seconds_to_limit, 1));
	return e->confidence * weight;
}

/* Above every score of what is not suspected. */
#define SUSPECT_SCORE 1e3

static int compare(const void *left, const void *right)
{
	const struct rank *a = left, *b = right;

	if (a->score != b->score)
		return a->score < b->score ? 1 : -1;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return (a->item > b->item) - (a->item < b->item);
}

/* Fills ranked from now. Returns 0 or -ENOMEM. */
static int rank(struct watcher *w)
{
	size_t n = w->now.n;

	if (w->n_ranks < n) {
		struct rank *ranks = realloc(w->ranks, w->now.cap * sizeof(*ranks));
		struct watcher_item *items;

		if (!ranks)
			return -ENOMEM;
		w->ranks = ranks;
		items = realloc(w->ranked.items, w->now.cap * sizeof(*items));
		if (!items)
			return -ENOMEM;
		w->ranked.items = items;
		w->n_ranks = w->now.cap;
	}
	for (size_t i = 0; i < n; i++) {
		const struct watcher_item *item = &w->now.items[i];

		w->ranks[i] = (struct rank){
			.score = score(item) + (item->suspect ? SUSPECT_SCORE : 0),
			.bytes = grown_bytes(&item->process),
			.item = i,
		};
	}
	if (n)
		qsort(w->ranks, n, sizeof(*w->ranks), compare);
	for (size_t i = 0; i < n; i++)
		w->ranked.items[i] = w->now.items[w->ranks[i].item];
	w->ranked.n = n;
	w->is_ranked = true;
	return 0;
}

size_t watcher_items(struct watcher *w, const struct watcher_item **ret_items)
{
	/* Without memory for the order they are still all there. */
	if (!w->is_ranked && rank(w)) {
		*ret_items = w->now.items;
		return w->now.n;
	}
	*ret_items = w->ranked.items;
	return w->ranked.n;
}
