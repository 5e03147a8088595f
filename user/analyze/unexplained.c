// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/unexplained.h"

#include <stddef.h>

#include "model/memory.h"

#define BYTES_MIN 1048576.0
#define OUTSTANDING_RATIO 0.5 /* of the growth: then it is explained */
#define PART_RATIO 0.6	      /* of the growth: so much is the culprit */

bool unexplained_is(double resident_rate, double outstanding_rate)
{
	return resident_rate > 0 && !(outstanding_rate > OUTSTANDING_RATIO * resident_rate);
}

/* Of the heap. What was never touched is not told apart by what it is: most of it is free. */
static double heap_bytes(const struct memory_account *m)
{
	return (double)m->before_bytes + m->rounding_bytes + m->cached_bytes + m->free_bytes +
	       m->own_bytes - (double)m->untouched_bytes;
}

const char *unexplained_verdict(const struct memory_account *before,
				const struct memory_account *now, double *ret_bytes)
{
	double heap = heap_bytes(now) - heap_bytes(before);
	double used = (double)now->before_bytes - (double)before->before_bytes;
	double outside = (double)now->anonymous_bytes + now->stack_bytes + now->shared_bytes -
			 (double)before->anonymous_bytes - before->stack_bytes -
			 before->shared_bytes;
	double all = (double)now->resident_bytes - (double)before->resident_bytes;

	if (all < BYTES_MIN)
		return NULL;
	if (outside > PART_RATIO * all) {
		*ret_bytes = outside;
		return "outside-malloc";
	}
	if (heap <= PART_RATIO * all)
		return NULL;
	*ret_bytes = heap;
	return used > PART_RATIO * heap ? "growing" : "fragmentation";
}
