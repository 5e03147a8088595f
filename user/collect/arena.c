// SPDX-License-Identifier: BSD-2-Clause
#include "collect/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (64 * 1024)
#define ARENA_MAX_BYTES ((size_t)1 << 30)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

void *arena_alloc(struct arena *a, size_t n_items, size_t size_bytes)
{
	struct arena_chunk *c = a->chunks;
	size_t n, size;
	void *p;

	if (__builtin_mul_overflow(n_items, size_bytes, &n) || n > ARENA_MAX_BYTES)
		return NULL;
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!c || c->size - c->used < n) {
		size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
		if (a->size_bytes + size > ARENA_MAX_BYTES)
			return NULL;
		c = malloc(sizeof(*c) + size);
		if (!c)
			return NULL;
		*c = (struct arena_chunk){.next = a->chunks, .size = size};
		a->chunks = c;
		a->size_bytes += size;
	}
	p = c->bytes + c->used;
	c->used += n;
	return memset(p, 0, n);
}

void arena_done(struct arena *a)
{
	struct arena_chunk *c, *next;

	for (c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){0};
}
