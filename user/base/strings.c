// SPDX-License-Identifier: BSD-2-Clause
#include "base/strings.h"

#include <stdlib.h>
#include <string.h>

struct interned {
	struct interned *next; /* same hash */
	size_t n;
	char text[];
};

uint64_t hash_bytes(uint64_t seed, const void *data, size_t n)
{
	const unsigned char *bytes = data;
	uint64_t hash = seed ? seed : 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

const char *strings_intern_n(struct strings *pool, const char *text, size_t n)
{
	struct interned *head, *s;
	uint64_t hash;

	if (!text)
		return NULL;
	hash = hash_bytes(0, text, n);
	head = hashmap_get(&pool->by_hash, hash);
	for (s = head; s; s = s->next)
		if (s->n == n && !memcmp(s->text, text, n))
			return s->text;
	s = malloc(sizeof(*s) + n + 1);
	if (!s)
		return NULL;
	s->next = head;
	s->n = n;
	memcpy(s->text, text, n);
	s->text[n] = '\0';
	if (hashmap_put(&pool->by_hash, hash, s)) {
		free(s);
		return NULL;
	}
	pool->size_bytes += sizeof(*s) + n + 1;
	return s->text;
}

const char *strings_intern(struct strings *pool, const char *text)
{
	return text ? strings_intern_n(pool, text, strlen(text)) : NULL;
}

void strings_done(struct strings *pool)
{
	struct interned *s, *next;
	size_t cursor = 0;

	while ((s = hashmap_next(&pool->by_hash, &cursor, NULL)))
		for (; s; s = next) {
			next = s->next;
			free(s);
		}
	hashmap_done(&pool->by_hash);
	pool->size_bytes = 0;
}
