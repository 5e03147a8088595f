// SPDX-License-Identifier: BSD-2-Clause
#include "collect/ranges.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* After the headers that cmocka.h needs. */
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "collect/birth.h"
#include "wire.h"

#define PAGE 4096ULL
#define SESSION_NS 1000ULL
#define INSTANCE 7

struct blocks {
	struct snapshot_block *items;
	size_t n, cap;
};

static int keep_block(void *arg, const struct snapshot_block *b)
{
	struct blocks *blocks = arg;

	return vec_push(blocks, *b);
}

static struct blocks all_blocks(struct ranges *r)
{
	struct blocks blocks = {0};

	assert_int_equal(ranges_each_block(r, keep_block, &blocks), 0);
	return blocks;
}

static struct snapshot read_sites(const struct ranges *r)
{
	struct snapshot s = {.time_ns = SESSION_NS + (1ULL << 40)};

	assert_int_equal(ranges_read(r, &s), 0);
	return s;
}

static struct ranges *create(size_t max_pieces)
{
	struct ranges *r;

	assert_int_equal(ranges_create(SESSION_NS, max_pieces, &r), 0);
	return r;
}

static void add(struct ranges *r, uint64_t stack, uint64_t first, uint64_t n)
{
	assert_int_equal(ranges_add(r, INSTANCE, SITE_MMAP, stack, SESSION_NS + stack, first * PAGE,
				    n * PAGE),
			 0);
}

static void take(struct ranges *r, uint32_t tid, uint64_t first, uint64_t n)
{
	assert_int_equal(ranges_take(r, INSTANCE, tid, first * PAGE, n * PAGE), 0);
}

static void unmap(struct ranges *r, uint64_t first, uint64_t n)
{
	take(r, 1, first, n);
	ranges_settle(r, INSTANCE, 1, 0, 0);
}

/* expected: pairs of first page and number of pages, ended by a pair of zeros. */
static void assert_pieces(struct ranges *r, const uint64_t (*expected)[2])
{
	struct blocks b = all_blocks(r);
	size_t n = 0;

	for (; expected[n][1]; n++) {
		assert_true(n < b.n);
		assert_int_equal(b.items[n].address, expected[n][0] * PAGE);
		assert_int_equal(b.items[n].size_bytes, expected[n][1] * PAGE);
	}
	assert_int_equal(b.n, n);
	free(b.items);
}

#define PIECES(...) ((const uint64_t[][2]){__VA_ARGS__, {0, 0}})
#define NO_PIECES ((const uint64_t[][2]){{0, 0}})

/* Returns the number of blocks that outstanding figures rest on. */
static uint64_t assert_figures(const struct ranges *r, uint64_t stack, uint64_t n_pages_allocated,
			       uint64_t n_pages_freed, double allocations, double frees)
{
	struct snapshot s = read_sites(r);
	const struct snapshot_site *site = NULL;
	uint64_t n_sampled;

	for (size_t i = 0; i < s.sites.n; i++)
		if (s.sites.items[i].stack == stack)
			site = &s.sites.items[i];
	assert_non_null(site);
	assert_int_equal(site->allocated_bytes, n_pages_allocated * PAGE);
	assert_int_equal(site->freed_bytes, n_pages_freed * PAGE);
	assert_true(site->allocations == allocations && site->frees == frees);
	assert_int_equal(site->oldest_ns < 0, allocations == frees);
	n_sampled = site->n_sampled;
	snapshot_done(&s);
	return n_sampled;
}

static void assert_site(const struct ranges *r, uint64_t stack, uint64_t n_pages_allocated,
			uint64_t n_pages_freed, double allocations, double frees)
{
	assert_int_equal(assert_figures(r, stack, n_pages_allocated, n_pages_freed, allocations,
					frees),
			 allocations - frees);
}

static void munmap_cuts(void **state)
{
	struct ranges *r = create(100);

	(void)state;
	add(r, 1, 100, 20);
	unmap(r, 108, 4);
	unmap(r, 90, 12);
	unmap(r, 119, 50);
	assert_pieces(r, PIECES({102, 6}, {112, 7}));
	assert_site(r, 1, 20, 7, 1, 0);
	unmap(r, 0, 1000);
	assert_pieces(r, NO_PIECES);
	assert_site(r, 1, 20, 20, 1, 1);
	ranges_destroy(r);
}

