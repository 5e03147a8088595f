// SPDX-License-Identifier: BSD-2-Clause
/* The walk that runs in the kernel, bpf/unwind.bpf.h, compiled for the host: on stacks made by hand, each kind of rule and
 * each early end; on this program's own stack, against glibc's backtrace(); on tables and stacks of noise, which it must
 * survive. */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
/* After the headers that cmocka.h needs. */
#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "process/maps.h"
#include "unwind/table.h"
#include "walk_host.h"

#define INSTANCE 7
#define CODE 0x10000000ULL /* where the hand-made code is mapped */
#define CODE_END 0x10100000ULL

static struct walk walk;
static struct wire_stack stack;
static u32 n_rules, n_mappings;

static u32 add_rule(struct wire_rule rule)
{
	u32 i;

	for (i = WIRE_RULE_FIRST; i < n_rules; i++)
		if (!memcmp(&unwind_shared.rules[i], &rule, sizeof(rule)))
			return i;
	assert_true(n_rules < WIRE_RULES);
	unwind_shared.rules[n_rules] = rule;
	return n_rules++;
}

static void reset(void)
{
	int i;

	for (i = 0; i < WIRE_SEGMENTS; i++)
		free(host_segments[i].pages);
	memset(host_segments, 0, sizeof(host_segments));
	memset(&unwind_shared, 0, sizeof(unwind_shared));
	memset(&host_trampoline, 0, sizeof(host_trampoline));
	settings = (struct wire_settings){.max_frames = WIRE_MAX_FRAMES};
	unwind_shared.rules[WIRE_RULE_GUESS].cfa = WIRE_CFA_GUESS;
	n_rules = WIRE_RULE_FIRST;
	n_mappings = 0;
}

static void publish(u32 generation)
{
	unwind_shared.mappings[0].start = generation;
	unwind_shared.spaces[WIRE_SPACE_HOME(INSTANCE)] = (struct wire_space){
		.instance = INSTANCE, .generation = generation, .first = 0, .n = n_mappings};
}

/* A segment of its own for each table. Rows as they are: rule is an id already. */
static void add_mapping(u64 start, u64 end, u64 bias, const struct wire_row *rows, size_t n_rows)
{
	u32 n_pages = (n_rows + WIRE_PAGE_ROWS - 1) / WIRE_PAGE_ROWS, i;
	struct wire_mapping *m = &unwind_shared.mappings[++n_mappings];
	struct wire_row *to;

	*m = (struct wire_mapping){.start = start, .end = end, .bias = bias, .n_pages = n_pages};
	m->kind = n_rows ? WIRE_MAPPING_CFI : WIRE_MAPPING_GUESS;
	m->segment = n_mappings;
	if (!n_rows)
		return;
	assert_true(n_mappings < WIRE_SEGMENTS);
	host_segments[n_mappings].pages = calloc(n_pages, sizeof(struct wire_row_page));
	assert_non_null(host_segments[n_mappings].pages);
	host_segments[n_mappings].n_pages = n_pages;
	to = host_segments[n_mappings].pages->rows;
	for (i = 0; i < n_pages * WIRE_PAGE_ROWS; i++)
		to[i] = rows[i < n_rows ? i : n_rows - 1];
}

static void add_table(const struct mapping *m, const struct unwind_table *table, u64 address)
{
	struct wire_row *rows = calloc(table->n_rows, sizeof(*rows));
	size_t i;

	assert_non_null(rows);
	for (i = 0; i < table->n_rows; i++) {
		const struct wire_rule *rule = &table->rules[table->rows[i].rule];

		rows[i].pc = table->rows[i].pc;
		rows[i].rule = rule->cfa == WIRE_CFA_NONE ? WIRE_RULE_NONE : add_rule(*rule);
	}
	add_mapping(m->start, m->end, m->start - address + table->base, rows, table->n_rows);
	free(rows);
}

/* Stacks made by hand: words[0] is where sp is when the first frame's caller is reached. */

static void expect(const u64 *frames, u32 n, u32 truncated)
{
	u32 i;

	assert_int_equal(stack.n_frames, n);
	for (i = 0; i < n; i++)
		assert_int_equal(stack.frames[i], frames[i]);
	assert_int_equal(stack.truncated, truncated);
}

#define EXPECT(truncated, ...)                                                                     \
	expect((const u64[]){__VA_ARGS__}, sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64),       \
	       truncated)

