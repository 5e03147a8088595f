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

static double difference(uint64_t now, uint64_t before)
{
	return (double)now - (double)before;
}

static enum unexplained_part part_of(const struct memory_account *before,
				     const struct memory_account *now, double bytes)
{
	if (difference(now->thread_stack_bytes, before->thread_stack_bytes) > PART_RATIO * bytes)
		return UNEXPLAINED_STACKS;
	if (difference(now->executable_bytes, before->executable_bytes) > PART_RATIO * bytes)
		return UNEXPLAINED_CODE;
	return difference(now->shared_bytes, before->shared_bytes) > PART_RATIO * bytes
		       ? UNEXPLAINED_SHARED
		       : UNEXPLAINED_ELSE;
}

bool unexplained_judge(const struct memory_account *before, const struct memory_account *now,
		       struct unexplained *ret)
{
	double heap = heap_bytes(now) - heap_bytes(before);
	double used = difference(now->before_bytes, before->before_bytes);
	double outside = difference(now->anonymous_bytes, before->anonymous_bytes) +
			 difference(now->stack_bytes, before->stack_bytes) +
			 difference(now->shared_bytes, before->shared_bytes);
	double all = difference(now->resident_bytes, before->resident_bytes);

	if (all < BYTES_MIN || (outside <= PART_RATIO * all && heap <= PART_RATIO * all))
		return false;
	*ret = (struct unexplained){
		.verdict = "outside-malloc",
		.bytes = outside,
		.part = part_of(before, now, outside),
		.n_threads = difference(now->n_threads, before->n_threads),
	};
	if (outside > PART_RATIO * all)
		return true;
	*ret = (struct unexplained){
		.verdict = used > PART_RATIO * heap ? "growing" : "fragmentation",
		.bytes = heap,
	};
	return true;
}
