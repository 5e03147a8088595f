// SPDX-License-Identifier: BSD-2-Clause
/* Marking and the kinds of leaks on memory made up for it, against a slow reference that is short enough to be believed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "process/maps.h"
#include "reach/ended_stack.h"
#include "reach/candidates.h"
#include "reach/heap_chunks.h"
#include "reach/glibc_heap.h"
#include "reach/leaks.h"
#include "reach/mark.h"
#include "reach/roots.h"

#define BASE 0x7f0000000000ULL
#define PAGE 4096
#define BLOCKS_MAX 80

/* [BASE, BASE + n_bytes); one page of it cannot be read, nor what lies outside. */
struct memory {
	char *bytes;
	size_t n_bytes;
	uint64_t hole;		    /* its address, 0: none */
	size_t n_reads, gone_after; /* gone_after: reads that succeed, 0: all */
};

static ssize_t read_memory(void *arg, uint64_t address, void *buffer, size_t n)
{
	struct memory *m = arg;
	uint64_t end = BASE + m->n_bytes;

	if (m->gone_after && ++m->n_reads > m->gone_after)
		return -ESRCH;
	if (m->hole && address >= m->hole && address < m->hole + PAGE)
		return 0;
	if (m->hole && address < m->hole)
		end = m->hole;
	if (address < BASE || address >= end)
		return 0;
	if (n > end - address)
		n = end - address;
	memcpy(buffer, m->bytes + (address - BASE), n);
	return n;
}

static bool touched(void *arg, uint64_t start, uint64_t end, bool own, uint64_t *ret_start,
		    uint64_t *ret_end)
{
	(void)arg;
	(void)own;
	*ret_start = start;
	*ret_end = end;
	return start < end;
}

static void put(struct memory *m, uint64_t address, uint64_t word)
{
	memcpy(m->bytes + (address - BASE), &word, sizeof(word));
}

struct world {
	struct memory memory;
	struct reach_reader reader;
	struct reach_blocks blocks;
	struct reach_roots roots;
	uint8_t marks[BLOCKS_MAX], kinds[BLOCKS_MAX], leaks[BLOCKS_MAX];
	uint32_t holders[BLOCKS_MAX];
};

static void world_init(struct world *w, size_t n_bytes)
{
	*w = (struct world){0};
	w->memory.n_bytes = n_bytes;
	w->memory.bytes = calloc(1, n_bytes);
	assert_non_null(w->memory.bytes);
	w->reader = (struct reach_reader){read_memory, touched, &w->memory};
}

static void world_done(struct world *w)
{
	reach_blocks_done(&w->blocks);
	reach_roots_done(&w->roots);
	free(w->memory.bytes);
}

static void add_root(struct world *w, uint64_t start, uint64_t end)
{
	struct mapping m = {.start = start, .end = end, .readable = true, .path = ""};
	struct maps maps = {&m, 1, 1};

	reach_roots_done(&w->roots);
	assert_int_equal(reach_roots_find(&maps, NULL, 0, &w->reader, false, &w->roots), 0);
}

static int judge(struct world *w, bool interior, unsigned n_threads)
{
	const struct reach_options options = {{interior}, n_threads};
	struct reach_progress progress = {0};
	int err;

	memset(w->marks, 0, sizeof(w->marks));
	err = reach_mark(&w->blocks, &w->roots, &w->reader, &options, &progress, w->marks);
	for (size_t i = 0; i < w->blocks.n; i++)
		w->leaks[i] = !w->marks[i];
	if (!err)
		err = reach_leaks(&w->blocks, &w->reader, options.pointers, w->leaks,
				  &progress.stop, w->kinds, w->holders);
	return err;
}