/* Code from CODE on: one rule for each 256 bytes. */
static void map_code(const struct wire_rule *rules, u32 n)
{
	struct wire_row rows[64];
	u32 i;

	for (i = 0; i < n; i++)
		rows[i] = (struct wire_row){
			.pc = 256 * i,
			.rule = rules[i].cfa == WIRE_CFA_NONE ? WIRE_RULE_NONE : add_rule(rules[i]),
		};
	rows[n] = (struct wire_row){.pc = 256 * n, .rule = WIRE_RULE_NONE};
	add_mapping(CODE, CODE_END, CODE, rows, n + 1);
	publish(1);
}

#define AT(function) (CODE + 256 * (function) + 16)

static u64 walk_from(u32 function, u64 fp, const void *sp)
{
	return walk_stack(&walk, &stack, INSTANCE, AT(function), fp, (u64)sp);
}

static const struct wire_rule simple[] = {
	{.cfa = WIRE_CFA_SP, .cfa_off = 8},
	{.cfa = WIRE_CFA_SP, .cfa_off = 32},
	{.cfa = WIRE_CFA_FP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA, .fp_off = -16},
	{.cfa = WIRE_CFA_STOP},
	{.cfa = WIRE_CFA_NONE},
	{.cfa = WIRE_CFA_UNSUPPORTED},
	{.cfa = WIRE_CFA_SP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA, .fp_off = -16},
};

enum { LEAF, MEDIUM, FRAMED, STOP, GAP, ODD, PUSHED };

static void by_stack_pointer(void **state)
{
	u64 words[] = {1, 2, 3, AT(LEAF), AT(STOP)};

	(void)state;
	reset();
	map_code(simple, 7);
	walk_from(MEDIUM, 0, words);
	EXPECT(WIRE_STACK_COMPLETE, AT(MEDIUM), AT(LEAF), AT(STOP));
}

static void by_frame_pointer(void **state)
{
	/* FRAMED's rbp leads over what lies between; PUSHED restores the one before. */
	u64 words[] = {9, 9, 0x1234, AT(STOP), 9};
	u64 outer[] = {(u64)&words[2], AT(FRAMED)};

	(void)state;
	reset();
	map_code(simple, 7);
	walk_from(PUSHED, 0, outer);
	EXPECT(WIRE_STACK_COMPLETE, AT(PUSHED), AT(FRAMED), AT(STOP));
	assert_int_equal(walk.fp, 0x1234);
}

/* A frame that loses rbp: callers that need none are found, the first that does ends the walk. */
static void frame_pointer_lost(void **state)
{
	static const struct wire_rule rules[] = {
		{.cfa = WIRE_CFA_SP, .cfa_off = 8, .fp = WIRE_FP_UNDEFINED},
		{.cfa = WIRE_CFA_SP, .cfa_off = 8},
		{.cfa = WIRE_CFA_FP, .cfa_off = 16},
	};
	u64 words[] = {AT(1), AT(2), AT(2), AT(2)};

	(void)state;
	reset();
	map_code(rules, 3);
	walk_from(0, (u64)words, words);
	EXPECT(WIRE_STACK_FAULT, AT(0), AT(1), AT(2));
}

static void by_word_in_memory(void **state)
{
	static const struct wire_rule rules[] = {
		/* gcc's realigned stack: the CFA was pushed below rbp, which points to its saved self. */
		{.cfa = WIRE_CFA_FP_DEREF, .cfa_off = -8, .fp = WIRE_FP_AT_FP},
		{.cfa = WIRE_CFA_SP_DEREF, .cfa_off = 8, .cfa_off2 = 24},
		{.cfa = WIRE_CFA_STOP},
	};
	u64 words[8] = {0};

	(void)state;
	words[0] = (u64)&words[4]; /* rbp - 8 */
	words[1] = 0x77;	   /* rbp */
	words[3] = CODE + 256 + 1;
	words[5] = (u64)&words[4]; /* sp + 8; + 24 is words + 7 */
	words[6] = CODE + 512 + 1;
	reset();
	map_code(rules, 3);
	walk_stack(&walk, &stack, INSTANCE, CODE + 9, (u64)&words[1], (u64)words);
	EXPECT(WIRE_STACK_COMPLETE, CODE + 9, CODE + 256 + 1, CODE + 512 + 1);
	assert_int_equal(walk.fp, 0x77);
}

