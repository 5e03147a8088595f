// SPDX-License-Identifier: BSD-2-Clause
/* What the unwinder gives the kernel, as far as it can be judged without one: memory of ours stands for the shared one, and the
 * test plays the kernel's part. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attach/unwind_room.h"
#include "attach/unwind_rules.h"
#include "attach/unwind_spaces.h"

#define NUMBERS 1000
#define OLD 200

struct fixture {
	struct wire_unwind *shared;
	uint32_t next_generation;
	struct spaces spaces;
};

static void setup_spaces(struct fixture *f)
{
	f->shared = calloc(1, sizeof(*f->shared));
	assert_non_null(f->shared);
	f->next_generation = 1;
	assert_int_equal(spaces_init(&f->spaces, f->shared, &f->next_generation), 0);
}

static void teardown_spaces(struct fixture *f)
{
	spaces_done(&f->spaces);
	free(f->shared);
}

static struct wire_mapping library(uint64_t start)
{
	return (struct wire_mapping){.start = start,
				     .end = start + 0x1000,
				     .bias = start,
				     .kind = WIRE_MAPPING_CFI,
				     .first_page = 7,
				     .n_pages = 1};
}

/* What a walk sees of the instance: the start of its i-th mapping, 0 when nothing valid is published. */
static uint64_t seen_by_kernel(const struct fixture *f, const struct space *space, size_t i)
{
	const struct wire_space *slot = space->slot;

	if (!slot->generation || f->shared->mappings[slot->first].start != slot->generation)
		return 0;
	assert_true(i < slot->n);
	return f->shared->mappings[slot->first + 1 + i].start;
}

/* Announced, then published, as after two reads that showed the same. */
static int publish(struct fixture *f, struct space *space, const struct wire_mapping *items,
		   size_t n)
{
	int err = space_publish(&f->spaces, space, items, n, space_listen(space));

	if (err != -EAGAIN)
		return err;
	return space_publish(&f->spaces, space, items, n, space_listen(space));
}

static void publish_one(struct fixture *f, struct space *space, uint64_t start)
{
	struct wire_mapping item = library(start);

	assert_int_equal(publish(f, space, &item, 1), 0);
	assert_int_equal(seen_by_kernel(f, space, 0), start);
}

/* Random takes and gives, against a plain array of who owns what. */
static void test_room(void **state)
{
	static uint32_t first[NUMBERS], length[NUMBERS];
	unsigned char owned[NUMBERS] = {0};
	struct room room;
	size_t n = 0;
	uint32_t all;

	(void)state;
	srand(1);
	assert_int_equal(room_init(&room, NUMBERS), 0);
	for (int round = 0; round < 20000; round++) {
		uint32_t want = 1 + rand() % 40, at;

		if (rand() % 2 && !room_take(&room, want, &at)) {
			assert_true(at + want <= NUMBERS);
			assert_null(memchr(owned + at, 1, want));
			memset(owned + at, 1, want);
			first[n] = at;
			length[n++] = want;
		} else if (n) {
			size_t i = rand() % n;

			memset(owned + first[i], 0, length[i]);
			room_give(&room, first[i], length[i]);
			first[i] = first[--n];
			length[i] = length[n];
		}
	}
	while (n--)
		room_give(&room, first[n], length[n]);
	assert_int_equal(room.n, 1);
	assert_int_equal(room_take(&room, NUMBERS, &all), 0);
	assert_int_equal(room_take(&room, 1, &all), -ENOSPC);
	room_done(&room);
}