static void find_block(void **state)
{
	struct reach_blocks b = {0};

	(void)state;
	assert_int_equal(reach_blocks_at(&b, BASE), REACH_NONE);
	assert_int_equal(reach_blocks_add(&b, BASE + 0x40000000, 100, 1), 0);
	assert_int_equal(reach_blocks_add(&b, BASE, 24, 2), 0);
	assert_int_equal(reach_blocks_add(&b, BASE + 32, 0, 3), 0);
	assert_int_equal(reach_blocks_add(&b, BASE + 64, 3 << 20, 4), 0);
	/* Their frees were not seen. */
	assert_int_equal(reach_blocks_add(&b, BASE, 16, 1), 0);
	assert_int_equal(reach_blocks_add(&b, BASE + (2 << 20), 16, 5), 0);
	assert_int_equal(reach_blocks_add(&b, UINT64_MAX - 5, 16, 1), -ERANGE);
	assert_int_equal(reach_blocks_finish(&b), 0);
	assert_int_equal(b.n, 5);
	assert_int_equal(reach_blocks_at(&b, BASE - 1), REACH_NONE);
	assert_int_equal(reach_blocks_at(&b, BASE), 0);
	assert_int_equal(reach_blocks_at(&b, BASE + 23), 0);
	assert_int_equal(reach_blocks_at(&b, BASE + 24), REACH_NONE);
	assert_int_equal(reach_blocks_at(&b, BASE + 32), 1);
	assert_int_equal(reach_blocks_at(&b, BASE + 33), REACH_NONE);
	assert_int_equal(reach_blocks_at(&b, BASE + 63), REACH_NONE);
	assert_int_equal(reach_blocks_at(&b, BASE + 64), 2);
	assert_int_equal(reach_blocks_at(&b, BASE + (2 << 20) - 1), 2);
	assert_int_equal(reach_blocks_at(&b, BASE + (2 << 20) + 15), 3);
	assert_int_equal(reach_blocks_at(&b, BASE + (2 << 20) + 16), REACH_NONE);
	assert_int_equal(reach_blocks_at(&b, BASE + 0x40000000 + 99), 4);
	assert_int_equal(reach_blocks_at(&b, BASE + 0x40000000 + 100), REACH_NONE);
	assert_int_equal(reach_blocks_at(&b, 0), REACH_NONE);
	assert_int_equal(reach_blocks_at(&b, UINT64_MAX), REACH_NONE);
	assert_int_equal(reach_blocks_from(&b, BASE + 24), 1);
	assert_int_equal(reach_blocks_from(&b, UINT64_MAX), 5);
	reach_blocks_done(&b);
}

/* A root leads to 0, which leads into 1; 2 is lost and holds 3; 4 and 5 are a ring that holds 6; 7 holds itself. */
static void kinds(void **state)
{
	static const uint8_t expected[] = {0,
					   0,
					   REACH_DIRECT,
					   REACH_INDIRECT,
					   REACH_CYCLE,
					   REACH_INDIRECT,
					   REACH_INDIRECT,
					   REACH_DIRECT};
	static const uint32_t holders[] = {REACH_NONE, REACH_NONE, 2, 2, 4, 4, 4, 7};
	const uint64_t heap = BASE + 4 * PAGE;
	struct world w;

	(void)state;
	world_init(&w, 16 * PAGE);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(reach_blocks_add(&w.blocks, heap + i * 256, 200, i), 0);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	put(&w.memory, BASE + 8, heap);
	put(&w.memory, heap + 16, heap + 256 + 199);
	put(&w.memory, heap + 2 * 256 + 192, heap + 3 * 256);
	put(&w.memory, heap + 2 * 256 + 200, heap + 7 * 256); /* past the block's end: a root */
	put(&w.memory, heap + 4 * 256, heap + 5 * 256);
	put(&w.memory, heap + 5 * 256, heap + 4 * 256 + 8);
	put(&w.memory, heap + 5 * 256 + 8, heap + 6 * 256);
	put(&w.memory, heap + 7 * 256, heap + 7 * 256);
	add_root(&w, BASE, BASE + PAGE);
	assert_int_equal(judge(&w, true, 1), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(w.marks[i], i < 2);
		assert_int_equal(w.kinds[i], expected[i]);
		assert_int_equal(w.holders[i], holders[i]);
	}
	add_root(&w, BASE, BASE + 16 * PAGE);
	assert_int_equal(judge(&w, true, 2), 0);
	assert_int_equal(w.marks[7], 1);
	/* Without pointers into blocks, 1 is lost and 4 is not held any more. */
	add_root(&w, BASE, BASE + PAGE);
	assert_int_equal(judge(&w, false, 1), 0);
	assert_int_equal(w.marks[1], 0);
	assert_int_equal(w.kinds[1], REACH_DIRECT);
	assert_int_equal(w.kinds[4], REACH_DIRECT);
	assert_int_equal(w.holders[6], 4);
	world_done(&w);
}

