/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_ARENA_H
#define SEEP_COLLECT_ARENA_H
/* Memory that is freed all at once. Not thread-safe. */
#include <stddef.h>

struct arena {
	struct arena_chunk *chunks;
	size_t size_bytes; /* in all chunks */
};

/* n_items * size_bytes zeroed bytes, aligned for anything; NULL without memory or when the arena would exceed 1 GiB. Zero
 * bytes may be asked for: the pointer is not NULL. */
void *arena_alloc(struct arena *a, size_t n_items, size_t size_bytes);
void arena_done(struct arena *a);

#endif
