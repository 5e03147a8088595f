// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/growth.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/strings.h"
#include "model/report.h"

/* The times of reports are common to all, so they are kept once: both rings are indexed by report number. */
struct history {
	uint64_t newest;	       /* number of the last report that had it */
	double values[GROWTH_SAMPLES]; /* NAN: not in that report */
};

struct growth {
	uint64_t now; /* number of the current report, from 1 */
	double times[GROWTH_SAMPLES];
	struct hashmap histories; /* by history_key() */
};

double growth_slope(const double *times, const double *values, size_t n)
{
	double mean_time = 0, mean_value = 0, above = 0, below = 0;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (isnan(values[i]))
			continue;
		used++;
		mean_time += (times[i] - mean_time) / used;
		mean_value += (values[i] - mean_value) / used;
	}
	if (used < GROWTH_SAMPLES_MIN)
		return NAN;
	for (size_t i = 0; i < n; i++) {
		double from_mean = times[i] - mean_time;

		if (isnan(values[i]))
			continue;
		above += from_mean * (values[i] - mean_value);
		below += from_mean * from_mean;
	}
	return below > 0 ? above / below : NAN;
}

/* Two keys that hash to the same 64 bits would share a history: at 65,536 sites that is one case in 10^10, and
 * makes one rate wrong. */
static uint64_t history_key(const struct process_report *p, const struct site *s)
{
	uint64_t parts[] = {p->pid, p->start_ns, s ? s->fingerprint : 0, s ? s->kind : 0};

	return hash_bytes(0, parts, sizeof(parts));
}

static struct history *history_get(struct growth *g, uint64_t key)
{
	struct history *h = hashmap_get(&g->histories, key);

	if (h)
		return h;
	h = malloc(sizeof(*h));
	if (!h)
		return NULL;
	h->newest = 0;
	if (hashmap_put(&g->histories, key, h)) {
		free(h);
		return NULL;
	}
	return h;
}

/* The slope with the new value; NAN in *ret_slope without memory. An ended process's history goes with it: the
 * next program of an exec has the same pid and start time. */
static int record(struct growth *g, uint64_t key, double value, bool final, double *ret_slope)
{
	struct history *h = history_get(g, key);

	*ret_slope = NAN;
	if (!h)
		return -ENOMEM;
	if (h->newest + GROWTH_SAMPLES <= g->now)
		h->newest = g->now > GROWTH_SAMPLES ? g->now - GROWTH_SAMPLES : 0;
	while (++h->newest < g->now)
		h->values[h->newest % GROWTH_SAMPLES] = NAN;
	h->values[g->now % GROWTH_SAMPLES] = value;
	/* Before the ring has filled, report n is at index n and index 0 is unused. */
	if (g->now < GROWTH_SAMPLES)
		*ret_slope = growth_slope(g->times + 1, h->values + 1, g->now);
	else
		*ret_slope = growth_slope(g->times, h->values, GROWTH_SAMPLES);
	if (final)
		free(hashmap_take(&g->histories, key));
	return 0;
}

static bool forget_old(void *growth, void *history)
{
	const struct growth *g = growth;
	struct history *h = history;

	if (h->newest + GROWTH_SAMPLES > g->now)
		return false;
	free(h);
	return true;
}

static double seconds_to_limit(const struct process_report *p)
{
	if (!p->limit_bytes || !p->rss_bytes || !(p->growth_bytes_per_second > 0))
		return NAN;
	if (p->rss_bytes >= p->limit_bytes)
		return 0;
	return (p->limit_bytes - p->rss_bytes) / p->growth_bytes_per_second;
}

int growth_create(struct growth **ret)
{
	struct growth *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	*ret = g;
	return 0;
}

void growth_destroy(struct growth *g)
{
	struct history *h;
	size_t cursor = 0;

	if (!g)
		return;
	while ((h = hashmap_next(&g->histories, &cursor, NULL)))
		free(h);
	hashmap_done(&g->histories);
	free(g);
}

/* Then its rate is that of the judgement. */
static bool is_judged(const struct site *s)
{
	return s->verdict && (!strcmp(s->verdict, "leak") || !strcmp(s->verdict, "growing"));
}

int growth_update(struct growth *g, struct report *r)
{
	int err = 0;

	g->now++;
	g->times[g->now % GROWTH_SAMPLES] = r->elapsed_seconds;
	for (size_t i = 0; i < r->n_sites; i++) {
		struct site *s = &r->sites[i];
		const struct process_report *p = &r->processes[s->process];

		double slope;

		if (record(g, history_key(p, s), s->outstanding_bytes, p->final, &slope))
			err = -ENOMEM;
		if (!is_judged(s))
			s->growth_bytes_per_second = slope;
	}
	for (size_t i = 0; i < r->n_processes; i++) {
		struct process_report *p = &r->processes[i];

		if (record(g, history_key(p, NULL), p->outstanding_bytes, p->final,
			   &p->growth_bytes_per_second))
			err = -ENOMEM;
		p->seconds_to_limit = seconds_to_limit(p);
	}
	hashmap_sweep(&g->histories, forget_old, g);
	return err;
}