static void munmap_spans_several(void **state)
{
	struct ranges *r = create(100);

	(void)state;
	add(r, 1, 10, 10);
	add(r, 2, 20, 10);
	add(r, 3, 40, 10);
	unmap(r, 15, 30);
	assert_pieces(r, PIECES({10, 5}, {45, 5}));
	assert_site(r, 1, 10, 5, 1, 0);
	assert_site(r, 2, 10, 10, 1, 1);
	assert_site(r, 3, 10, 5, 1, 0);
	ranges_destroy(r);
}

static void fixed_mapping_replaces(void **state)
{
	struct ranges *r = create(100);

	(void)state;
	add(r, 1, 10, 10);
	add(r, 2, 13, 2);
	assert_pieces(r, PIECES({10, 3}, {13, 2}, {15, 5}));
	assert_site(r, 1, 10, 2, 1, 0);
	assert_site(r, 2, 2, 0, 1, 0);
	ranges_destroy(r);
}

static void failed_call_puts_back(void **state)
{
	struct ranges *r = create(100);

	(void)state;
	add(r, 1, 10, 10);
	take(r, 1, 12, 3);
	assert_pieces(r, PIECES({10, 2}, {15, 5}));
	ranges_put_back(r, INSTANCE, 1);
	assert_pieces(r, PIECES({10, 10}));
	assert_site(r, 1, 10, 0, 1, 0);
	take(r, 1, 0, 100);
	assert_site(r, 1, 10, 10, 1, 1);
	ranges_put_back(r, INSTANCE, 1);
	assert_site(r, 1, 10, 0, 1, 0);
	ranges_put_back(r, INSTANCE, 1);
	assert_pieces(r, PIECES({10, 10}));
	ranges_destroy(r);
}

static void mremap_moves_grows_shrinks(void **state)
{
	struct ranges *r = create(100);

	(void)state;
	add(r, 1, 10, 4);
	add(r, 2, 14, 1);
	take(r, 1, 10, 4);
	ranges_settle(r, INSTANCE, 1, 50 * PAGE, 40 * PAGE);
	assert_pieces(r, PIECES({14, 1}, {50, 40}));
	assert_site(r, 1, 40, 0, 1, 0);
	take(r, 1, 50, 40);
	ranges_settle(r, INSTANCE, 1, 50 * PAGE, 30 * PAGE);
	assert_pieces(r, PIECES({14, 1}, {50, 30}));
	assert_site(r, 1, 40, 10, 1, 0);
	/* In place: one piece, not two. */
	take(r, 1, 50, 30);
	ranges_settle(r, INSTANCE, 1, 50 * PAGE, 31 * PAGE);
	assert_pieces(r, PIECES({14, 1}, {50, 31}));
	/* A part, to where another range is. */
	take(r, 1, 60, 5);
	ranges_settle(r, INSTANCE, 1, 11 * PAGE, 5 * PAGE);
	assert_pieces(r, PIECES({11, 5}, {50, 10}, {65, 16}));
	assert_site(r, 2, 1, 1, 1, 1);
	ranges_destroy(r);
}

/* What grows is not known, so neither is what it grows by. */
static void mremap_of_unknown(void **state)
{
	struct ranges *r = create(100);

	(void)state;
	add(r, 1, 10, 4);
	take(r, 1, 20, 4);
	ranges_settle(r, INSTANCE, 1, 30 * PAGE, 8 * PAGE);
	take(r, 1, 12, 4);
	ranges_settle(r, INSTANCE, 1, 40 * PAGE, 8 * PAGE);
	assert_pieces(r, PIECES({10, 2}, {40, 2}));
	assert_site(r, 1, 4, 0, 1, 0);
	ranges_destroy(r);
}