static void registers_are_roots(void **state)
{
	struct thread_state thread = {.registers = {[5] = BASE + 8}};
	struct maps none = {0};
	struct world w;

	(void)state;
	world_init(&w, PAGE);
	assert_int_equal(reach_blocks_add(&w.blocks, BASE, 16, 1), 0);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	assert_int_equal(reach_roots_find(&none, &thread, 1, &w.reader, false, &w.roots), 0);
	assert_int_equal(judge(&w, true, 2), 0);
	assert_int_equal(w.marks[0], 1);
	world_done(&w);
}

static void unreadable_memory(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 400 * PAGE);
	assert_int_equal(reach_blocks_add(&w.blocks, BASE, 16, 1), 0);
	assert_int_equal(reach_blocks_add(&w.blocks, BASE + 64, 16, 1), 0);
	assert_int_equal(reach_blocks_add(&w.blocks, BASE + 128, 16, 1), 0);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	w.memory.hole = BASE + 300 * PAGE;
	put(&w.memory, w.memory.hole - 8, BASE);
	put(&w.memory, w.memory.hole + 8, BASE + 64);
	put(&w.memory, w.memory.hole + PAGE, BASE + 128);
	add_root(&w, BASE, BASE + 420 * PAGE);
	assert_int_equal(judge(&w, true, 2), 0);
	assert_int_equal(w.marks[0], 1);
	assert_int_equal(w.marks[1], 0);
	assert_int_equal(w.marks[2], 1);
	w.memory.gone_after = 1;
	assert_int_equal(judge(&w, true, 2), -ESRCH);
	world_done(&w);
}

/* A pointer that has come into a block after it was looked at is found by looking again, and what lies behind it. */
static void again(void **state)
{
	const struct reach_options once = {{true}, 2, false}, twice = {{true}, 2, true};
	struct reach_progress progress = {0};
	struct world w;

	(void)state;
	world_init(&w, 8 * PAGE);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(reach_blocks_add(&w.blocks, BASE + (4 + i) * PAGE, 64, i), 0);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	put(&w.memory, BASE, BASE + 4 * PAGE);
	put(&w.memory, BASE + 5 * PAGE, BASE + 6 * PAGE);
	add_root(&w, BASE, BASE + PAGE);
	assert_int_equal(reach_mark(&w.blocks, &w.roots, &w.reader, &once, &progress, w.marks), 0);
	assert_int_equal(w.marks[1] + w.marks[2], 0);
	put(&w.memory, BASE + 4 * PAGE + 8, BASE + 5 * PAGE);
	assert_int_equal(reach_mark(&w.blocks, &w.roots, &w.reader, &once, &progress, w.marks), 0);
	assert_int_equal(w.marks[1] + w.marks[2], 0);
	assert_int_equal(reach_mark(&w.blocks, &w.roots, &w.reader, &twice, &progress, w.marks), 0);
	assert_int_equal(w.marks[1] + w.marks[2], 2);
	world_done(&w);
}

static void stopped(void **state)
{
	const struct reach_options options = {{true}, 2};
	struct reach_progress progress = {.stop = true};
	struct world w;

	(void)state;
	world_init(&w, 4 * PAGE);
	assert_int_equal(reach_blocks_add(&w.blocks, BASE, 16, 1), 0);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	add_root(&w, BASE, BASE + 4 * PAGE);
	assert_int_equal(reach_mark(&w.blocks, &w.roots, &w.reader, &options, &progress, w.marks),
			 -ECANCELED);
	world_done(&w);
}

/* The reference: who points to whom, and, after closing it, who leads to whom. */
struct graph {
	bool points[BLOCKS_MAX][BLOCKS_MAX], leads[BLOCKS_MAX][BLOCKS_MAX];
	bool rooted[BLOCKS_MAX];
};