static void test_rules_are_shared(void **state)
{
	struct wire_rule *shared = calloc(WIRE_RULES, sizeof(*shared));
	const struct wire_rule file[] = {
		{.cfa = WIRE_CFA_SP, .cfa_off = 8},
		{.cfa = WIRE_CFA_NONE},
		{.cfa = WIRE_CFA_SP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA, .fp_off = -16},
		{.cfa = WIRE_CFA_SP, .cfa_off = 8},
		{.cfa = WIRE_CFA_UNSUPPORTED, .fp = WIRE_FP_UNDEFINED},
	};
	uint32_t ids[5], again[5];
	struct rules rules;

	(void)state;
	assert_int_equal(rules_init(&rules, shared), 0);
	assert_int_equal(shared[WIRE_RULE_NONE].cfa, WIRE_CFA_NONE);
	assert_int_equal(shared[WIRE_RULE_GUESS].cfa, WIRE_CFA_GUESS);
	rules_intern(&rules, file, 5, ids);
	rules_intern(&rules, file, 5, again);
	assert_memory_equal(ids, again, sizeof(ids));
	assert_int_equal(ids[1], WIRE_RULE_NONE);
	assert_int_equal(ids[0], ids[3]);
	assert_int_not_equal(ids[0], ids[2]);
	for (int i = 0; i < 4; i++)
		assert_memory_equal(&shared[ids[i]], &file[i], sizeof(*file));
	assert_int_equal(shared[ids[4]].cfa, WIRE_CFA_UNSUPPORTED);
	rules_done(&rules);
	free(shared);
}

/* A file with more rules than there is room for leaves some to the next one, and says what it cannot. */
static void test_rules_run_out(void **state)
{
	const size_t n = WIRE_RULES - WIRE_RULE_FIRST;
	struct wire_rule *shared = calloc(WIRE_RULES, sizeof(*shared)),
			 *file = calloc(n, sizeof(*file));
	uint32_t *ids = calloc(n, sizeof(*ids));
	struct rules rules;
	size_t n_unsupported;

	(void)state;
	assert_int_equal(rules_init(&rules, shared), 0);
	for (int round = 0; round < 40; round++) {
		n_unsupported = 0;
		for (size_t i = 0; i < n; i++)
			file[i] = (struct wire_rule){
				.cfa = WIRE_CFA_FP, .cfa_off = 8 * i, .fp_off = round};
		rules_intern(&rules, file, n, ids);
		for (size_t i = 0; i < n; i++) {
			assert_in_range(ids[i], WIRE_RULE_FIRST, WIRE_RULES - 1);
			if (shared[ids[i]].cfa == WIRE_CFA_UNSUPPORTED)
				n_unsupported++;
			else
				assert_memory_equal(&shared[ids[i]], &file[i], sizeof(*file));
		}
		if (!round)
			assert_in_range(n_unsupported, n / 2 - 10, n / 2 + 10);
	}
	assert_int_equal(n_unsupported, n);
	rules_done(&rules);
	free(shared);
	free(file);
	free(ids);
}

static void test_equal_content_is_shared(void **state)
{
	struct fixture f;
	struct space parent, child;

	(void)state;
	setup_spaces(&f);
	assert_int_equal(space_claim(&f.spaces, 1, &parent), 0);
	publish_one(&f, &parent, 0x400000);
	assert_int_equal(space_claim(&f.spaces, 2, &child), 0);
	publish_one(&f, &child, 0x400000);
	assert_int_equal(parent.slot->generation, child.slot->generation);
	assert_int_equal(parent.slot->first, child.slot->first);
	publish_one(&f, &child, 0x500000);
	assert_int_not_equal(parent.slot->generation, child.slot->generation);
	assert_int_equal(seen_by_kernel(&f, &parent, 0), 0x400000);
	space_release(&f.spaces, &parent);
	assert_int_equal(seen_by_kernel(&f, &child, 0), 0x500000);
	space_release(&f.spaces, &child);
	assert_int_equal(f.spaces.room.n_taken, 0);
	teardown_spaces(&f);
}