/* Sampled pages stand for others, those cut out of a huge one in parts; they move, but do not grow. */
static void pages_have_weights(void **state)
{
	struct ranges *r = create(100);
	struct snapshot s;
	struct blocks b;

	(void)state;
	assert_int_equal(ranges_touch(r, INSTANCE, 1, SESSION_NS, 10 * PAGE, PAGE, 16), 0);
	assert_int_equal(ranges_touch(r, INSTANCE, 1, SESSION_NS, 20 * PAGE, 8 * PAGE, 2), 0);
	assert_int_equal(ranges_touch(r, INSTANCE, 1, SESSION_NS, 30 * PAGE, PAGE, 0), 0);
	assert_int_equal(assert_figures(r, 1, 16 + 16 + 1, 0, 16 + 2 + 1, 0), 3);
	b = all_blocks(r);
	assert_int_equal(b.n, 3);
	assert_int_equal(b.items[0].kind, SITE_FAULT);
	assert_true(b.items[0].weight == 16 && b.items[1].weight == 2 && b.items[2].weight == 1);
	free(b.items);
	unmap(r, 22, 3);
	assert_int_equal(assert_figures(r, 1, 33, 6, 19, 0), 3);
	take(r, 1, 25, 3);
	ranges_put_back(r, INSTANCE, 1);
	assert_int_equal(assert_figures(r, 1, 33, 6, 19, 0), 3);
	unmap(r, 10, 1);
	assert_int_equal(assert_figures(r, 1, 33, 22, 19, 16), 2);
	take(r, 1, 20, 8);
	ranges_settle(r, INSTANCE, 1, 40 * PAGE, 16 * PAGE);
	assert_pieces(r, PIECES({30, 1}, {40, 2}, {45, 3}));
	assert_int_equal(assert_figures(r, 1, 33, 22, 19, 16), 2);
	unmap(r, 0, 100);
	assert_int_equal(assert_figures(r, 1, 33, 33, 19, 19), 0);
	s = read_sites(r);
	assert_int_equal(s.sites.n, 1);
	assert_int_equal(s.sites.items[0].n_stacks, 3);
	assert_int_equal(s.sites.items[0].n_sampled, 0);
	snapshot_done(&s);
	ranges_destroy(r);
}

static void instances_are_apart(void **state)
{
	struct ranges *r = create(100);
	struct snapshot s;

	(void)state;
	add(r, 1, 10, 4);
	assert_int_equal(ranges_add(r, 8, SITE_BRK, 1, SESSION_NS, 10 * PAGE, 100), 0);
	assert_int_equal(ranges_add(r, 8, SITE_MMAP, 1, SESSION_NS, 20 * PAGE, 100), 0);
	s = read_sites(r);
	assert_int_equal(s.sites.n, 3);
	snapshot_done(&s);
	unmap(r, 0, 100);
	assert_false(ranges_has(r, 9));
	ranges_take(r, 9, 1, 0, 1 << 30);
	ranges_settle(r, 9, 1, 0, 1 << 30);
	assert_false(ranges_has(r, 9));
	ranges_forget(r, INSTANCE);
	assert_false(ranges_has(r, INSTANCE));
	ranges_take(r, 8, 1, 0, 1 << 30);
	assert_pieces(r, NO_PIECES);
	ranges_destroy(r);
}

static void ended_calls_do_not_pile_up(void **state)
{
	struct ranges *r = create(100);

	(void)state;
	add(r, 1, 10, 4);
	take(r, 1, 10, 1);
	take(r, 2, 11, 1);
	take(r, 1, 12, 1); /* the end of thread 1's first call was lost */
	ranges_put_back(r, INSTANCE, 1);
	ranges_put_back(r, INSTANCE, 2);
	assert_pieces(r, PIECES({11, 3}));
	assert_site(r, 1, 4, 1, 1, 0);
	take(r, 3, 0, 100);
	ranges_forget(r, INSTANCE);
	ranges_destroy(r);
}

static void bound_is_kept_and_counted(void **state)
{
	struct ranges *r = create(2);

	(void)state;
	add(r, 1, 10, 4);
	add(r, 2, 20, 4);
	assert_int_equal(ranges_add(r, INSTANCE, SITE_MMAP, 3, SESSION_NS, 30 * PAGE, PAGE),
			 -ENOSPC);
	assert_int_equal(ranges_take(r, INSTANCE, 1, 11 * PAGE, PAGE), -ENOSPC);
	ranges_settle(r, INSTANCE, 1, 0, 0);
	assert_int_equal(ranges_lost(r, INSTANCE), 2);
	assert_int_equal(ranges_lost(r, 8), 0);
	assert_pieces(r, PIECES({10, 4}, {20, 4}));
	unmap(r, 10, 4);
	add(r, 3, 30, 1);
	assert_pieces(r, PIECES({20, 4}, {30, 1}));
	ranges_destroy(r);
}

/* A page by page model: who owns each page, by number of allocation. */
enum { N_PAGES = 64, N_THREADS = 3, N_STACKS = 4, N_STEPS = 60000, MAX_ALLOCATIONS = N_STEPS + 1 };

struct model {
	uint32_t owner[N_PAGES]; /* 0: nobody */
	struct {
		uint32_t owner[N_PAGES];
		unsigned first, n;
		bool valid;
	} taken[N_THREADS];
	uint8_t stack_of[MAX_ALLOCATIONS];
	uint32_t n_allocations, n_by_stack[N_STACKS];
	uint64_t allocated_pages[N_STACKS];
};

