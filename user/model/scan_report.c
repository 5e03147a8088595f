// SPDX-License-Identifier: BSD-2-Clause
#include "model/scan_report.h"

#include <stdlib.h>

static uint64_t weight(const struct scan_leak *l)
{
	return l->direct.bytes + l->cycle.bytes + l->held.bytes;
}

static int compare_leaks(const void *a, const void *b)
{
	const struct scan_leak *x = a, *y = b;

	if (weight(x) != weight(y))
		return weight(x) > weight(y) ? -1 : 1;
	if (x->indirect.bytes != y->indirect.bytes)
		return x->indirect.bytes > y->indirect.bytes ? -1 : 1;
	return (x->site > y->site) - (x->site < y->site);
}

static int compare_walked(const void *a, const void *b)
{
	const struct scan_walked *x = a, *y = b;
	uint64_t of_x = x->direct.bytes + x->cycle.bytes + x->held.bytes;
	uint64_t of_y = y->direct.bytes + y->cycle.bytes + y->held.bytes;

	if (of_x != of_y)
		return of_x > of_y ? -1 : 1;
	return (x->size_bytes > y->size_bytes) - (x->size_bytes < y->size_bytes);
}

void scan_report_done(struct scan_report *r)
{
	free(r->leaks);
	free(r->walked);
	r->leaks = NULL;
	r->walked = NULL;
	r->n_leaks = r->n_walked = 0;
}

void scan_report_order(struct scan_report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_leaks; i++)
		if (r->leaks[i].direct.n || r->leaks[i].cycle.n || r->leaks[i].indirect.n)
			r->leaks[n++] = r->leaks[i];
	r->n_leaks = n;
	qsort(r->leaks, n, sizeof(*r->leaks), compare_leaks);
	if (r->n_walked)
		qsort(r->walked, r->n_walked, sizeof(*r->walked), compare_walked);
}
