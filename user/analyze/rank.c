// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/rank.h"

#include <stdint.h>
#include <stdlib.h>

#include "model/report.h"

static int ascending(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_identity(const struct site *a, const struct site *b)
{
	int order = ascending(a->fingerprint, b->fingerprint);

	return order ? order : ascending(a->kind, b->kind);
}

/* By process; of one that is watched growing, what was touched before the mappings that it is in: they are larger. */
static int compare_place(const struct site *a, const struct site *b)
{
	int order = ascending(a->process, b->process);

	return order ? order : ascending(b->kind == SITE_FAULT, a->kind == SITE_FAULT);
}

static int compare_size(const void *left, const void *right)
{
	const struct site *a = left, *b = right;
	int order = compare_place(a, b);

	if (!order)
		order = ascending(b->outstanding_bytes, a->outstanding_bytes);
	if (!order)
		order = ascending(b->outstanding_allocations, a->outstanding_allocations);
	return order ? order : compare_identity(a, b);
}

static int compare_count(const void *left, const void *right)
{
	const struct site *a = left, *b = right;
	int order = compare_place(a, b);

	if (!order)
		order = ascending(b->outstanding_allocations, a->outstanding_allocations);
	if (!order)
		order = ascending(b->outstanding_bytes, a->outstanding_bytes);
	return order ? order : compare_identity(a, b);
}

void rank_sites(struct site *sites, size_t n, bool by_count)
{
	if (n > 1)
		qsort(sites, n, sizeof(*sites), by_count ? compare_count : compare_size);
}