static void model_settle(struct model *m, unsigned tid, unsigned first, unsigned n)
{
	const unsigned was = m->taken[tid].first, n_was = m->taken[tid].n;
	uint32_t grown;

	memset(m->owner + first, 0, n * sizeof(m->owner[0]));
	if (!m->taken[tid].valid)
		return;
	m->taken[tid].valid = false;
	for (unsigned i = 0; i < n && i < n_was; i++)
		m->owner[first + i] = m->taken[tid].owner[was + i];
	grown = m->taken[tid].owner[was + n_was - 1];
	for (unsigned i = n_was; i < n; i++)
		m->owner[first + i] = grown;
	if (n > n_was && grown)
		m->allocated_pages[m->stack_of[grown]] += n - n_was;
}

static void model_take(struct model *m, unsigned tid, unsigned first, unsigned n)
{
	m->taken[tid].valid = true;
	m->taken[tid].first = first;
	m->taken[tid].n = n;
	memcpy(m->taken[tid].owner, m->owner, sizeof(m->owner));
	memset(m->owner + first, 0, n * sizeof(m->owner[0]));
}

static void compare_pieces(struct ranges *r, const struct model *m, bool *ret_alive)
{
	struct blocks b = all_blocks(r);
	size_t n_pages = 0, n_first = 0, n_alive = 0;

	for (size_t i = 0; i < b.n; i++) {
		const struct snapshot_block *block = &b.items[i];
		uint32_t allocation = block->time_ns - SESSION_NS;

		assert_true(!i ||
			    b.items[i - 1].address + b.items[i - 1].size_bytes <= block->address);
		assert_int_equal(block->stack, m->stack_of[allocation]);
		for (size_t page = 0; page < block->size_bytes / PAGE; page++, n_pages++)
			assert_int_equal(m->owner[block->address / PAGE + page], allocation);
		n_first += !block->further_part;
	}
	for (unsigned page = 0; page < N_PAGES; page++) {
		n_pages -= m->owner[page] != 0;
		n_alive += m->owner[page] && !ret_alive[m->owner[page]];
		ret_alive[m->owner[page]] = true;
	}
	assert_int_equal(n_pages, 0);
	assert_int_equal(n_first, n_alive);
	free(b.items);
}

static void compare(struct ranges *r, const struct model *m)
{
	static bool alive[MAX_ALLOCATIONS];
	uint64_t n_alive[N_STACKS] = {0}, n_pages[N_STACKS] = {0};
	struct snapshot s = read_sites(r);

	memset(alive, 0, sizeof(alive));
	compare_pieces(r, m, alive);
	for (unsigned page = 0; page < N_PAGES; page++)
		if (m->owner[page])
			n_pages[m->stack_of[m->owner[page]]]++;
	for (uint32_t i = 1; i <= m->n_allocations; i++)
		n_alive[m->stack_of[i]] += alive[i];
	for (size_t i = 0; i < s.sites.n; i++) {
		const struct snapshot_site *site = &s.sites.items[i];

		assert_int_equal(site->allocated_bytes, m->allocated_pages[site->stack] * PAGE);
		assert_int_equal(site->allocated_bytes - site->freed_bytes,
				 n_pages[site->stack] * PAGE);
		assert_int_equal(site->allocations, m->n_by_stack[site->stack]);
		assert_int_equal(site->allocations - site->frees, n_alive[site->stack]);
	}
	snapshot_done(&s);
}

static void random_step(struct ranges *r, struct model *m)
{
	unsigned first = rand() % N_PAGES, n = 1 + rand() % (N_PAGES - first);
	unsigned tid = rand() % N_THREADS, stack = rand() % N_STACKS, what = rand() % 5;

	if (rand() % 2)
		n = 1 + n % 8 < N_PAGES - first ? 1 + n % 8 : 1;
	switch (what) {
	case 0:
	case 1:
		m->n_allocations++;
		m->stack_of[m->n_allocations] = stack;
		m->n_by_stack[stack]++;
		m->allocated_pages[stack] += n;
		for (unsigned i = 0; i < n; i++)
			m->owner[first + i] = m->n_allocations;
		assert_int_equal(ranges_add(r, INSTANCE, SITE_MMAP, stack,
					    SESSION_NS + m->n_allocations, first * PAGE, n * PAGE),
				 0);
		break;
	case 2:
		model_take(m, tid, first, n);
		take(r, tid, first, n);
		break;
	case 3:
		if (m->taken[tid].valid)
			model_settle(m, tid, m->taken[tid].first, m->taken[tid].n);
		ranges_put_back(r, INSTANCE, tid);
		break;
	default:
		n = rand() % 3 ? n : 0;
		model_settle(m, tid, first, n);
		ranges_settle(r, INSTANCE, tid, first * PAGE, n * PAGE);
	}
}