static uint32_t slow_at(const struct reach_blocks *b, uint64_t word, bool interior)
{
	for (size_t i = 0; i < b->n; i++)
		if (interior ? word >= b->items[i].start && word < b->items[i].end
			     : word == b->items[i].start)
			return i;
	return REACH_NONE;
}

/* The block whose memory holds the word at address: from its start to its limit. */
static uint32_t slow_owner(const struct reach_blocks *b, uint64_t address)
{
	for (size_t i = 0; i < b->n; i++) {
		uint64_t gap = i + 1 < b->n ? b->items[i + 1].start - b->items[i].end : UINT64_MAX;
		uint64_t limit = gap <= 24 ? b->items[i + 1].start : b->items[i].end;

		if (address >= b->items[i].start && address + 8 <= limit)
			return i;
	}
	return REACH_NONE;
}

static void slow_graph(const struct world *w, uint64_t root_start, uint64_t root_end, bool interior,
		       struct graph *g)
{
	const struct reach_blocks *b = &w->blocks;

	memset(g, 0, sizeof(*g));
	for (uint64_t a = BASE; a + 8 <= BASE + w->memory.n_bytes; a += 8) {
		uint32_t from = slow_owner(b, a), to;
		uint64_t word;

		memcpy(&word, w->memory.bytes + (a - BASE), 8);
		to = slow_at(b, word, interior);
		if (to == REACH_NONE)
			continue;
		if (from != REACH_NONE)
			g->points[from][to] = true;
		else if (slow_at(b, a, true) == REACH_NONE && a >= root_start && a + 8 <= root_end)
			g->rooted[to] = true;
	}
	memcpy(g->leads, g->points, sizeof(g->leads));
	for (size_t k = 0; k < b->n; k++)
		for (size_t i = 0; i < b->n; i++)
			for (size_t j = 0; j < b->n; j++)
				g->leads[i][j] |= g->leads[i][k] && g->leads[k][j];
}

static bool slow_reachable(const struct graph *g, size_t n, size_t i)
{
	bool reachable = g->rooted[i];

	for (size_t j = 0; j < n; j++)
		reachable |= g->rooted[j] && g->leads[j][i];
	return reachable;
}

static void check_leak(const struct world *w, const struct graph *g, size_t i)
{
	const size_t n = w->blocks.n;
	uint32_t holder = w->holders[i];
	bool pointed = false, outside = false;
	size_t n_cycle_roots = w->kinds[i] == REACH_CYCLE;

	for (size_t j = 0; j < n; j++) {
		if (j == i || !w->leaks[j])
			continue;
		pointed |= g->points[j][i];
		/* Of one ring: they lead to each other. */
		outside |= g->leads[j][i] && !g->leads[i][j];
		n_cycle_roots += g->leads[j][i] && g->leads[i][j] && w->kinds[j] == REACH_CYCLE;
	}
	assert_int_equal(w->kinds[i] == REACH_DIRECT, !pointed);
	if (pointed)
		assert_int_equal(n_cycle_roots, !outside);
	assert_true(holder < n);
	assert_true(holder == i || g->leads[holder][i]);
	assert_true(w->kinds[holder] == REACH_DIRECT || w->kinds[holder] == REACH_CYCLE);
	assert_int_equal(holder == i, w->kinds[i] == REACH_DIRECT || w->kinds[i] == REACH_CYCLE);
}

static void check_against_graph(struct world *w, uint64_t root_start, uint64_t root_end,
				bool interior)
{
	static struct graph g;

	slow_graph(w, root_start, root_end, interior, &g);
	assert_int_equal(judge(w, interior, 1 + rand() % 3), 0);
	for (size_t i = 0; i < w->blocks.n; i++) {
		assert_int_equal(w->marks[i], slow_reachable(&g, w->blocks.n, i));
		if (w->marks[i])
			assert_int_equal(w->kinds[i], REACH_NO_LEAK);
	}
	for (size_t i = 0; i < w->blocks.n; i++)
		if (w->leaks[i])
			check_leak(w, &g, i);
}