static void in_procedure_linkage(void **state)
{
	static const struct wire_rule rules[] = {
		{.cfa = WIRE_CFA_PLT, .cfa_off = 8, .cfa_off2 = 11},
		{.cfa = WIRE_CFA_STOP},
	};
	u64 words[] = {CODE + 257, CODE + 258};

	(void)state;
	reset();
	map_code(rules, 2);
	/* Looked up one before, judged by where it is: 10 has not pushed, 11 has. */
	walk_stack(&walk, &stack, INSTANCE, CODE + 16 + 10, 0, (u64)words);
	EXPECT(WIRE_STACK_COMPLETE, CODE + 26, CODE + 257);
	walk_stack(&walk, &stack, INSTANCE, CODE + 16 + 11, 0, (u64)words);
	EXPECT(WIRE_STACK_COMPLETE, CODE + 27, CODE + 258);
}

static void early_ends(void **state)
{
	u64 words[200];
	u32 i;

	(void)state;
	reset();
	map_code(simple, 7);
	for (i = 0; i < 200; i++)
		words[i] = AT(LEAF);
	words[0] = AT(GAP);
	walk_from(LEAF, 1, words);
	EXPECT(WIRE_STACK_NO_TABLE, AT(LEAF), AT(GAP));
	/* rbp may be 0 by chance. */
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_NO_TABLE, AT(LEAF), AT(GAP));
	/* makecontext's: a function's first byte, with nothing before it. */
	words[0] = CODE + 256 * ODD;
	walk_from(LEAF, 1, words);
	EXPECT(WIRE_STACK_COMPLETE, AT(LEAF), CODE + 256 * ODD);
	words[0] = AT(ODD);
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_UNSUPPORTED, AT(LEAF), AT(ODD));
	words[0] = CODE_END + 16;
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_UNMAPPED, AT(LEAF), CODE_END + 16);
	words[0] = 0;
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_COMPLETE, AT(LEAF));
	walk_stack(&walk, &stack, INSTANCE, AT(LEAF), 0, 8);
	EXPECT(WIRE_STACK_FAULT, AT(LEAF));
	words[0] = AT(LEAF);
	walk_from(LEAF, 0, words);
	assert_int_equal(stack.n_frames, WIRE_MAX_FRAMES);
	assert_int_equal(stack.truncated, WIRE_STACK_TOO_DEEP);
	settings.max_frames = 3;
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_TOO_DEEP, AT(LEAF), AT(LEAF), AT(LEAF));
	walk_stack(&walk, &stack, INSTANCE + 1, AT(LEAF), 0, (u64)words);
	EXPECT(WIRE_STACK_UNMAPPED, AT(LEAF));
}

/* A return address that is the first byte after its function: the call never returns. */
static void noreturn_call(void **state)
{
	u64 words[] = {CODE + 256 * (LEAF + 1), AT(STOP), 1, 2, AT(ODD)};

	(void)state;
	reset();
	map_code(simple, 7);
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_COMPLETE, AT(LEAF), CODE + 256 * (LEAF + 1), AT(STOP));
}

static void over_a_return_probe(void **state)
{
	u64 words[] = {0x7fff0000, AT(STOP)};

	(void)state;
	reset();
	map_code(simple, 7);
	host_trampoline.address = 0x7fff0000;
	host_trampoline.slot = (u64)words;
	host_trampoline.original = AT(LEAF);
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_COMPLETE, AT(LEAF), AT(LEAF), AT(STOP));
	host_trampoline.slot = 8; /* nobody knows what stood there */
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_FAULT, AT(LEAF), 0x7fff0000);
}

/* Mappings change: what the cache holds of the old ones is not used, and a run that was reused meanwhile is not believed. */
static void generations(void **state)
{
	static const struct wire_rule other = {.cfa = WIRE_CFA_SP, .cfa_off = 16};
	u64 words[] = {AT(STOP), AT(ODD), AT(STOP)};
	struct wire_row_page *page;

	(void)state;
	reset();
	map_code(simple, 7);
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_COMPLETE, AT(LEAF), AT(STOP));
	page = host_segments[1].pages;
	page->rows[0].rule = add_rule(other);
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_COMPLETE, AT(LEAF), AT(STOP)); /* from the cache */
	publish(2);
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_UNSUPPORTED, AT(LEAF), AT(ODD));
	unwind_shared.spaces[WIRE_SPACE_HOME(INSTANCE)].generation = 3;
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_UNMAPPED, AT(LEAF));
	unwind_shared.spaces[WIRE_SPACE_HOME(INSTANCE)].generation = 0;
	walk_from(LEAF, 0, words);
	EXPECT(WIRE_STACK_UNMAPPED, AT(LEAF));
}