/* A call that took nothing known does nothing when it fails, so the model must not clear its place either. */
static bool took_anything(const struct model *m, unsigned tid)
{
	for (unsigned i = 0; i < m->taken[tid].n; i++)
		if (m->taken[tid].owner[m->taken[tid].first + i])
			return true;
	return false;
}

static void equals_a_model_by_page(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	struct ranges *r = create(100000);

	(void)state;
	assert_non_null(m);
	srand(20261122);
	for (unsigned i = 0; i < N_STEPS; i++) {
		random_step(r, m);
		for (unsigned tid = 0; tid < N_THREADS; tid++)
			m->taken[tid].valid = m->taken[tid].valid && took_anything(m, tid);
		if (i % 8 == 0)
			compare(r, m);
	}
	compare(r, m);
	assert_int_equal(ranges_lost(r, INSTANCE), 0);
	ranges_destroy(r);
	free(m);
}

static uint64_t absurd(void)
{
	static const uint64_t edges[] = {
		0, 1, PAGE, 1ULL << 47, 1ULL << 63, UINT64_MAX, UINT64_MAX - PAGE};
	uint64_t v = edges[rand() % ARRAY_SIZE(edges)];

	return rand() % 3 ? v + rand() % 7 - 3 : (uint64_t)rand() << 33 ^ rand();
}

/* Any order, sizes that wrap, and too little room: outstanding is the sum of the pieces, per site. */
static void survives_absurd_events(void **state)
{
	struct ranges *r = create(40);

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 50000; i++) {
		uint64_t sum = 0;
		struct blocks b;
		struct snapshot s;

		switch (rand() % 5) {
		case 0:
		case 1:
			ranges_add(r, INSTANCE, rand() % 2 ? SITE_MMAP : SITE_BRK, rand() % 5,
				   absurd(), absurd(), absurd());
			break;
		case 2:
			ranges_take(r, INSTANCE, rand() % 4, absurd(), absurd());
			break;
		case 3:
			ranges_put_back(r, INSTANCE, rand() % 4);
			break;
		default:
			ranges_settle(r, INSTANCE, rand() % 4, absurd(), absurd());
		}
		if (i % 100)
			continue;
		b = all_blocks(r);
		s = read_sites(r);
		assert_true(b.n <= 40);
		for (size_t k = 0; k < s.sites.n; k++)
			sum += s.sites.items[k].allocated_bytes - s.sites.items[k].freed_bytes;
		for (size_t k = 0; k < b.n; k++)
			sum -= b.items[k].size_bytes;
		assert_int_equal(sum, 0);
		free(b.items);
		snapshot_done(&s);
	}
	ranges_destroy(r);
}

static void stays_shallow(void **state)
{
	struct ranges *r = create(1 << 20);
	struct blocks b;

	(void)state;
	/* In order, as the kernel places them; a list of that depth would overflow the stack. */
	for (unsigned i = 1; i <= 1 << 19; i++)
		add(r, 1, 2 * i, 1);
	b = all_blocks(r);
	assert_int_equal(b.n, 1 << 19);
	free(b.items);
	unmap(r, 0, 1 << 22);
	assert_pieces(r, NO_PIECES);
	ranges_destroy(r);
}

static void birth_slots_invert(void **state)
{
	(void)state;
	for (unsigned slot = 0; slot < WIRE_BIRTH_SLOTS; slot++) {
		assert_int_equal(birth_slot(birth_slot_start_ns(slot)), slot);
		if (slot)
			assert_int_equal(birth_slot(birth_slot_start_ns(slot) - 1), slot - 1);
	}
	assert_int_equal(birth_slot(UINT64_MAX), WIRE_BIRTH_SLOTS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(munmap_cuts),
		cmocka_unit_test(munmap_spans_several),
		cmocka_unit_test(fixed_mapping_replaces),
		cmocka_unit_test(failed_call_puts_back),
		cmocka_unit_test(mremap_moves_grows_shrinks),
		cmocka_unit_test(mremap_of_unknown),
		cmocka_unit_test(pages_have_weights),
		cmocka_unit_test(instances_are_apart),
		cmocka_unit_test(ended_calls_do_not_pile_up),
		cmocka_unit_test(bound_is_kept_and_counted),
		cmocka_unit_test(equals_a_model_by_page),
		cmocka_unit_test(survives_absurd_events),
		cmocka_unit_test(stays_shallow),
		cmocka_unit_test(birth_slots_invert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
