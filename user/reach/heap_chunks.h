/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_HEAP_CHUNKS_H
#define SEEP_REACH_HEAP_CHUNKS_H
/* Chunks of malloc's heap, read from outside, beside the blocks that were traced.
 *
 * Freed ones are malloc's own: the program has no pointers there any more, only what it left behind; and malloc's lists hold the
 * addresses of freed chunks' headers, which overlap the last word of the block before, so that this would look as if somebody pointed
 * into it. Those in use that nobody traced were allocated before: blocks of unknown origin. */
#include <stdint.h>

#include "reach/blocks.h"

struct glibc_heap;

/* birth_ns of what is no block of the program's, and of one that was in use before the trace */
#define REACH_FREED UINT64_MAX
#define REACH_WALKED (UINT64_MAX - 1)

/* Adds what heap has of it to b, which is finished, and finishes that again. What lies over a block of b is left out. heap: of a process
 * that has stood since before b was filled. Returns 0, or -errno of reach_blocks_add and reach_blocks_finish. */
int reach_freed_add(struct reach_blocks *b, const struct glibc_heap *heap);
/* Before reach_mark: so that it never looks there. */
void reach_freed_mark(const struct reach_blocks *b, uint8_t *marks);

/* Adds the chunks in use that no block of b lies in or over, as REACH_WALKED, and finishes b again. The process may run: then what it
 * allocated since b was filled is among them, and is one of b's blocks the next time. Returns as reach_freed_add. */
int reach_walked_add(struct reach_blocks *b, const struct glibc_heap *heap);

#endif
