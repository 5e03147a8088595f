// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/blocks.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "collect/collector.h"
#include "daemon/assemble.h"
#include "daemon/tracing.h"

#define Z_95 1.96 /* standard deviations of a 95% confidence interval */

/* What a pass over the blocks of a site finds. */
struct site_sums {
	double bytes, allocations;
	double estimated_bytes,
		estimated_allocations;		     /* of that, what stands for more than itself */
	double bytes_variance, allocations_variance; /* Horvitz and Thompson's estimate */
	uint64_t oldest_ns;			     /* when the oldest was born, 0: none */
	double most_bytes_variance, most_allocations_variance; /* of one sample */
};

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

static int sum_block(void *arg, const struct snapshot_block *b)
{
	const struct summing *s = arg;
	const struct site_ref *ref = assembled_find(s->r, b->stack, b->instance, b->kind);
	double size = b->size_bytes, w = b->weight;
	struct site_sums *sums;

	if (!ref || !old_enough(s->a, s->r, b))
		return 0;
	sums = &s->sums[ref - s->r->refs];
	sums->bytes += size * w;
	if (!sums->oldest_ns || b->time_ns < sums->oldest_ns)
		sums->oldest_ns = b->time_ns;
	sums->allocations += b->further_part ? 0 : w;
	if (w > 1) {
		sums->estimated_bytes += size * w;
		sums->estimated_allocations += b->further_part ? 0 : w;
	}
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

/* The blocks of a window err together, so what that adds is by the total. error: joint_error. */
static uint64_t joint_interval(double variance, double total, double error)
{
	return llround(hypot(Z_95 * sqrt(variance), total * error));
}

static void set_intervals(struct process_report *p, const struct site_sums *total)
{
	double error = p->joint_error;

	p->interval_bytes = joint_interval(total->bytes_variance, total->estimated_bytes, error);
	p->interval_allocations =
		joint_interval(total->allocations_variance, total->estimated_allocations, error);
}

int blocks_sum(struct assembly *a, struct assembled *r)
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
		double error;

		widen(&sums[i]);
		if (a->older_ns) {
			site->outstanding_bytes = llround(sums[i].bytes);
			site->outstanding_allocations = llround(sums[i].allocations);
		}
		if (sums[i].oldest_ns)
			site->oldest_age_seconds =
				(double)(r->snapshot.time_ns - sums[i].oldest_ns) / NS_PER_SECOND;
		error = report->processes[site->process].joint_error;
		site->interval_bytes =
			joint_interval(sums[i].bytes_variance, sums[i].estimated_bytes, error);
		site->interval_allocations = joint_interval(sums[i].allocations_variance,
							    sums[i].estimated_allocations, error);
		/* Variances add up, not their roots. */
		total->bytes_variance += sums[i].bytes_variance;
		total->allocations_variance += sums[i].allocations_variance;
		total->estimated_bytes += sums[i].estimated_bytes;
		total->estimated_allocations += sums[i].estimated_allocations;
	}
	for (size_t i = 0; i < report->n_processes && !err; i++) {
		set_intervals(&report->processes[i], &totals[i]);
	}
	return err;
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
	const struct site_ref *ref = assembled_find(p->r, b->stack, b->instance, b->kind);
	uint64_t now = p->r->snapshot.time_ns;

	if (!ref || ref->process == SITE_HIDDEN || !old_enough(p->a, p->r, b))
		return 0;
	return p->visit(p->arg,
			&(struct block){
				.process = ref->process,
				.address = b->address,
				.size_bytes = b->size_bytes,
				.age_seconds = now > b->time_ns
						       ? (double)(now - b->time_ns) / NS_PER_SECOND
						       : 0,
				.birth_ns = b->time_ns,
				.site = ref->fingerprint,
				.reachable = -1,
			});
}

int blocks_each(struct assembly *a, const struct assembled *r,
		int (*visit)(void *arg, const struct block *b), void *arg)
{
	struct passing p = {a, r, visit, arg};

	return collector_each_block(a->tracing->collector, pass_block, &p);
}
