// SPDX-License-Identifier: BSD-2-Clause
/* The plans of the allocators of Debian 12, where they are installed: known sites, and every
 * exported function that hands out or takes memory is covered or left out by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "plan/plan.h"

#define LIBRARY "/usr/lib/x86_64-linux-gnu/"

/* Skips the test where the file is not the one whose build-id begins so. */
static struct plan *plan_of(const char *path, const char *build_id)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_image *image;
	struct plan *plan;
	struct diag d = {0};

	if (fd < 0 || elf_image_open(fd, path, &image, &d)) {
		print_message("skipped: no %s here\n", path);
		skip();
	}
	if (strncmp(elf_image_build_id(image), build_id, strlen(build_id))) {
		print_message("skipped: %s has build-id %s, not %s\n", path,
			      elf_image_build_id(image), build_id);
		elf_image_close(image);
		skip();
	}
	if (plan_create(image, NULL, &plan, &d))
		fail_msg("%s", d.text);
	elf_image_close(image);
	return plan;
}

static bool has_name(const struct plan_probe *p, const char *name)
{
	size_t n = strlen(name);

	if (!strcmp(p->symbol, name))
		return true;
	for (const char *at = p->aliases; (at = strstr(at, name)); at += n)
		if ((at == p->aliases || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

static const struct plan_probe *find(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->n; i++)
		if (has_name(&plan->items[i], name))
			return &plan->items[i];
	fail_msg("no probe for %s", name);
	return NULL;
}

static void expect(const struct plan *plan, const char *name, enum plan_function function,
		   enum plan_end end, unsigned site, enum plan_cost cost, const char *instruction)
{
	const struct plan_probe *p = find(plan, name);

	print_message("%s +%u %s: %s\n", name, p->site, p->instruction, p->reason);
	assert_int_equal(p->function, function);
	assert_int_equal(p->end, end);
	assert_int_equal(p->site, site);
	assert_int_equal(p->cost, cost);
	assert_string_equal(p->instruction, instruction);
	assert_int_equal(p->n_exits > 0, end == PLAN_END_EXITS);
}

static void test_glibc(void **state)
{
	struct plan *plan = plan_of(LIBRARY "libc.so.6", "93ac61ec");
	const enum plan_end end = PLAN_END_RETURN;

	(void)state;
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_GLIBC);
	assert_int_equal(plan->n, 8);
	expect(plan, "malloc", PLAN_MALLOC, end, 0, PLAN_EMULATED, "push %r12");
	expect(plan, "calloc", PLAN_CALLOC, end, 0, PLAN_EMULATED, "push %r13");
	expect(plan, "realloc", PLAN_REALLOC, end, 0, PLAN_EMULATED, "push %r15");
	expect(plan, "free", PLAN_FREE, PLAN_END_NONE, 9, PLAN_EMULATED, "push %rbp");
	expect(plan, "memalign", PLAN_MEMALIGN, end, 7, PLAN_EMULATED, "je +0x7");
	expect(plan, "aligned_alloc", PLAN_MEMALIGN, end, 7, PLAN_EMULATED, "je +0x7");
	expect(plan, "posix_memalign", PLAN_POSIX_MEMALIGN, end, 7, PLAN_EMULATED, "push %r12");
	expect(plan, "valloc", PLAN_MALLOC, end, 7, PLAN_EMULATED, "push %rbx");
	expect(plan, "pvalloc", PLAN_MALLOC, end, 7, PLAN_EMULATED, "push %rbx");
	/* a multiplication and a jump to realloc, which counts it */
	assert_ptr_equal(find(plan, "reallocarray"), find(plan, "realloc"));
	assert_ptr_equal(find(plan, "cfree"), find(plan, "free"));
	assert_ptr_equal(find(plan, "__libc_malloc"), find(plan, "malloc"));
	plan_destroy(plan);
}

static void test_not_allocators(void **state)
{
	static const char *const paths[] = {"/lib64/ld-linux-x86-64.so.2", LIBRARY "libstdc++.so.6",
					    "/bin/true"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct plan *plan = plan_of(paths[i], "");

		assert_int_equal(plan->allocator, PLAN_ALLOCATOR_NONE);
		assert_int_equal(plan->n, 0);
		plan_destroy(plan);
	}
}

static void test_musl(void **state)
{
	struct plan *plan = plan_of("/lib/ld-musl-x86_64.so.1", "54d00df4");

	(void)state;
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_MUSL);
	expect(plan, "malloc", PLAN_MALLOC, PLAN_END_RETURN, 0, PLAN_EMULATED, "jmp +0x196b");
	expect(plan, "free", PLAN_FREE, PLAN_END_NONE, 0, PLAN_EMULATED, "jmp +0xabb");
	assert_ptr_equal(find(plan, "memalign"), find(plan, "aligned_alloc"));
	assert_ptr_equal(find(plan, "reallocarray"), find(plan, "realloc"));
	plan_destroy(plan);
}

