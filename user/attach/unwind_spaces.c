// SPDX-License-Identifier: BSD-2-Clause
#include "attach/unwind_spaces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"

/* The kernel's cache tells generations apart by so many bits, and is zeroed twice as often as they repeat: a walk that was
 * under way meanwhile may leave an entry of the last round, never of the one that repeats. */
#define TAG_BITS 17
#define CLEAN_BITS 16

struct space_run {
	struct space_run *next; /* same hash */
	uint64_t hash;
	uint32_t generation;
	uint32_t first, n;
	size_t refs;
};

/* A slot's generation and changes, as one word. */
typedef uint64_t __attribute__((may_alias)) slot_word;

static slot_word *word_of(const struct space *space)
{
	return (slot_word *)&space->slot->generation;
}

static uint64_t with_generation(uint64_t word, uint32_t generation)
{
	return (word & ~(uint64_t)UINT32_MAX) | generation;
}

int spaces_init(struct spaces *s, struct wire_unwind *shared, uint32_t *next_generation)
{
	*s = (struct spaces){.shared = shared, .next_generation = next_generation};
	return room_init(&s->room, WIRE_MAPPINGS);
}

void spaces_done(struct spaces *s)
{
	struct space_run *run;
	size_t cursor = 0;

	while ((run = hashmap_next(&s->by_tag, &cursor, NULL)))
		free(run);
	hashmap_done(&s->by_tag);
	hashmap_done(&s->by_hash);
	room_done(&s->room);
}

static uint64_t tag_of(uint32_t generation)
{
	return generation & ((1U << TAG_BITS) - 1);
}

/* A number that neither stands for another run nor is taken for one by the cache. */
static uint32_t new_generation(struct spaces *s)
{
	uint32_t generation;

	do {
		generation = __atomic_fetch_add(s->next_generation, 1, __ATOMIC_SEQ_CST);
		if (!(generation & ((1U << CLEAN_BITS) - 1)))
			for (size_t i = 0; i < WIRE_CACHE; i++)
				__atomic_store_n(&s->shared->cache[i], 0, __ATOMIC_RELAXED);
	} while (!generation || hashmap_get(&s->by_tag, tag_of(generation)));
	return generation;
}

static struct wire_mapping *mappings_of(const struct spaces *s, const struct space_run *run)
{
	return &s->shared->mappings[run->first + 1];
}

static void set_header(struct spaces *s, const struct space_run *run, uint64_t generation)
{
	__atomic_store_n(&s->shared->mappings[run->first].start, generation, __ATOMIC_RELEASE);
}

/* All but how often it was searched. */
static bool same_mapping(const struct wire_mapping *a, const struct wire_mapping *b)
{
	return a->start == b->start && a->end == b->end && a->bias == b->bias &&
	       a->kind == b->kind && a->segment == b->segment && a->first_page == b->first_page &&
	       a->n_pages == b->n_pages;
}

static bool same_content(const struct spaces *s, const struct space_run *run,
			 const struct wire_mapping *items, size_t n)
{
	const struct wire_mapping *mine = mappings_of(s, run);

	if (run->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!same_mapping(&mine[i], &items[i]))
			return false;
	return true;
}

