// SPDX-License-Identifier: BSD-2-Clause
#include "reach/candidates.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

static int first_pass(struct reach_candidates *c, const struct reach_blocks *blocks,
		      const uint8_t *marks)
{
	int err = 0;

	for (size_t i = 0; i < blocks->n && !err; i++)
		if (!marks[i])
			err = vec_push(c, (struct reach_candidate){blocks->items[i].start,
								   blocks->items[i].birth_ns});
	return err;
}

static void further_pass(struct reach_candidates *c, const struct reach_blocks *blocks,
			 const uint8_t *marks)
{
	size_t n = 0, j = 0;

	c->n_returned = 0;
	for (size_t i = 0; i < c->n; i++) {
		while (j < blocks->n && blocks->items[j].start < c->items[i].start)
			j++;
		if (j == blocks->n || blocks->items[j].start != c->items[i].start ||
		    blocks->items[j].birth_ns != c->items[i].birth_ns)
			continue;
		if (marks[j])
			c->n_returned++;
		else
			c->items[n++] = c->items[i];
	}
	c->n = n;
	c->moving |= c->n_returned > 0;
}

int reach_candidates_pass(struct reach_candidates *c, const struct reach_blocks *blocks,
			  const uint8_t *marks)
{
	if (c->n_passes++)
		further_pass(c, blocks, marks);
	else
		return first_pass(c, blocks, marks);
	return 0;
}

bool reach_candidates_has(const struct reach_candidates *c, uint64_t start, uint64_t birth_ns)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->items[middle].start < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->n && c->items[low].start == start && c->items[low].birth_ns == birth_ns;
}

void reach_candidates_done(struct reach_candidates *c)
{
	free(c->items);
	*c = (struct reach_candidates){0};
}