/* Blocks of all sizes with gaps of all sizes, and words that point to their starts, into them and past them. */
static void random_world(struct world *w, size_t n_bytes)
{
	uint64_t at = BASE + PAGE;
	size_t n_words = rand() % 60;

	world_init(w, n_bytes);
	while (w->blocks.n < BLOCKS_MAX && rand() % 60) {
		uint64_t size = rand() % 20 ? rand() % 200 : rand() % (40 * PAGE);

		at += rand() % 10 ? rand() % 4 * 8 : rand() % (3 * PAGE) / 8 * 8;
		if (at + size + 1 > BASE + n_bytes)
			break;
		assert_int_equal(reach_blocks_add(&w->blocks, at, size, at), 0);
		at = (at + size + 8) & ~7ULL;
	}
	for (size_t i = 0; i < n_words && w->blocks.n; i++) {
		const struct reach_block *from = &w->blocks.items[rand() % w->blocks.n];
		const struct reach_block *to = &w->blocks.items[rand() % w->blocks.n];
		uint64_t address = from->start + rand() % (from->end - from->start + 8);

		if (!(rand() % 8))
			address = BASE + rand() % (2 * PAGE);
		address &= ~7ULL;
		if (address + 8 <= BASE + n_bytes)
			put(&w->memory, address,
			    rand() % 2 ? to->start
				       : to->start + rand() % (to->end - to->start + 2));
	}
	assert_int_equal(reach_blocks_finish(&w->blocks), 0);
}

static void random_graphs(void **state)
{
	const size_t n_bytes = 300 * PAGE;

	(void)state;
	srand(4711);
	for (int round = 0; round < 200; round++) {
		uint64_t start = BASE + rand() % 40 * 8, end;
		struct world w;

		random_world(&w, n_bytes);
		end = rand() % 2 ? BASE + n_bytes : start + rand() % (4 * PAGE);
		add_root(&w, start, end);
		check_against_graph(&w, start, end, rand() % 3);
		world_done(&w);
	}
}

static ssize_t read_own(void *arg, uint64_t address, void *to, size_t n_bytes)
{
	(void)arg;
	memcpy(to, (const void *)(uintptr_t)address, n_bytes);
	return n_bytes;
}

/* The descriptor of the thread that ended stays a root, what is below does not; stacks in use and what is no stack stay whole. */
static void ended_stacks(void **state)
{
	static uint64_t memory[4096];
	const struct reach_reader reader = {.read = read_own};
	const uint64_t start = (uintptr_t)memory, end = start + sizeof(memory);
	const uint64_t descriptor = end - 2304;
	uint64_t *words = (uint64_t *)(uintptr_t)descriptor;
	struct mapping m = {.start = start, .end = end, .readable = true, .writable = true};
	struct thread_state other = {.stack_pointer = start - 64, .robust_list = end + 64};
	struct thread_state waits = {.stack_pointer = end - 4096, .robust_list = end + 64};
	struct thread_state elsewhere = {.stack_pointer = start - 64,
					 .robust_list = descriptor + 736};

	(void)state;
	assert_int_equal(reach_ended_stack(&m, &other, 1, &reader), 0);
	words[0] = descriptor;
	assert_int_equal(reach_ended_stack(&m, &other, 1, &reader), 0);
	words[2] = descriptor;
	assert_int_equal(reach_ended_stack(&m, &other, 1, &reader), descriptor);
	assert_int_equal(reach_ended_stack(&m, &waits, 1, &reader), 0);
	assert_int_equal(reach_ended_stack(&m, &elsewhere, 1, &reader), 0);
	m.shared = true;
	assert_int_equal(reach_ended_stack(&m, &other, 1, &reader), 0);
	m.shared = false;
	m.inode = 1;
	assert_int_equal(reach_ended_stack(&m, &other, 1, &reader), 0);
	m.inode = 0;
	m.start = end - 4096;
	assert_int_equal(reach_ended_stack(&m, &other, 1, &reader), 0);
}