/* Generated code: by frame pointers, as far as that leads to what follows a call in known code. */
static void generated_code(void **state)
{
	u8 *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 jit, frame[4];

	(void)state;
	assert_true(code != MAP_FAILED);
	jit = (u64)code;
	memset(code, 0x90, 4096);
	code[95] = 0xe8;
	reset();
	if (jit < CODE) {
		add_mapping(jit, jit + 4096, 0, NULL, 0);
		map_code(simple, 7);
	} else {
		map_code(simple, 7);
		add_mapping(jit, jit + 4096, 0, NULL, 0);
		publish(1);
	}
	frame[0] = 0;
	frame[1] = jit + 100;
	walk_stack(&walk, &stack, INSTANCE, jit + 16, (u64)frame, (u64)frame);
	EXPECT(WIRE_STACK_COMPLETE, jit + 16, jit + 100);
	frame[1] = jit + 200; /* no call before it */
	walk_stack(&walk, &stack, INSTANCE, jit + 16, (u64)frame, (u64)frame);
	EXPECT(WIRE_STACK_NO_TABLE, jit + 16);
	walk_stack(&walk, &stack, INSTANCE, jit + 16, (u64)frame, (u64)(frame + 1));
	EXPECT(WIRE_STACK_NO_TABLE, jit + 16);
	walk_stack(&walk, &stack, INSTANCE, jit + 16, (u64)frame + 1, (u64)frame);
	EXPECT(WIRE_STACK_NO_TABLE, jit + 16);
	munmap(code, 4096);
}

static void other_modes(void **state)
{
	/* Two frames: [0] the next one's address, [1] a return address. */
	u64 frames[] = {0, AT(LEAF), 0, AT(STOP)};

	(void)state;
	frames[0] = (u64)&frames[2];
	reset();
	map_code(simple, 7);
	settings.stack_mode = WIRE_STACK_MODE_NONE;
	walk_from(ODD, (u64)frames, frames);
	EXPECT(WIRE_STACK_COMPLETE, AT(ODD));
	settings.stack_mode = WIRE_STACK_MODE_FP;
	walk_from(ODD, (u64)frames, frames);
	EXPECT(WIRE_STACK_COMPLETE, AT(ODD), AT(LEAF), AT(STOP));
	settings.max_frames = 2;
	walk_from(ODD, (u64)frames, frames);
	EXPECT(WIRE_STACK_TOO_DEEP, AT(ODD), AT(LEAF));
}

/* This program's own stack. */

static struct unwind_table *build(const struct mapping *m, uint64_t *ret_address)
{
	struct unwind_table *table = NULL;
	struct elf_image *image;
	struct diag d = {0};
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	assert_int_equal(elf_image_open(fd, m->path, &image, &d), 0);
	assert_int_equal(elf_image_to_address(image, m->file_offset, ret_address), 0);
	elf_image_close(image);
	if (unwind_table_build(fd, m->path, &table, &d))
		table = NULL;
	close(fd);
	return table;
}

/* For each row of a table: the walk's search finds what the table's own does. */
static void compare_searches(const struct unwind_table *table, u32 mapping)
{
	size_t i;
	int at;

	walk = (struct walk){.segment = mapping,
			     .n_pages = unwind_shared.mappings[mapping].n_pages};
	for (i = 0; i < table->n_rows; i++) {
		for (at = -1; at <= 1; at++) {
			u64 pc = (u64)table->rows[i].pc + at;
			const struct wire_rule *rule = unwind_table_find(table, table->base + pc);
			u32 found = find_row(&walk, pc);

			if (!rule || rule->cfa == WIRE_CFA_NONE)
				assert_int_equal(found, WIRE_RULE_NONE);
			else
				assert_memory_equal(&unwind_shared.rules[found], rule,
						    sizeof(*rule));
		}
	}
}

static void map_self(void)
{
	struct maps maps = {0};
	struct diag d = {0};
	size_t i;

	reset();
	assert_int_equal(maps_read(getpid(), &maps, &d), 0);
	for (i = 0; i < maps.n; i++) {
		const struct mapping *m = &maps.items[i];
		struct unwind_table *table;
		uint64_t address;

		if (!m->executable || !m->inode)
			continue;
		table = build(m, &address);
		if (!table)
			continue;
		assert_int_equal(unwind_table_check(table, &d), 0);
		add_table(m, table, address);
		compare_searches(table, n_mappings);
		unwind_table_destroy(table);
	}
	maps_done(&maps);
	assert_true(n_mappings >= 2);
	publish(1);
}

static unsigned n_compared;