static void test_jemalloc(void **state)
{
	struct plan *plan = plan_of(LIBRARY "libjemalloc.so.2", "1d5163c2");
	const struct plan_probe *new;

	(void)state;
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_JEMALLOC);
	expect(plan, "malloc", PLAN_MALLOC, PLAN_END_RETURN, 7, PLAN_EMULATED, "ja +0x93");
	expect(plan, "mallocx", PLAN_MALLOC, PLAN_END_RETURN, 0, PLAN_EMULATED, "push %r15");
	expect(plan, "rallocx", PLAN_REALLOC, PLAN_END_RETURN, 2, PLAN_EMULATED, "jmp -0xe317");
	expect(plan, "_Znwm", PLAN_MALLOC, PLAN_END_EXITS, 7, PLAN_EMULATED, "ja +0x93");
	expect(plan, "_ZdlPvm", PLAN_FREE, PLAN_END_NONE, 3, PLAN_EMULATED, "je +0x13");
	/* its own ret, and those of the slow path it jumps to, which has no symbol */
	new = find(plan, "_Znwm");
	assert_int_equal(new->exits[0].offset < new->address, true);
	assert_int_equal(new->exits[new->n_exits - 1].offset, new->address + 0x9d);
	assert_ptr_equal(find(plan, "_Znam"), new);
	assert_ptr_equal(find(plan, "_ZdlPv"), find(plan, "free"));
	plan_destroy(plan);
}

static void test_tcmalloc(void **state)
{
	struct plan *plan = plan_of(LIBRARY "libtcmalloc_minimal.so.4", "39dfd4a5");

	(void)state;
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_TCMALLOC);
	expect(plan, "malloc", PLAN_MALLOC, PLAN_END_RETURN, 10, PLAN_EMULATED, "jne +0x75");
	expect(plan, "tc_new", PLAN_MALLOC, PLAN_END_EXITS, 10, PLAN_EMULATED, "jne +0x75");
	expect(plan, "_ZnwmSt11align_val_t", PLAN_MEMALIGN_SWAPPED, PLAN_END_EXITS, 13,
	       PLAN_EMULATED, "ja +0xbd");
	expect(plan, "tc_free_sized", PLAN_FREE, PLAN_END_NONE, 10, PLAN_EMULATED, "jne +0x80");
	plan_destroy(plan);
}

static void test_mimalloc(void **state)
{
	struct plan *plan = plan_of(LIBRARY "libmimalloc.so.2", "d07f4e7d");

	(void)state;
	assert_int_equal(plan->allocator, PLAN_ALLOCATOR_MIMALLOC);
	/* mov x(%rip),%rax; mov %rdi,%rsi; mov %fs:(%rax),%rdi: the size has moved before the first
	 * branch */
	expect(plan, "malloc", PLAN_MALLOC, PLAN_END_RETURN, 0, PLAN_STEPPED,
	       "48 8b 05 49 b4 00 00");
	expect(plan, "free", PLAN_FREE, PLAN_END_NONE, 6, PLAN_EMULATED, "je +0x5d");
	expect(plan, "mi_new", PLAN_MALLOC, PLAN_END_EXITS, 0, PLAN_EMULATED, "push %rbp");
	expect(plan, "mi_recalloc", PLAN_REALLOCARRAY, PLAN_END_RETURN, 0, PLAN_STEPPED,
	       "48 8b 05 c9 a8 00 00");
	assert_ptr_equal(find(plan, "_ZdaPvm"), find(plan, "free"));
	plan_destroy(plan);
}

/* Exported, looks like an allocation function, and neither in the plan nor one of those that
 * functions.c leaves out. */
static int check_covered(const struct elf_symbol *symbol, void *arg)
{
	static const char *const looks[] = {"alloc",	"free",	  "_Zn",    "_Zd",
					    "memalign", "mi_new", "tc_new", "tc_delete"};
	static const char *const left_out[] = {
		"mi_heap_",
		"xallocx",
		"sallocx",
		"nallocx",
		"tc_nallocx",
		"mi_reallocarr",
		"reallocarr",
		"_aligned_malloc",
		"mi_aligned_recalloc",
		"mi_aligned_offset_recalloc",
		"size",
		"stats",
		"info",
		"mallopt",
		"MallocExtension",
		"MallocHook",
		"TCMalloc",
		"mi_register_deferred_free",
	};
	const struct plan *plan = arg;

	if (symbol->type != STT_FUNC || !symbol->dynamic)
		return 0;
	if (!strncmp(symbol->name, "_Z", 2) && symbol->name[2] != 'n' && symbol->name[2] != 'd')
		return 0; /* the allocator's own insides */
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		bool excused = !strstr(symbol->name, looks[i]);

		for (size_t j = 0; j < plan->n && !excused; j++)
			excused = has_name(&plan->items[j], symbol->name);
		for (size_t j = 0; j < ARRAY_SIZE(left_out) && !excused; j++)
			excused = strstr(symbol->name, left_out[j]);
		if (!excused)
			fail_msg("%s is not covered", symbol->name);
	}
	return 0;
}

static void test_all_exports_covered(void **state)
{
	static const char *const paths[] = {LIBRARY "libjemalloc.so.2",
					    LIBRARY "libtcmalloc_minimal.so.4",
					    LIBRARY "libmimalloc.so.2"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct plan *plan = plan_of(paths[i], "");
		_cleanup_close_ int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		struct elf_image *image;
		struct diag d;

		assert_int_equal(elf_image_open(fd, paths[i], &image, &d), 0);
		assert_int_equal(elf_image_each_symbol(image, check_covered, plan, &d), 0);
		elf_image_close(image);
		plan_destroy(plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glibc),
		cmocka_unit_test(test_not_allocators),
		cmocka_unit_test(test_musl),
		cmocka_unit_test(test_jemalloc),
		cmocka_unit_test(test_tcmalloc),
		cmocka_unit_test(test_mimalloc),
		cmocka_unit_test(test_all_exports_covered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
