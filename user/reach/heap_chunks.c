// SPDX-License-Identifier: BSD-2-Clause
#include "reach/heap_chunks.h"

#include <errno.h>
#include <stdbool.h>

#include "reach/glibc_heap.h"

static bool is_freed(const struct heap_chunk *c)
{
	return c->state == HEAP_TCACHED || c->state == HEAP_FAST || c->state == HEAP_FREE ||
	       c->state == HEAP_TOP;
}

/* n: of the program's blocks, which are sorted; what is added comes behind them. */
static int add(struct reach_blocks *b, size_t n, uint64_t start, uint64_t size_bytes,
	       uint64_t birth_ns)
{
	struct reach_blocks own = *b;
	size_t i;
	int err;

	own.n = n;
	i = reach_blocks_from(&own, start);
	if (i < n && b->items[i].start < start + size_bytes)
		return 0;
	err = reach_blocks_add(b, start, size_bytes, birth_ns);
	return err == -ERANGE ? 0 : err;
}

int reach_freed_add(struct reach_blocks *b, const struct glibc_heap *heap)
{
	const size_t n = b->n;
	int err = 0;

	for (size_t i = 0; i < heap->n_chunks && !err; i++)
		if (is_freed(&heap->chunks[i]))
			err = add(b, n, heap->chunks[i].address,
				  heap_chunk_usable(&heap->chunks[i]), REACH_FREED);
	for (size_t i = 0; i < heap->states.n && !err; i++)
		err = add(b, n, heap->states.items[i], HEAP_STATE_BYTES, REACH_FREED);
	return err ? err : reach_blocks_finish(b);
}

void reach_freed_mark(const struct reach_blocks *b, uint8_t *marks)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->items[i].birth_ns == REACH_FREED)
			marks[i] = 1;
}

int reach_walked_add(struct reach_blocks *b, const struct glibc_heap *heap)
{
	const size_t n = b->n;
	int err = 0;

	for (size_t i = 0; i < heap->n_chunks && !err; i++) {
		const struct heap_chunk *c = &heap->chunks[i];

		if (c->state == HEAP_USED || c->state == HEAP_MAPPED)
			err = add(b, n, c->address, heap_chunk_usable(c), REACH_WALKED);
	}
	return err ? err : reach_blocks_finish(b);
}
