/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_FREED_H
#define SEEP_REACH_FREED_H
/* Memory that is malloc's own: what was freed, and its lists. The program has no pointers there any more, only what it left behind; and
 * malloc's lists hold the addresses of freed chunks' headers, which overlap the last word of the block before, so that this would look
 * as if somebody pointed into it. */
#include <stdint.h>

#include "reach/blocks.h"

struct glibc_heap;

#define REACH_FREED UINT64_MAX /* birth_ns of what is no block of the program's */

/* Adds what heap has of it to b, which is finished, and finishes that again. What lies over a block of b is left out. heap: of a process
 * that has stood since before b was filled. Returns 0, or -errno of reach_blocks_add and reach_blocks_finish. */
int reach_freed_add(struct reach_blocks *b, const struct glibc_heap *heap);
/* Before reach_mark: so that it never looks there. */
void reach_freed_mark(const struct reach_blocks *b, uint8_t *marks);

#endif
