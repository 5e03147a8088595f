// SPDX-License-Identifier: BSD-2-Clause
#include "reach/blocks.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

int reach_blocks_add(struct reach_blocks *b, uint64_t start, uint64_t size_bytes, uint64_t birth_ns)
{
	struct reach_block block = {.start = start, .birth_ns = birth_ns};

	if (__builtin_add_overflow(start, size_bytes ? size_bytes : 1, &block.end))
		return -ERANGE;
	if (b->n >= REACH_NONE - 1)
		return -E2BIG;
	return vec_push(b, block);
}

static int compare_blocks(const void *a, const void *b)
{
	const struct reach_block *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->birth_ns > y->birth_ns) - (x->birth_ns < y->birth_ns);
}

/* Blocks do not overlap, but for a free that was not seen: the later one at an address has it. */
static void drop_replaced(struct reach_blocks *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (n && b->items[n - 1].start == b->items[i].start)
			n--;
		b->items[n++] = b->items[i];
	}
	b->n = n;
	for (size_t i = 0; i + 1 < n; i++)
		if (b->items[i].end > b->items[i + 1].start)
			b->items[i].end = b->items[i + 1].start;
}

/* Enters block i in the granules that it is the first of. */
static int index_block(struct reach_blocks *b, uint32_t i)
{
	const struct reach_block *block = &b->items[i];
	uint64_t last = (block->end - 1) >> REACH_GRANULE_SHIFT;

	for (uint64_t g = block->start >> REACH_GRANULE_SHIFT; g <= last; g++) {
		uint32_t **region = &b->regions[(g >> (REACH_REGION_SHIFT - REACH_GRANULE_SHIFT)) -
						b->first_region];
		uint32_t *slot;

		if (!*region)
			*region = calloc(REACH_GRANULES, sizeof(**region));
		if (!*region)
			return -ENOMEM;
		slot = &(*region)[g & (REACH_GRANULES - 1)];
		if (!*slot)
			*slot = i + 1;
	}
	return 0;
}

static void drop_index(struct reach_blocks *b)
{
	for (size_t i = 0; i < b->n_regions && b->regions; i++)
		free(b->regions[i]);
	free(b->regions);
	b->regions = NULL;
	b->n_regions = 0;
}

int reach_blocks_finish(struct reach_blocks *b)
{
	int err = 0;

	drop_index(b);
	if (!b->n)
		return 0;
	qsort(b->items, b->n, sizeof(*b->items), compare_blocks);
	drop_replaced(b);
	b->first_region = b->items[0].start >> REACH_REGION_SHIFT;
	b->n_regions = ((b->items[b->n - 1].end - 1) >> REACH_REGION_SHIFT) - b->first_region + 1;
	/* Zero pages until they are used, however far the blocks lie apart. */
	b->regions = calloc(b->n_regions, sizeof(*b->regions));
	if (!b->regions)
		return -ENOMEM;
	for (size_t i = 0; i < b->n && !err; i++)
		err = index_block(b, i);
	return err;
}

void reach_blocks_done(struct reach_blocks *b)
{
	drop_index(b);
	free(b->items);
	*b = (struct reach_blocks){0};
}

uint32_t reach_blocks_at(const struct reach_blocks *b, uint64_t address)
{
	uint64_t region = (address >> REACH_REGION_SHIFT) - b->first_region;
	const uint32_t *granules;
	uint32_t i;

	if (region >= b->n_regions)
		return REACH_NONE;
	granules = b->regions[region];
	if (!granules)
		return REACH_NONE;
	i = granules[(address >> REACH_GRANULE_SHIFT) & (REACH_GRANULES - 1)];
	if (!i)
		return REACH_NONE;
	for (i--; i < b->n && b->items[i].start <= address; i++)
		if (address < b->items[i].end)
			return i;
	return REACH_NONE;
}

size_t reach_blocks_from(const struct reach_blocks *b, uint64_t address)
{
	size_t low = 0, high = b->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