static void stacks_are_cut(void **state)
{
	struct mapping guard = {.start = 0x1000, .end = 0x2000, .path = ""};
	struct mapping stack = {
		.start = 0x2000, .end = 0x100000, .readable = true, .writable = true, .path = ""};
	struct mapping file = stack, code = stack, shared = stack, vdso = stack;
	struct thread_state threads[] = {{.stack_pointer = 0x90008}, {.stack_pointer = 0x200000}};
	uint64_t start, end;

	(void)state;
	file.inode = code.inode = shared.inode = 5;
	code.writable = shared.writable = false;
	code.executable = true;
	shared.shared = true;
	vdso.path = "[vdso]";
	reach_root_bounds(&stack, &guard, threads, 2, &start, &end);
	assert_int_equal(start, 0x90008 - REACH_RED_ZONE);
	assert_int_equal(end, 0x100000);
	threads[0].running = true;
	reach_root_bounds(&stack, &guard, threads, 2, &start, &end);
	assert_int_equal(start, 0x90008 - REACH_RUNNING_SLACK);
	threads[0].stack_pointer = 0x2010;
	reach_root_bounds(&stack, &guard, threads, 2, &start, &end);
	assert_int_equal(start, 0x2000);
	/* No guard, no thread, a file: whole. */
	threads[0].stack_pointer = 0x90008;
	reach_root_bounds(&stack, NULL, threads, 2, &start, &end);
	assert_int_equal(start, 0x2000);
	reach_root_bounds(&stack, &guard, threads + 1, 1, &start, &end);
	assert_int_equal(start, 0x2000);
	reach_root_bounds(&file, &guard, threads, 2, &start, &end);
	assert_int_equal(start, 0x2000);
	reach_root_bounds(&shared, NULL, NULL, 0, &start, &end);
	assert_true(start == end);
	reach_root_bounds(&vdso, NULL, NULL, 0, &start, &end);
	assert_true(start == end);
}

static void candidates(void **state)
{
	static const uint8_t none[4] = {0}, second[4] = {0, 1};
	struct reach_candidates c = {0};
	struct reach_blocks a = {0}, b = {0};

	(void)state;
	for (uint64_t i = 0; i < 4; i++) {
		assert_int_equal(reach_blocks_add(&a, BASE + 64 * i, 16, i), 0);
		/* The third is another one at the same address; the fourth is gone and a new one is there. */
		assert_int_equal(
			reach_blocks_add(&b, BASE + 64 * (i + (i == 3)), 16, i == 2 ? 9 : i), 0);
	}
	assert_int_equal(reach_blocks_finish(&a), 0);
	assert_int_equal(reach_blocks_finish(&b), 0);
	assert_int_equal(reach_candidates_pass(&c, &a, none), 0);
	assert_int_equal(c.n, 4);
	assert_int_equal(reach_candidates_pass(&c, &b, second), 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.n_passes, 2);
	assert_int_equal(c.n_returned, 1);
	assert_true(reach_candidates_has(&c, BASE, 0));
	assert_false(reach_candidates_has(&c, BASE, 1));
	assert_false(reach_candidates_has(&c, BASE + 64, 1));
	reach_candidates_done(&c);
	reach_blocks_done(&a);
	reach_blocks_done(&b);
}

/* The last word of 1 is the header of a freed chunk, which malloc's list in an arena's structure and another freed chunk point to; only
 * memory that was freed points to 0. 2 is over what looks freed. */
static void freed_memory(void **state)
{
	const uint64_t heap = BASE + 4 * PAGE, arena = BASE + 256;
	struct heap_chunk chunks[] = {
		{heap + 64 + 64, 64, HEAP_FREE},
		{heap + 256, 64, HEAP_TCACHED},
		{heap + 512, 256, HEAP_TOP},
	};
	uint64_t states[] = {arena};
	const struct glibc_heap found = {
		.chunks = chunks, .n_chunks = ARRAY_SIZE(chunks), .states = {states, 1, 1}};
	const struct reach_options options = {.pointers.interior = true, .n_threads = 1};
	struct reach_progress progress = {0};
	struct world w;

	(void)state;
	world_init(&w, 16 * PAGE);
	assert_int_equal(reach_blocks_add(&w.blocks, heap, 48, 1), 0);
	assert_int_equal(reach_blocks_add(&w.blocks, heap + 64, 56, 2), 0);
	assert_int_equal(reach_blocks_add(&w.blocks, heap + 528, 48, 3), 0);
	put(&w.memory, arena + 96, heap + 112);
	put(&w.memory, heap + 256, heap + 112);
	put(&w.memory, heap + 256 + 8, heap);
	put(&w.memory, BASE, heap + 528);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	assert_int_equal(reach_freed_add(&w.blocks, &found), 0);
	assert_int_equal(w.blocks.n, 3 + 3); /* the arena, two chunks */
	reach_freed_mark(&w.blocks, w.marks);
	add_root(&w, BASE, BASE + 16 * PAGE);
	assert_int_equal(reach_mark(&w.blocks, &w.roots, &w.reader, &options, &progress, w.marks),
			 0);
	assert_false(w.marks[reach_blocks_at(&w.blocks, heap)]);
	assert_false(w.marks[reach_blocks_at(&w.blocks, heap + 64)]);
	assert_true(w.marks[reach_blocks_at(&w.blocks, heap + 528)]);
	world_done(&w);
}

