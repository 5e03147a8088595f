// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/merge.h"

#include <math.h>
#include <stdlib.h>

#include "model/report.h"

static int compare(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->fingerprint > y->fingerprint) - (x->fingerprint < y->fingerprint);
}

static uint64_t root_of_squares(uint64_t a, uint64_t b)
{
	return llround(hypot((double)a, (double)b));
}

/* The verdict on the one that grows faster, or is larger where neither grows. */
static void add_judgement(struct site *to, const struct site *from)
{
	double a = to->growth_bytes_per_second, b = from->growth_bytes_per_second;

	if (isnan(b) ? isnan(a) && from->outstanding_bytes > to->outstanding_bytes
		     : isnan(a) || b > a) {
		to->verdict = from->verdict;
		to->confidence = from->confidence;
		to->evidence = from->evidence;
	}
	to->growth_bytes_per_second = isnan(a) ? b : isnan(b) ? a : a + b;
}

static void add(struct site *to, const struct site *from)
{
	add_judgement(to, from);
	if (from->outstanding_allocations > to->outstanding_allocations)
		to->median_age_seconds = from->median_age_seconds;
	if (from->oldest_age_seconds > to->oldest_age_seconds)
		to->oldest_age_seconds = from->oldest_age_seconds;
	to->outstanding_bytes += from->outstanding_bytes;
	to->outstanding_allocations += from->outstanding_allocations;
	to->allocated_bytes += from->allocated_bytes;
	to->allocations += from->allocations;
	to->freed_bytes += from->freed_bytes;
	to->frees += from->frees;
	to->interval_bytes = root_of_squares(to->interval_bytes, from->interval_bytes);
	to->interval_allocations =
		root_of_squares(to->interval_allocations, from->interval_allocations);
}

void merge_sites(struct report *report)
{
	size_t kept = 0;

	if (!report->n_sites)
		return;
	qsort(report->sites, report->n_sites, sizeof(*report->sites), compare);
	for (size_t i = 1; i < report->n_sites; i++) {
		if (!compare(&report->sites[kept], &report->sites[i]))
			add(&report->sites[kept], &report->sites[i]);
		else
			report->sites[++kept] = report->sites[i];
	}
	report->n_sites = kept + 1;
}