static void run_write(struct spaces *s, struct space_run *run, const struct wire_mapping *items)
{
	set_header(s, run, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(mappings_of(s, run), items, run->n * sizeof(*items));
	set_header(s, run, run->generation);
}

static void run_unlink(struct spaces *s, struct space_run *run)
{
	struct space_run *head = hashmap_get(&s->by_hash, run->hash), **at = &head;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	/* The key is there, so that putting needs no memory. */
	if (head)
		hashmap_put(&s->by_hash, run->hash, head);
	else
		hashmap_take(&s->by_hash, run->hash);
}

static void run_put(struct spaces *s, struct space_run *run)
{
	if (!run || --run->refs)
		return;
	set_header(s, run, 0);
	run_unlink(s, run);
	hashmap_take(&s->by_tag, tag_of(run->generation));
	room_give(&s->room, run->first, run->n + 1);
	free(run);
}

/* Puts a filled run into the tables. Returns 0 or -ENOMEM. */
static int run_link(struct spaces *s, struct space_run *run)
{
	run->next = hashmap_get(&s->by_hash, run->hash);
	if (hashmap_put(&s->by_tag, tag_of(run->generation), run))
		return -ENOMEM;
	if (!hashmap_put(&s->by_hash, run->hash, run))
		return 0;
	hashmap_take(&s->by_tag, tag_of(run->generation));
	return -ENOMEM;
}

/* A run of this content, with a reference. */
static int run_get(struct spaces *s, const struct wire_mapping *items, size_t n,
		   struct space_run **ret)
{
	uint64_t hash = hash_bytes(0, items, n * sizeof(*items));
	struct space_run *run;
	int err;

	for (run = hashmap_get(&s->by_hash, hash); run; run = run->next)
		if (same_content(s, run, items, n)) {
			run->refs++;
			*ret = run;
			return 0;
		}
	run = calloc(1, sizeof(*run));
	if (!run)
		return -ENOMEM;
	*run = (struct space_run){.hash = hash, .n = n, .refs = 1};
	err = room_take(&s->room, n + 1, &run->first);
	if (err) {
		free(run);
		return err;
	}
	run->generation = new_generation(s);
	err = run_link(s, run);
	if (err) {
		room_give(&s->room, run->first, n + 1);
		free(run);
		return err;
	}
	run_write(s, run, items);
	*ret = run;
	return 0;
}

int space_claim(struct spaces *s, uint32_t instance, struct space *ret)
{
	struct wire_space *slot;

	for (uint32_t i = 0; i < WIRE_SPACE_PROBES; i++) {
		slot = &s->shared->spaces[(WIRE_SPACE_HOME(instance) + i) % WIRE_SPACES];
		if (__atomic_load_n(&slot->instance, __ATOMIC_ACQUIRE) != instance)
			continue;
		*ret = (struct space){.slot = slot};
		return 0;
	}
	for (uint32_t i = 0; i < WIRE_SPACE_PROBES; i++) {
		wire_instance nobody = 0;

		slot = &s->shared->spaces[(WIRE_SPACE_HOME(instance) + i) % WIRE_SPACES];
		if (!__atomic_compare_exchange_n(&slot->instance, &nobody, instance, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			continue;
		*ret = (struct space){.slot = slot};
		return 0;
	}
	return -ENOSPC;
}

uint64_t space_listen(const struct space *space)
{
	__atomic_store_n(&space->slot->asked, 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(word_of(space), __ATOMIC_SEQ_CST);
}

uint32_t space_version(const struct space *space)
{
	return __atomic_load_n(&space->slot->version, __ATOMIC_SEQ_CST);
}

bool space_holds(const struct space *space)
{
	return space->run && (uint32_t)__atomic_load_n(word_of(space), __ATOMIC_SEQ_CST) ==
				     space->run->generation;
}

static void slot_point(const struct space *space, const struct space_run *run)
{
	__atomic_store_n(&space->slot->first, run ? run->first : 0, __ATOMIC_RELAXED);
	__atomic_store_n(&space->slot->n, run ? run->n : 0, __ATOMIC_RELEASE);
}

/* run NULL: nothing is. Takes over the reference. */
static void announce(struct spaces *s, struct space *space, struct space_run *run)
{
	__atomic_store_n(&space->slot->pending_n, 0, __ATOMIC_SEQ_CST);
	run_put(s, space->announced);
	space->announced = run;
	if (!run)
		return;
	__atomic_store_n(&space->slot->pending_first, run->first, __ATOMIC_SEQ_CST);
	__atomic_store_n(&space->slot->pending_n, run->n, __ATOMIC_SEQ_CST);
	/* Who has read the mappings before this does not know of what the kernel did not watch then. */
	__atomic_fetch_add(&space->slot->changes, 1, __ATOMIC_SEQ_CST);
}

/* Whether a mapping with a table of one run is not in another. */
static bool loses_code(const struct spaces *s, const struct space_run *from,
		       const struct space_run *to)
{
	const struct wire_mapping *old = mappings_of(s, from), *new = mappings_of(s, to);
	size_t k = 0;

	for (size_t i = 0; i < from->n; i++) {
		if (old[i].kind != WIRE_MAPPING_CFI)
			continue;
		while (k < to->n && new[k].start < old[i].start)
			k++;
		if (k == to->n || new[k].start != old[i].start || new[k].end != old[i].end)
			return true;
	}
	return false;
}

/* What the kernel walks by, which may still be the run that a forked child began with. NULL: nothing. */
static const struct space_run *run_seen(const struct spaces *s, const struct space *space,
					uint64_t seen)
{
	const struct space_run *run = space->run;

	if (!run)
		run = hashmap_get(&s->by_tag, tag_of(seen));
	return run && (space->run || run->generation == (uint32_t)seen) ? run : NULL;
}

int space_publish(struct spaces *s, struct space *space, const struct wire_mapping *items, size_t n,
		  uint64_t seen)
{
	const struct space_run *before = run_seen(s, space, seen);
	struct space_run *run;
	uint32_t version;
	int err = run_get(s, items, n, &run);

	if (err)
		return err;
	if (run != space->announced) {
		announce(s, space, run);
		return -EAGAIN;
	}
	/* What is no longer there will not be found gone by the kernel: others may get its addresses unnoticed. */
	if (before && loses_code(s, before, run))
		__atomic_fetch_add(&space->slot->version, 1, __ATOMIC_SEQ_CST);
	version = space_version(space);
	slot_point(space, run);
	if (!__atomic_compare_exchange_n(word_of(space), &seen,
					 with_generation(seen, run->generation), false,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
		slot_point(space, space->run);
		run_put(s, run);
		return -EAGAIN;
	}
	run_put(s, space->run);
	space->run = run;
	space->version = version;
	announce(s, space, NULL);
	return 0;
}

/* The next walk asks for it, and meanwhile none relies on it, nor does the kernel see code go. */
static void take_back(struct spaces *s, struct space *space)
{
	__atomic_fetch_add(&space->slot->version, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&space->slot->generation, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&space->slot->asked, 0, __ATOMIC_SEQ_CST);
	slot_point(space, NULL);
	announce(s, space, NULL);
	run_put(s, space->run);
	space->run = NULL;
}

int space_replace(struct spaces *s, struct space *space, const struct wire_mapping *items, size_t n)
{
	int err = -EAGAIN;

	while (err == -EAGAIN && space_holds(space)) {
		uint64_t seen = __atomic_load_n(word_of(space), __ATOMIC_SEQ_CST);

		if ((uint32_t)seen == space->run->generation)
			err = space_publish(s, space, items, n, seen);
	}
	if (err)
		take_back(s, space);
	return err == -EAGAIN ? 0 : err;
}

void space_release(struct spaces *s, struct space *space)
{
	if (!space->slot)
		return;
	take_back(s, space);
	__atomic_store_n(&space->slot->version, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&space->slot->instance, 0, __ATOMIC_RELEASE);
	*space = (struct space){0};
}

uint32_t space_take_searches(const struct spaces *s, const struct space *space, size_t i)
{
	if (!space->run || i >= space->run->n)
		return 0;
	return __atomic_exchange_n(&mappings_of(s, space->run)[i].n_searches, 0, __ATOMIC_RELAXED);
}
