// SPDX-License-Identifier: BSD-2-Clause
/* Plans of files made here, one rule of UNWIND.md's "Where a probe is cheap" each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "elf_builder.h"
#include "plan/plan.h"

static int try_plan(uint16_t machine, const char *hex, const struct built_symbol *symbols,
		    size_t n_symbols, const char *prefix, struct plan **ret)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	uint8_t code[512] = {0};
	size_t n_code = 0, n = 0;
	struct elf_image *image;
	struct diag d = {0};
	unsigned byte;
	int fd, used, err;

	while (sscanf(hex, "%2x%n", &byte, &used) == 1) {
		code[n_code++] = byte;
		hex += used;
	}
	bytes = elf_build(machine, code, n_code, symbols, n_symbols, &n);
	fd = elf_to_fd(bytes, n);
	assert_int_equal(elf_image_open(fd, "built", &image, &d), 0);
	err = plan_create(image, prefix, ret, &d);
	if (err)
		assert_true(d.text[0]);
	elf_image_close(image);
	close(fd);
	return err;
}

static struct plan *plan_of(const char *hex, const struct built_symbol *symbols, size_t n_symbols)
{
	struct plan *plan;

	assert_int_equal(try_plan(EM_X86_64, hex, symbols, n_symbols, NULL, &plan), 0);
	return plan;
}

struct expected {
	const char *name;
	const char *hex; /* all of the function */
	unsigned site;
	enum plan_cost cost;
	const char *reason; /* a part of it */
};

static const struct expected sites[] = {
	{"malloc", "55 c3", 0, PLAN_EMULATED, "the entry is emulated"},
	{"malloc", "f30f1efa 55 c3", 4, PLAN_EMULATED, "every call passes"},	     /* endbr64 */
	{"malloc", "0f1f4000 55 c3", 4, PLAN_EMULATED, "every call passes"},	     /* nopl */
	{"malloc", "803d0000000000 7400 c3", 7, PLAN_EMULATED, "every call passes"}, /* cmpb; je */
	{"malloc", "4889fe 55 c3", 3, PLAN_EMULATED,
	 "every call passes"}, /* rsi is no argument of malloc */
	{"calloc", "4889fe 55 c3", 0, PLAN_STEPPED, "at +0x0 an argument may change"},
	{"malloc", "4883ec08 55 c3", 0, PLAN_STEPPED, "at +0x0 the stack pointer may change"},
	{"malloc", "4889f8 ffd0 c3", 0, PLAN_STEPPED, "at +0x3 control flow"},
	{"malloc", "4889f8 06 c3", 0, PLAN_STEPPED, "at +0x3 unknown instruction"},
	/* mov; push; jmp to the push: a loop that would fire again */
	{"malloc", "4889f8 55 ebfd c3", 0, PLAN_STEPPED, "a jump may land"},
	{"malloc", "4889f8 55 06", 0, PLAN_STEPPED,
	 "a jump may land"}, /* not decodable to its end */
	{"malloc", "55 ebfd", 0, PLAN_EMULATED, "the entry is a loop's head"},
	/* free: test; je; push */
	{"free", "4885ff 7402 55 5d c3", 5, PLAN_EMULATED, "after the NULL check"},
	{"free", "4885ff 0f8402000000 55 5d c3", 9, PLAN_EMULATED, "after the NULL check"},
	{"free", "4885ff 7404 4883ec08 c3", 3, PLAN_EMULATED, "the NULL check's branch"},
	{"free", "4885ff 7402 55 ebfd c3", 3, PLAN_EMULATED,
	 "the NULL check's branch"}, /* a loop on the push */
	{"free", "4885ff 7502 55 5d c3", 3, PLAN_EMULATED,
	 "every call passes"}, /* jne leads to the body */
	{"free", "4885f6 7402 55 5d c3", 3, PLAN_EMULATED,
	 "every call passes"}, /* not the pointer */
	{"malloc", "4885ff 7402 55 5d c3", 3, PLAN_EMULATED,
	 "every call passes"}, /* malloc(0) counts */
};

