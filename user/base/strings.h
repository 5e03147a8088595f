/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BASE_STRINGS_H
#define SEEP_BASE_STRINGS_H
/* Interned strings: equal text, equal pointer; all live until the pool ends. Not thread-safe. */
#include "base/hashmap.h"

struct strings {
	struct hashmap by_hash;
	size_t size_bytes;
};

/* The pool's own copy of text, or NULL without memory. NULL in, NULL out. */
const char *strings_intern(struct strings *pool, const char *text);
/* The same for the first n bytes of text. */
const char *strings_intern_n(struct strings *pool, const char *text, size_t n);
void strings_done(struct strings *pool);

/* FNV-1a, 64 bits, of n bytes; chain by passing the previous result as seed, 0 to begin. */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t n);

#endif