/* The walk and backtrace() from one place: all frames above this function's are the same. */
static __noinline void compare_here(void)
{
	void *truth[WIRE_MAX_FRAMES];
	int n = backtrace(truth, WIRE_MAX_FRAMES), own = 0, i;
	u64 pc, sp, fp;

	__asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2"
			 : "=r"(pc), "=r"(sp), "=r"(fp));
	walk_stack(&walk, &stack, INSTANCE, pc, fp, sp);
	assert_int_equal(stack.truncated, WIRE_STACK_COMPLETE);
	/* Under AddressSanitizer backtrace() begins in a wrapper of its own. */
	while (own < n && (u64)truth[own] - (u64)compare_here > 4096)
		own++;
	assert_int_equal(stack.n_frames, n - own);
	for (i = 1; i < n - own; i++)
		assert_int_equal(stack.frames[i], truth[own + i]);
	n_compared++;
}

static __noinline int recurse(int depth)
{
	if (depth)
		return recurse(depth - 1) + 1;
	compare_here();
	return 0;
}

static __noinline int recurse_realigned(int depth, int room)
{
	_Alignas(64) char local[64];
	char *wild = __builtin_alloca(room * depth + 16);

	memset(local, depth, sizeof(local));
	wild[0] = local[depth & 63];
	if (depth)
		return recurse_realigned(depth - 1, room) + wild[0];
	compare_here();
	return wild[0];
}

static int compare_numbers(const void *a, const void *b)
{
	compare_here();
	return *(const int *)a - *(const int *)b;
}

static void on_signal(int signal)
{
	(void)signal;
	recurse(3);
}

static void *in_thread(void *arg)
{
	recurse(5);
	return arg;
}

static void own_stack(void **state)
{
	int numbers[] = {3, 1, 2}, depth;
	pthread_t thread;

	(void)state;
	map_self();
	n_compared = 0;
	for (depth = 0; depth < 40; depth++)
		recurse(depth);
	recurse_realigned(6, 48);
	qsort(numbers, 3, sizeof(int), compare_numbers);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
	pthread_join(thread, NULL);
	assert_true(n_compared >= 45);
}

/* Rows, mappings and stacks of noise: any end will do, but an end, and no frame more than there is room for. */
static void noise(void **state)
{
	static u64 words[4096];
	struct wire_row rows[600];
	u32 round, i, seed = 1;

	(void)state;
	for (round = 0; round < 3000; round++) {
		reset();
		srand(seed++);
		for (i = 0; i < 40; i++)
			add_rule((struct wire_rule){
				.cfa = rand() % 11,
				.fp = rand() % 5,
				.cfa_off = rand() % 512 - 128,
				.cfa_off2 = rand() % 64,
				.fp_off = -(rand() % 64),
			});
		for (i = 0; i < 600; i++)
			rows[i] = (struct wire_row){(u32)(rand() % 5 ? (int)(16 * i) : rand()),
						    (u32)(rand() % 5 ? 3 + rand() % 40 : rand())};
		add_mapping(CODE, CODE_END, CODE, rows, 600);
		add_mapping((u64)rand() << 8, (u64)rand() << 12, (u64)rand(), rows, rand() % 600);
		unwind_shared.mappings[2].segment = rand() % 70;
		unwind_shared.mappings[2].n_pages = rand();
		publish(1);
		unwind_shared.spaces[WIRE_SPACE_HOME(INSTANCE)].n = (u32)(rand() % 4 ? 2 : rand());
		for (i = 0; i < 4096; i++)
			words[i] = rand() % 3 ? CODE + rand() % 9600 : (u64)&words[rand() % 4096];
		walk_stack(&walk, &stack, INSTANCE, CODE + rand() % 9600,
			   (u64)&words[rand() % 4096], (u64)&words[rand() % 64]);
		assert_true(stack.n_frames <= WIRE_MAX_FRAMES);
		assert_true(stack.truncated < WIRE_STACK_REASONS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_stack_pointer),
		cmocka_unit_test(by_frame_pointer),
		cmocka_unit_test(frame_pointer_lost),
		cmocka_unit_test(by_word_in_memory),
		cmocka_unit_test(in_procedure_linkage),
		cmocka_unit_test(early_ends),
		cmocka_unit_test(noreturn_call),
		cmocka_unit_test(over_a_return_probe),
		cmocka_unit_test(generations),
		cmocka_unit_test(generated_code),
		cmocka_unit_test(other_modes),
		cmocka_unit_test(own_stack),
		cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