/* The kernel's slot for a forked child is taken over with what stands in it. */
static void test_fork(void **state)
{
	struct fixture f;
	struct space parent, child;
	struct wire_space *slot;

	(void)state;
	setup_spaces(&f);
	assert_int_equal(space_claim(&f.spaces, 1, &parent), 0);
	publish_one(&f, &parent, 0x400000);
	slot = &f.shared->spaces[WIRE_SPACE_HOME(5) + 2];
	*slot = *parent.slot;
	slot->instance = 5;
	assert_int_equal(space_claim(&f.spaces, 5, &child), 0);
	assert_ptr_equal(child.slot, slot);
	assert_int_equal(seen_by_kernel(&f, &child, 0), 0x400000);
	/* The parent goes first: until the child's fork is processed, its walks find nothing, and nothing wrong. */
	space_release(&f.spaces, &parent);
	assert_int_equal(seen_by_kernel(&f, &child, 0), 0);
	assert_int_equal(space_claim(&f.spaces, 1, &parent), 0);
	publish_one(&f, &parent, 0x500000);
	assert_int_equal(seen_by_kernel(&f, &child, 0), 0);
	publish_one(&f, &child, 0x400000);
	teardown_spaces(&f);
}

static void test_stale_publication_fails(void **state)
{
	struct wire_mapping item = library(0x400000);
	struct fixture f;
	struct space space;
	uint64_t seen;

	(void)state;
	setup_spaces(&f);
	assert_int_equal(space_claim(&f.spaces, 1, &space), 0);
	/* What was not announced is not published: the kernel could not watch over it. */
	assert_int_equal(space_publish(&f.spaces, &space, &item, 1, space_listen(&space)), -EAGAIN);
	assert_int_equal(space.slot->pending_n, 1);
	assert_int_equal(f.shared->mappings[space.slot->pending_first + 1].start, 0x400000);
	/* Something is mapped there, before anything was published: the kernel only counts. */
	seen = space_listen(&space);
	space.slot->changes++;
	assert_int_equal(space_publish(&f.spaces, &space, &item, 1, seen), -EAGAIN);
	assert_int_equal(seen_by_kernel(&f, &space, 0), 0);
	assert_false(space_holds(&space));
	publish_one(&f, &space, 0x400000);
	assert_true(space_holds(&space));
	assert_int_equal(space.slot->pending_n, 0);
	/* It is mapped elsewhere, and moves once more meanwhile: what stood, stands. */
	item = library(0x500000);
	assert_int_equal(space_publish(&f.spaces, &space, &item, 1, space_listen(&space)), -EAGAIN);
	seen = space_listen(&space);
	space.slot->changes++;
	assert_int_equal(space_publish(&f.spaces, &space, &item, 1, seen), -EAGAIN);
	assert_int_equal(seen_by_kernel(&f, &space, 0), 0x400000);
	/* It is mapped in the place of what stood: the same content must be published anew. */
	space.slot->changes++;
	space.slot->generation = 0;
	space.slot->asked = 1;
	assert_false(space_holds(&space));
	publish_one(&f, &space, 0x400000);
	assert_int_equal(space.slot->asked, 0);
	assert_true(space_holds(&space));
	teardown_spaces(&f);
}

static void test_replace(void **state)
{
	struct wire_mapping item = library(0x400000);
	struct fixture f;
	struct space space;

	(void)state;
	setup_spaces(&f);
	assert_int_equal(space_claim(&f.spaces, 1, &space), 0);
	publish_one(&f, &space, 0x400000);
	item.kind = WIRE_MAPPING_GUESS;
	assert_int_equal(space_replace(&f.spaces, &space, &item, 1), 0);
	assert_int_equal(f.shared->mappings[space.slot->first + 1].kind, WIRE_MAPPING_GUESS);
	/* The kernel has taken it back: it stays so. */
	space.slot->generation = 0;
	assert_int_equal(space_replace(&f.spaces, &space, &item, 1), 0);
	assert_int_equal(space.slot->generation, 0);
	assert_null(space.run);
	assert_int_equal(f.spaces.room.n_taken, 0);
	teardown_spaces(&f);
}

static void test_searches(void **state)
{
	struct fixture f;
	struct space a, b;

	(void)state;
	setup_spaces(&f);
	assert_int_equal(space_claim(&f.spaces, 1, &a), 0);
	assert_int_equal(space_claim(&f.spaces, 2, &b), 0);
	publish_one(&f, &a, 0x400000);
	f.shared->mappings[a.slot->first + 1].n_searches = 3;
	/* Searches are no part of the content. */
	publish_one(&f, &b, 0x400000);
	assert_int_equal(a.slot->first, b.slot->first);
	assert_int_equal(space_take_searches(&f.spaces, &a, 0), 3);
	assert_int_equal(space_take_searches(&f.spaces, &b, 0), 0);
	assert_int_equal(space_take_searches(&f.spaces, &b, 1), 0);
	teardown_spaces(&f);
}

