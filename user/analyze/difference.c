// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/difference.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/difference.h"

static uint64_t join_intervals(uint64_t a, uint64_t b)
{
	return a && b ? (uint64_t)llround(hypot(a, b)) : a + b;
}

void held_add(struct held *sum, const struct held *one)
{
	sum->bytes += one->bytes;
	sum->allocations += one->allocations;
	sum->interval_bytes = join_intervals(sum->interval_bytes, one->interval_bytes);
	sum->interval_allocations =
		join_intervals(sum->interval_allocations, one->interval_allocations);
}

static int ascending(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_program(const struct difference_site *a, const struct difference_site *b)
{
	int order = strcmp(a->comm, b->comm);

	return order ? order : ascending(a->kind, b->kind);
}

static int compare_code(const void *left, const void *right)
{
	const struct difference_site *a = left, *b = right;
	int order = compare_program(a, b);

	return order ? order : ascending(a->fingerprint, b->fingerprint);
}

static int compare_family(const void *left, const void *right)
{
	const struct difference_site *a = left, *b = right;
	int order = compare_program(a, b);

	return order ? order : ascending(a->family, b->family);
}

typedef int (*compare_fn)(const void *left, const void *right);

/* Sorts, and makes one of those that are the same. Returns how many are left. */
static size_t add_up(struct difference_site *sites, size_t n, compare_fn compare)
{
	size_t kept = 0;

	if (n > 1)
		qsort(sites, n, sizeof(*sites), compare);
	for (size_t i = 0; i < n; i++) {
		if (kept && !compare(&sites[kept - 1], &sites[i]))
			held_add(&sites[kept - 1].held, &sites[i].held);
		else
			sites[kept++] = sites[i];
	}
	return kept;
}

/* Goes through both, which are sorted, at once: pairs go to ret, with alone also those without another; else those are left at the
 * front of their arrays, in order. */
static size_t match(struct difference_site *before, size_t *n_before, struct difference_site *after,
		    size_t *n_after, compare_fn compare, bool by_family, bool alone,
		    struct difference *ret)
{
	size_t i = 0, j = 0, left_before = 0, left_after = 0, n = 0;

	while (i < *n_before || j < *n_after) {
		int order = i == *n_before  ? 1
			    : j == *n_after ? -1
					    : compare(&before[i], &after[j]);

		if (!order || alone)
			ret[n++] = (struct difference){
				.by_family = by_family && !order,
				.before = order <= 0 ? before[i].held : (struct held){0},
				.after = order >= 0 ? after[j].held : (struct held){0},
				.site = order < 0 ? before[i] : after[j],
			};
		else if (order < 0)
			before[left_before++] = before[i];
		else
			after[left_after++] = after[j];
		i += order <= 0;
		j += order >= 0;
	}
	*n_before = left_before;
	*n_after = left_after;
	return n;
}

static int64_t growth(const struct difference *d, bool by_count)
{
	return by_count ? (int64_t)(d->after.allocations - d->before.allocations)
			: (int64_t)(d->after.bytes - d->before.bytes);
}

static bool is_empty(const struct held *h)
{
	return !h->bytes && !h->allocations;
}

static void judge(struct difference *d, bool by_count)
{
	int64_t grown = growth(d, by_count);
	uint64_t error =
		by_count ? join_intervals(d->before.interval_allocations,
					  d->after.interval_allocations)
			 : join_intervals(d->before.interval_bytes, d->after.interval_bytes);

	d->within_error = error && (uint64_t)llabs(grown) <= error;
	d->change = is_empty(&d->before) && !is_empty(&d->after)   ? DIFFERENCE_NEW
		    : !is_empty(&d->before) && is_empty(&d->after) ? DIFFERENCE_GONE
		    : grown > 0					   ? DIFFERENCE_GREW
		    : grown < 0					   ? DIFFERENCE_SHRANK
								   : DIFFERENCE_SAME;
	d->site.held = (struct held){0};
}

static int compare_growth(const struct difference *a, const struct difference *b, bool by_count)
{
	int64_t of_a = growth(a, by_count), of_b = growth(b, by_count);
	int order = (of_b > of_a) - (of_b < of_a);

	if (!order)
		order = ascending(b->after.bytes, a->after.bytes);
	return order ? order : compare_code(&a->site, &b->site);
}

static int compare_bytes(const void *left, const void *right)
{
	return compare_growth(left, right, false);
}

static int compare_allocations(const void *left, const void *right)
{
	return compare_growth(left, right, true);
}

int difference_find(const struct difference_site *sites_before, size_t n_before,
		    const struct difference_site *sites_after, size_t n_after, bool by_count,
		    struct difference **ret, size_t *ret_n)
{
	struct difference *all = calloc(n_before + n_after + 1, sizeof(*all));
	_cleanup_free_ struct difference_site *work = calloc(n_before + n_after + 1, sizeof(*work));
	struct difference_site *before = work, *after = work + n_before;
	size_t n;

	if (!all || !work) {
		free(all);
		return -ENOMEM;
	}
	if (n_before)
		memcpy(before, sites_before, n_before * sizeof(*work));
	if (n_after)
		memcpy(after, sites_after, n_after * sizeof(*work));
	n_before = add_up(before, n_before, compare_code);
	n_after = add_up(after, n_after, compare_code);
	n = match(before, &n_before, after, &n_after, compare_code, false, false, all);
	n_before = add_up(before, n_before, compare_family);
	n_after = add_up(after, n_after, compare_family);
	n += match(before, &n_before, after, &n_after, compare_family, true, true, all + n);
	for (size_t i = 0; i < n; i++)
		judge(&all[i], by_count);
	if (n > 1)
		qsort(all, n, sizeof(*all), by_count ? compare_allocations : compare_bytes);
	*ret = all;
	*ret_n = n;
	return 0;
}
