/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BASE_HASHMAP_H
#define SEEP_BASE_HASHMAP_H
/* A map from a 64-bit key to a pointer that it does not own. Open addressing, linear probing; not thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hashmap {
	struct hashmap_slot *slots;
	size_t n, n_slots;
};

/* clang-format off */
#define HASHMAP_INIT {0}
/* clang-format on */

/* The value under key, or NULL. */
void *hashmap_get(const struct hashmap *m, uint64_t key);
/* Stores value (not NULL) under key, replacing what was there. Returns 0 or -ENOMEM. */
int hashmap_put(struct hashmap *m, uint64_t key, void *value);
/* Takes the value out and returns it, or NULL. */
void *hashmap_take(struct hashmap *m, uint64_t key);
/* Walks all values in no order: start with *cursor = 0; NULL at the end. Do not change the map meanwhile. */
void *hashmap_next(const struct hashmap *m, size_t *cursor, uint64_t *ret_key);
/* Takes out every value for which drop returns true; by then it may have freed it. drop must not change the map, and may be
 * asked about a value that it kept again. */
void hashmap_sweep(struct hashmap *m, bool (*drop)(void *arg, void *value), void *arg);
/* Frees the table, not the values. */
void hashmap_done(struct hashmap *m);

#endif
