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

void scan_report_order(struct scan_report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_leaks; i++)
		if (r->leaks[i].direct.n || r->leaks[i].cycle.n || r->leaks[i].indirect.n)
			r->leaks[n++] = r->leaks[i];
	r->n_leaks = n;
	qsort(r->leaks, n, sizeof(*r->leaks), compare_leaks);
}