static void test_sites(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sites); i++) {
		char packed[128];
		size_t n = 0;
		struct plan *plan;

		for (const char *c = sites[i].hex; *c; c++)
			if (*c != ' ')
				packed[n++] = *c;
		packed[n] = '\0';
		print_message("%s %s\n", sites[i].name, sites[i].hex);
		plan = plan_of(packed, (struct built_symbol[]){{sites[i].name, 0, n / 2}}, 1);
		assert_int_equal(plan->n, 1);
		print_message("+%u %s: %s\n", plan->items[0].site, plan->items[0].instruction,
			      plan->items[0].reason);
		assert_int_equal(plan->items[0].site, sites[i].site);
		assert_int_equal(plan->items[0].offset, BUILT_TEXT + sites[i].site);
		assert_int_equal(plan->items[0].cost, sites[i].cost);
		assert_non_null(strstr(plan->items[0].reason, sites[i].reason));
		plan_destroy(plan);
	}
}

static void test_sizes(void **state)
{
	static const uint64_t sizes[] = {0, 1ULL << 32, ~0ULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) { /* jumps unknown: the entry only */
		struct plan *plan =
			plan_of("4889f855c3", (struct built_symbol[]){{"malloc", 0, sizes[i]}}, 1);

		assert_int_equal(plan->items[0].site, 0);
		assert_int_equal(plan->items[0].cost, PLAN_STEPPED);
		assert_non_null(strstr(plan->items[0].reason, "size unknown"));
		plan_destroy(plan);
	}
}

static void test_symbols(void **state)
{
	struct plan *plan = plan_of("55c3",
				    (struct built_symbol[]){
					    {"__libc_malloc", 0, 2},
					    {"tc_malloc", 0, 2},
					    {"malloc", 0, 2},
					    {"free", 1, 1, STT_GNU_IFUNC},
					    {"calloc", 1, 1, STT_OBJECT},
					    {"realloc", 1ULL << 40, 1}, /* outside the file */
					    {"mallocator", 1, 1},
				    },
				    7);

	(void)state;
	assert_int_equal(plan->n, 1);
	assert_string_equal(plan->items[0].symbol, "malloc");
	assert_string_equal(plan->items[0].aliases, "tc_malloc __libc_malloc");
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_TCMALLOC);
	plan_destroy(plan);
}

static void test_cxx_only_in_allocators(void **state)
{
	struct built_symbol symbols[] = {
		{"malloc", 0, 2}, {"_Znwm", 2, 2}, {"gnu_get_libc_version", 2, 1}};
	struct plan *plan;

	(void)state;
	plan = plan_of("55c355c3", symbols, 2); /* somebody's own allocator */
	assert_int_equal(plan->n, 2);
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_OTHER);
	plan_destroy(plan);
	plan = plan_of("55c355c3", symbols,
		       3); /* a static program: libstdc++'s operator new calls malloc */
	assert_int_equal(plan->n, 1);
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_GLIBC);
	plan_destroy(plan);
	plan = plan_of("55c355c3", symbols + 1, 1); /* libstdc++ */
	assert_int_equal(plan->n, 0);
	plan_destroy(plan);
}

static void test_loader(void **state)
{
	struct built_symbol symbols[] = {
		{"malloc", 0, 2}, {"_rtld_global", 0, 8, STT_OBJECT}, {"__libc_start_main", 0, 1}};
	struct plan *plan = plan_of("55c3", symbols, 2);

	(void)state;
	assert_int_equal(plan->n, 0);
	plan_destroy(plan);
	plan = plan_of("55c3", symbols, 3); /* a static glibc program has both */
	assert_int_equal(plan->n, 1);
	plan_destroy(plan);
}