static void tagged_pointers(void **state)
{
	const uint64_t heap = BASE + 4 * PAGE;
	const struct reach_options plain = {.pointers.interior = true, .n_threads = 1};
	const struct reach_options starts = {.pointers.tagged = true, .n_threads = 1};
	struct reach_progress progress = {0};
	struct world w;

	(void)state;
	world_init(&w, 16 * PAGE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(reach_blocks_add(&w.blocks, heap + 64 * i, 48, i + 1), 0);
	put(&w.memory, BASE, heap | 0xfffb000000000000);
	put(&w.memory, BASE + 8, heap + 64 + 5);
	put(&w.memory, heap, (heap + 128) | 0x0042000000000003);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	add_root(&w, BASE, BASE + PAGE);
	assert_int_equal(reach_mark(&w.blocks, &w.roots, &w.reader, &plain, &progress, w.marks), 0);
	assert_false(w.marks[0]);
	assert_true(w.marks[1]);
	assert_false(w.marks[2]);
	memset(w.marks, 0, 3);
	assert_int_equal(reach_mark(&w.blocks, &w.roots, &w.reader, &starts, &progress, w.marks),
			 0);
	for (int i = 0; i < 3; i++)
		assert_true(w.marks[i]);
	world_done(&w);
}

/* In use and nobody's: a block of the walk. What a traced block lies in is none, nor is what was freed. */
static void walked_blocks(void **state)
{
	const uint64_t heap = BASE + 4 * PAGE;
	struct heap_chunk chunks[] = {
		{heap, 64, HEAP_USED},
		{heap + 64, 64, HEAP_USED},
		{heap + 128, 64, HEAP_TCACHED},
		{heap + 192, 4096, HEAP_MAPPED},
	};
	const struct glibc_heap found = {.chunks = chunks, .n_chunks = ARRAY_SIZE(chunks)};
	struct world w;
	uint32_t i;

	(void)state;
	world_init(&w, 16 * PAGE);
	assert_int_equal(reach_blocks_add(&w.blocks, heap + 64, 40, 7), 0);
	assert_int_equal(reach_blocks_finish(&w.blocks), 0);
	assert_int_equal(reach_walked_add(&w.blocks, &found), 0);
	assert_int_equal(w.blocks.n, 3);
	i = reach_blocks_at(&w.blocks, heap + 55);
	assert_int_equal(i, 0);
	assert_true(w.blocks.items[i].birth_ns == REACH_WALKED);
	assert_int_equal(w.blocks.items[i].end, heap + heap_chunk_usable(&chunks[0]));
	assert_int_equal(w.blocks.items[1].birth_ns, 7);
	assert_int_equal(w.blocks.items[2].start, heap + 192);
	assert_int_equal(reach_blocks_at(&w.blocks, heap + 140), REACH_NONE);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(find_block),
		cmocka_unit_test(kinds),
		cmocka_unit_test(registers_are_roots),
		cmocka_unit_test(unreadable_memory),
		cmocka_unit_test(again),
		cmocka_unit_test(stopped),
		cmocka_unit_test(random_graphs),
		cmocka_unit_test(ended_stacks),
		cmocka_unit_test(stacks_are_cut),
		cmocka_unit_test(candidates),
		cmocka_unit_test(freed_memory),
		cmocka_unit_test(tagged_pointers),
		cmocka_unit_test(walked_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
