// SPDX-License-Identifier: BSD-2-Clause
#include "base/hashmap.h"

#include <errno.h>
#include <stdlib.h>

struct hashmap_slot {
	uint64_t key;
	void *value; /* NULL: empty */
};

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014). */
static size_t slot_of(const struct hashmap *m, uint64_t key)
{
	key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ULL;
	key = (key ^ (key >> 27)) * 0x94d049bb133111ebULL;
	return (key ^ (key >> 31)) & (m->n_slots - 1);
}

static struct hashmap_slot *find(const struct hashmap *m, uint64_t key)
{
	size_t i = slot_of(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->n_slots - 1);
	return &m->slots[i];
}

static int grow(struct hashmap *m)
{
	struct hashmap bigger = {.n_slots = m->n_slots ? m->n_slots * 2 : 16, .n = m->n};

	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].value)
			*find(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

void *hashmap_get(const struct hashmap *m, uint64_t key)
{
	return m->n_slots ? find(m, key)->value : NULL;
}

int hashmap_put(struct hashmap *m, uint64_t key, void *value)
{
	struct hashmap_slot *slot;

	if ((m->n + 1) * 4 > m->n_slots * 3 && grow(m))
		return -ENOMEM;
	slot = find(m, key);
	if (!slot->value)
		m->n++;
	*slot = (struct hashmap_slot){.key = key, .value = value};
	return 0;
}

/* Closes the gap behind a removed slot by moving later ones of the same run forward (Knuth 6.4, algorithm R). */
static void remove_at(struct hashmap *m, size_t hole)
{
	size_t mask = m->n_slots - 1, i;

	for (i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
		size_t home = slot_of(m, m->slots[i].key);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole].value = NULL;
	m->n--;
}

void *hashmap_take(struct hashmap *m, uint64_t key)
{
	struct hashmap_slot *slot;
	void *value;

	if (!m->n_slots)
		return NULL;
	slot = find(m, key);
	value = slot->value;
	if (value)
		remove_at(m, slot - m->slots);
	return value;
}

/* A removal moves values from behind into the gap, so the same slot is looked at again. What it moves there from the start of the
 * table, in a run that wraps around, was kept before and is asked about once more. */
void hashmap_sweep(struct hashmap *m, bool (*drop)(void *arg, void *value), void *arg)
{
	for (size_t i = 0; i < m->n_slots; i++)
		while (m->slots[i].value && drop(arg, m->slots[i].value))
			remove_at(m, i);
}

void *hashmap_next(const struct hashmap *m, size_t *cursor, uint64_t *ret_key)
{
	while (*cursor < m->n_slots) {
		const struct hashmap_slot *slot = &m->slots[(*cursor)++];

		if (!slot->value)
			continue;
		if (ret_key)
			*ret_key = slot->key;
		return slot->value;
	}
	return NULL;
}

void hashmap_done(struct hashmap *m)
{
	free(m->slots);
	*m = (struct hashmap)HASHMAP_INIT;
}
