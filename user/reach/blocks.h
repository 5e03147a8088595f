/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_BLOCKS_H
#define SEEP_REACH_BLOCKS_H
/* The tracked blocks of one process, and which of them a word points to. Filled once, then read by any number of threads. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block of no bytes has one here: a pointer to it is one all the same. */
struct reach_block {
	uint64_t start, end; /* [start, end) */
	uint64_t birth_ns;   /* with start: the block's identity */
};

#define REACH_NONE UINT32_MAX /* no block */

/* Memory is cut into regions of 1 GiB, those into granules that hold few blocks each: allocators' smallest are of 16 to 32 bytes.
 * Most words that are asked for are no pointers: the first look, at the regions' bounds, sends them away. */
#define REACH_GRANULE_SHIFT 9
#define REACH_REGION_SHIFT 30
#define REACH_GRANULES (1U << (REACH_REGION_SHIFT - REACH_GRANULE_SHIFT))

struct reach_blocks {
	struct reach_block *items; /* by start, once finished */
	size_t n, cap;
	/* Index: for each granule of memory with blocks the first of them + 1, in tables by region. */
	uint32_t **regions;
	uint64_t first_region;
	size_t n_regions;
};

/* Returns 0; -ENOMEM; -E2BIG beyond 4 billion blocks; -ERANGE for one beyond the end of the address space, which is not added. */
int reach_blocks_add(struct reach_blocks *b, uint64_t start, uint64_t size_bytes,
		     uint64_t birth_ns);
/* Sorts and indexes; to be called again when blocks were added after it. Of blocks that begin at one address the youngest stays; one that
 * reaches into the next ends there. Memory: 24 bytes a
 * block and 8 for each 512 bytes of memory between them. Returns 0 or -ENOMEM. */
int reach_blocks_finish(struct reach_blocks *b);
void reach_blocks_done(struct reach_blocks *b);

/* The block that address lies in, or REACH_NONE. Thread-safe, as the next. */
uint32_t reach_blocks_at(const struct reach_blocks *b, uint64_t address);
/* The first block that ends beyond address; n when there is none. */
size_t reach_blocks_from(const struct reach_blocks *b, uint64_t address);

/* Where the memory ends that is the block's: what lies between it and the next one, when it is no more than an allocator's header and
 * the rest of a size class, which malloc_usable_size(3) gives away. Nobody points there, but pointers may lie there. */
#define REACH_GAP_MAX 24
static inline uint64_t reach_block_limit(const struct reach_blocks *b, size_t i)
{
	if (i + 1 < b->n && b->items[i + 1].start - b->items[i].end <= REACH_GAP_MAX)
		return b->items[i + 1].start;
	return b->items[i].end;
}

/* Whether it makes sense to ask reach_blocks_at, which is asked for soon: what it needs first is fetched. */
static inline bool reach_blocks_near(const struct reach_blocks *b, uint64_t address)
{
	uint64_t region = (address >> REACH_REGION_SHIFT) - b->first_region;

	if (region >= b->n_regions || !b->regions[region])
		return false;
	__builtin_prefetch(
		&b->regions[region][(address >> REACH_GRANULE_SHIFT) & (REACH_GRANULES - 1)]);
	return true;
}

#endif