static void test_prefix(void **state)
{
	struct built_symbol symbols[] = {{"my_malloc", 0, 2}, {"malloc", 2, 2}, {"tc_new", 4, 2}};
	struct plan *plan;

	(void)state;
	assert_int_equal(try_plan(EM_X86_64, "55c355c355c3", symbols, 3, "my_", &plan), 0);
	assert_int_equal(plan->n, 1);
	assert_string_equal(plan->items[0].symbol, "my_malloc");
	assert_int_equal(plan->items[0].function, PLAN_MALLOC);
	plan_destroy(plan);
	assert_int_equal(try_plan(EM_X86_64, "55c355c355c3", symbols, 3, "tc_", &plan), 0);
	assert_int_equal(plan->n, 1);
	assert_string_equal(plan->items[0].symbol, "tc_new");
	plan_destroy(plan);
}

static void test_forwarders(void **state)
{
	/* _Znam at 0: jmp _Znwm; _Znwm at 5: push, ret; cfree at 7: jmp free; free at 12: push;
	 * ret; valloc at 14: mov %rdi,%rsi; jmp memalign at 19, of another kind */
	struct plan *plan = plan_of("e900000000"
				    "55c3"
				    "e900000000"
				    "55c3"
				    "4889feeb00"
				    "55c3",
				    (struct built_symbol[]){{"_Znam", 0, 5},
							    {"_Znwm", 5, 2},
							    {"cfree", 7, 5},
							    {"free", 12, 2},
							    {"valloc", 14, 5},
							    {"memalign", 19, 2},
							    {"malloc", 20, 1}},
				    7);

	(void)state;
	assert_int_equal(plan->n, 5);
	assert_string_equal(plan->items[0].symbol, "_Znwm");
	assert_string_equal(plan->items[0].aliases, "_Znam");
	assert_string_equal(plan->items[1].symbol, "free");
	assert_string_equal(plan->items[1].aliases, "cfree");
	assert_string_equal(plan->items[2].symbol, "valloc");
	plan_destroy(plan);
	/* a circle of two: both stay */
	plan = plan_of("eb00ebfc", (struct built_symbol[]){{"malloc", 0, 2}, {"valloc", 2, 2}}, 2);
	assert_int_equal(plan->n, 2);
	plan_destroy(plan);
	/* a thrower whose only way is a call of malloc */
	plan = plan_of("5353e801000000c3"
		       "55c3",
		       (struct built_symbol[]){{"_Znwm", 0, 8}, {"malloc", 8, 2}}, 2);
	assert_int_equal(plan->n, 1);
	assert_string_equal(plan->items[0].symbol, "malloc");
	assert_string_equal(plan->items[0].aliases, "_Znwm");
	plan_destroy(plan);
	/* but not when a branch leads around it */
	plan = plan_of("747f53e800000000c3"
		       "55c3",
		       (struct built_symbol[]){{"_Znwm", 0, 9}, {"malloc", 9, 2}}, 2);
	assert_int_equal(plan->n, 2);
	plan_destroy(plan);
	/* reallocarray: mov %rsi,%rax; mul %rdx; mov %rax,%rsi; jo +2; jmp realloc; ret */
	plan = plan_of("4889f0"
		       "48f7e2"
		       "4889c6"
		       "7002"
		       "eb01"
		       "c3"
		       "55c3",
		       (struct built_symbol[]){{"reallocarray", 0, 14}, {"realloc", 14, 2}}, 2);
	assert_int_equal(plan->n, 1);
	assert_string_equal(plan->items[0].symbol, "realloc");
	plan_destroy(plan);
}

static void expect_exits(const char *hex, uint64_t size_bytes, size_t n_exits, uint64_t first,
			 const char *why)
{
	struct plan *plan = plan_of(
		hex, (struct built_symbol[]){{"tc_new", 0, size_bytes}, {"helper", 16, 4}}, 2);
	const struct plan_probe *p = &plan->items[0];

	print_message("%s: %s\n", hex, p->reason);
	assert_int_equal(plan->n, 1);
	assert_int_equal(p->end, why ? PLAN_END_RETURN : PLAN_END_EXITS);
	assert_int_equal(p->n_exits, n_exits);
	if (n_exits)
		assert_int_equal(p->exits[0].offset, BUILT_TEXT + first);
	if (why)
		assert_non_null(strstr(p->reason, why));
	plan_destroy(plan);
}