/* More instances than there are slots, over more than the range of generations that the cache tells apart; some live through all
 * of it, and no other may look like them. */
static void test_wraparound(void **state)
{
	const uint32_t n = 5 * WIRE_SPACES, tag_mask = (1 << 17) - 1;
	static struct space old[OLD], ring[64];
	struct fixture f;

	(void)state;
	setup_spaces(&f);
	for (uint32_t i = 0; i < OLD; i++) {
		assert_int_equal(space_claim(&f.spaces, 1 + i, &old[i]), 0);
		publish_one(&f, &old[i], 0x1000 * (i + 1));
	}
	for (uint32_t i = OLD + 1; i < n; i++) {
		struct space *space = &ring[i % 64];
		const struct space *other = &old[i % OLD];

		space_release(&f.spaces, space);
		assert_int_equal(space_claim(&f.spaces, i, space), 0);
		f.shared->cache[i % WIRE_CACHE] = 1;
		publish_one(&f, space, (uint64_t)i << 12);
		for (uint32_t k = 0; k < OLD; k++)
			assert_false(((space->slot->generation ^ old[k].slot->generation) &
				      tag_mask) == 0);
		assert_int_equal(seen_by_kernel(&f, other, 0), 0x1000 * (i % OLD + 1));
		if (!(space->slot->generation & 0xffff))
			for (size_t k = 0; k < WIRE_CACHE; k++)
				assert_int_equal(f.shared->cache[k], 0);
	}
	assert_true(f.next_generation > 1 << 17);
	teardown_spaces(&f);
}

static void test_generations_skip_zero(void **state)
{
	struct fixture f;
	struct space space;

	(void)state;
	setup_spaces(&f);
	f.next_generation = UINT32_MAX;
	assert_int_equal(space_claim(&f.spaces, 1, &space), 0);
	publish_one(&f, &space, 0x1000);
	publish_one(&f, &space, 0x2000);
	assert_int_equal(space.slot->generation, 1);
	teardown_spaces(&f);
}

static void test_full(void **state)
{
	struct wire_mapping *items = calloc(WIRE_MAPPINGS, sizeof(*items));
	struct space spaces[WIRE_SPACE_PROBES], other;
	struct fixture f;
	size_t n = 0;

	(void)state;
	setup_spaces(&f);
	for (uint32_t instance = 1; n < WIRE_SPACE_PROBES; instance++)
		if (WIRE_SPACE_HOME(instance) == 7)
			assert_int_equal(space_claim(&f.spaces, instance, &spaces[n++]), 0);
	for (uint32_t instance = UINT32_MAX; n; instance--)
		if (WIRE_SPACE_HOME(instance) == 7) {
			assert_int_equal(space_claim(&f.spaces, instance, &other), -ENOSPC);
			n = 0;
		}
	for (uint32_t i = 0; i < WIRE_MAPPINGS; i++)
		items[i] = library((uint64_t)(i + 1) << 12);
	assert_int_equal(publish(&f, &spaces[0], items, WIRE_MAPPINGS), -ENOSPC);
	assert_int_equal(publish(&f, &spaces[0], items, WIRE_MAPPINGS - 1), 0);
	assert_int_equal(publish(&f, &spaces[1], items, 1), -ENOSPC);
	space_release(&f.spaces, &spaces[0]);
	publish_one(&f, &spaces[1], 0x1000);
	free(items);
	teardown_spaces(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_rules_are_shared),
		cmocka_unit_test(test_rules_run_out),
		cmocka_unit_test(test_equal_content_is_shared),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_stale_publication_fails),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_searches),
		cmocka_unit_test(test_wraparound),
		cmocka_unit_test(test_generations_skip_zero),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