static void test_exits(void **state)
{
	(void)state;
	expect_exits("55c3c3", 3, 2, 1, NULL);
	/* behind a landing pad that nothing jumps to */
	expect_exits("550f0bc3", 4, 1, 3, NULL);
	/* a jump to a function with a symbol, all of whose rets count: helper at 16 is c3 0f 0b
	 * c3 */
	expect_exits("55eb0d"
		     "90909090909090909090909090"
		     "c30f0bc3",
		     3, 2, 16, NULL);
	/* a jump to code without: je +1 over a ret at 5, then ret at 8 behind a nop */
	expect_exits("55eb01"
		     "90"
		     "7401c390c3c3",
		     3, 2, 6, NULL);
	expect_exits("55ffe0", 3, 0, 0, "jump through a register");
	expect_exits("55ff2500000000", 7, 0, 0, "jump through memory");
	expect_exits("5506", 2, 0, 0, "unknown instruction");
	expect_exits("55e9ffffff7f", 6, 0, 0, "unknown instruction");
	expect_exits("55ebfd", 3, 0, 0, "no ret found");
	expect_exits("557401c3c3", 0, 2, 3, NULL); /* size unknown: along the jumps */
}

static void test_hostile(void **state)
{
	struct built_symbol symbols[BUILT_SYMBOLS_MAX];
	struct plan *plan;

	(void)state;
	for (size_t i = 0; i < BUILT_SYMBOLS_MAX; i++)
		symbols[i] = (struct built_symbol){"malloc", i, ~0ULL};
	assert_int_equal(try_plan(EM_X86_64, "55c3", symbols, BUILT_SYMBOLS_MAX, NULL, &plan),
			 -EBADMSG);
	/* overlapping functions that end at one instruction: one probe an offset */
	plan = plan_of("0f1f4000"
		       "55c3",
		       (struct built_symbol[]){{"malloc", 0, 6}, {"calloc", 4, 2}}, 2);
	assert_int_equal(plan->n, 1);
	plan_destroy(plan);
	plan_destroy(NULL);
}

static void test_arm64(void **state)
{
	struct plan *plan;

	(void)state;
	/* free: cbz x0, +8; b +4; ret */
	assert_int_equal(try_plan(EM_AARCH64, "400000b401000014c0035fd6",
				  (struct built_symbol[]){{"free", 0, 12}}, 1, NULL, &plan),
			 0);
	assert_int_equal(plan->items[0].site, 4);
	assert_int_equal(plan->items[0].cost, PLAN_EMULATED);
	plan_destroy(plan);
	/* malloc: bti c; stp x29,x30,[sp,#-16]!; ret */
	assert_int_equal(try_plan(EM_AARCH64, "5f2403d5fd7bbfa9c0035fd6",
				  (struct built_symbol[]){{"malloc", 0, 12}}, 1, NULL, &plan),
			 0);
	assert_int_equal(plan->items[0].site, 0);
	assert_int_equal(plan->items[0].cost, PLAN_STEPPED);
	plan_destroy(plan);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(plan_allocator_name(PLAN_ALLOCATOR_MUSL), "musl");
	assert_string_equal(plan_allocator_name(99), "other");
	assert_string_equal(plan_function_name(PLAN_MEMALIGN_SWAPPED), "memalign-swapped");
	assert_string_equal(plan_function_name(0), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sites),	   cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_symbols),	   cmocka_unit_test(test_cxx_only_in_allocators),
		cmocka_unit_test(test_loader),	   cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_forwarders), cmocka_unit_test(test_exits),
		cmocka_unit_test(test_hostile),	   cmocka_unit_test(test_arm64),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
