// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "symbol/kernel_symbols.h"

/* A root with the files of a kernel; files are small and go with the test. */
static char root[] = "/tmp/seep-kernel-XXXXXX";

static void put(const char *path, const void *bytes, size_t n)
{
	char full[256], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static struct kernel_symbols *symbols(void)
{
	struct kernel_symbols *k = NULL;
	struct diag d = {0};

	if (kernel_symbols_create(root, &k, &d))
		fail_msg("%s", d.text);
	return k;
}

/* Each line after the first is not what it seems: data, padding, too short, no address. */
#define KERNEL                                                                                     \
	"ffffffff81000000 T _text\n"                                                               \
	"ffffffff81000100 D data\n"                                                                \
	"ffffffff81000ff0 t __pfx_allocate\n"                                                      \
	"nonsense\n\nffffffff81000f00\nffffffff81000f00 T\n"                                       \
	"ffffffff81001000 t allocate.isra.0\n"                                                     \
	"ffffffff81001000 T allocate_alias\n"                                                      \
	"ffffffff81002000 t allocate.cold\n"                                                       \
	"ffffffff81003000 T caller\n"                                                              \
	"ffffffff81004000 T bpf_trace_run3\n"                                                      \
	"ffffffff81005000 T __traceiter_kmalloc\n"                                                 \
	"ffffffff81006000 T last\n"

#define MODULE "ffffffffc0001000 t open_flow\t[flows]\n"

static int begin(void **state)
{
	(void)state;
	put_text("proc/kallsyms", KERNEL MODULE);
	put_text("proc/modules", "flows 12288 0 - Live 0xffffffffc0000000\nbroken\n");
	return 0;
}

static struct frame *stack(struct kernel_symbols *k, const char *leaf, const uint64_t *addresses,
			   size_t n, size_t most, size_t *ret_n, bool *ret_cut)
{
	struct frame *frames = NULL;

	assert_int_equal(kernel_symbols_stack(k, leaf, addresses, n, most, &frames, ret_n, ret_cut),
			 0);
	return frames;
}

static void names(void **state)
{
	/* Behind the tracing: a call at the very end of caller(), one in a module, one of nobody. */
	const uint64_t addresses[] = {0xffffffff81004010, 0xffffffff81005010, 0xffffffff81001010,
				      0xffffffff81004000, 0xffffffffc0001004, 0x1000};
	struct kernel_symbols *k = symbols();
	bool cut;
	size_t n;
	struct frame *frames = stack(k, "cache", addresses, ARRAY_SIZE(addresses), 64, &n, &cut);

	(void)state;
	assert_int_equal(n, 5);
	assert_false(cut);
	assert_string_equal(frames[0].function, "cache");
	assert_string_equal(frames[0].module, "[slab]");
	assert_string_equal(frames[1].function,
			    "allocate_alias"); /* a global name before a local */
	assert_string_equal(frames[1].module, "vmlinux");
	assert_int_equal(frames[1].offset, 0x1010);
	assert_string_equal(frames[2].function, "caller");
	assert_string_equal(frames[3].function, "open_flow");
	assert_string_equal(frames[3].module, "flows");
	assert_int_equal(frames[3].offset, 0x1004);
	assert_null(frames[4].function);
	assert_null(frames[4].module);
	assert_int_equal(frames[4].offset, 0x1000);
	free(frames);
	kernel_symbols_destroy(k);
}

static void deep(void **state)
{
	const uint64_t addresses[] = {0xffffffff81001010, 0xffffffff81003010, 0xffffffff81006010};
	struct kernel_symbols *k = symbols();
	bool cut;
	size_t n;
	struct frame *frames = stack(k, NULL, addresses, ARRAY_SIZE(addresses), 2, &n, &cut);

	(void)state;
	assert_int_equal(n, 2);
	assert_true(cut);
	assert_string_equal(frames[1].function, "caller");
	free(frames);
	kernel_symbols_destroy(k);
}

static void functions(void **state)
{
	struct kernel_symbols *k = symbols();
	uint64_t start, end;

	(void)state;
	assert_true(kernel_symbols_find(k, "caller", &start, &end));
	assert_int_equal(start, 0xffffffff81003000);
	assert_int_equal(end, 0xffffffff81004000);
	assert_false(kernel_symbols_find(k, "call", &start, &end));
	assert_false(kernel_symbols_find(k, "open_flow", &start, &end)); /* a module's */
	kernel_symbols_destroy(k);
}

/* A module that is loaded later, looked for once until told to look again. */
static void later(void **state)
{
	const uint64_t address = 0xffffffffc0002004;
	struct kernel_symbols *k = symbols();
	struct frame *frames;
	bool cut;
	size_t n;

	(void)state;
	put_text("proc/kallsyms", KERNEL MODULE "ffffffffc0002000 t late\t[flows]\n");
	frames = stack(k, NULL, &address, 1, 64, &n, &cut);
	assert_string_equal(frames[0].function, "open_flow"); /* as far as is known, still in it */
	free(frames);
	put_text("proc/kallsyms", KERNEL MODULE "ffffffffd0000000 t late\t[more]\n");
	frames = stack(k, NULL, &(uint64_t){0xffffffffd0000010}, 1, 64, &n, &cut);
	assert_null(frames[0].function);
	free(frames);
	kernel_symbols_renew(k);
	frames = stack(k, NULL, &(uint64_t){0xffffffffd0000010}, 1, 64, &n, &cut);
	assert_string_equal(frames[0].function, "late");
	assert_string_equal(frames[0].module, "more");
	free(frames);
	kernel_symbols_destroy(k);
}

/* As kptr_restrict shows them: all addresses are 0. */
static void hidden(void **state)
{
	struct kernel_symbols *k;
	uint64_t start, end;

	(void)state;
	put_text("proc/kallsyms", "0000000000000000 T _text\n0000000000000000 T caller\n");
	k = symbols();
	assert_true(kernel_symbols_hidden(k));
	assert_false(kernel_symbols_find(k, "caller", &start, &end));
	kernel_symbols_destroy(k);
}

static const char *build_id(const void *notes, size_t n, char ret[128])
{
	struct kernel_symbols *k;
	struct frame *frames;
	bool cut;
	size_t n_frames;

	put("sys/kernel/notes", notes, n);
	k = symbols();
	frames = stack(k, NULL, &(uint64_t){0xffffffff81003010}, 1, 64, &n_frames, &cut);
	snprintf(ret, 128, "%s", frames[0].build_id ? frames[0].build_id : "none");
	free(frames);
	kernel_symbols_destroy(k);
	return ret;
}

/* ELF notes: another one, whose sizes are rounded up, then the build-id; and cut at every place. */
static void build_ids(void **state)
{
	static const unsigned char notes[] = {
		5, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 'X', 'e', 'n', 'X', 0,   0, 0,    0,    9,	  0,
		0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0,	 0,   'G', 'N', 'U', 0, 0xab, 0xcd, 0x01,
	};
	static const unsigned char endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						0xff, 0xff, 3,	  0,	0,    0};
	char got[128];

	(void)state;
	assert_string_equal(build_id(notes, sizeof(notes), got), "abcd01");
	for (size_t n = 0; n < sizeof(notes); n++)
		assert_string_equal(build_id(notes, n, got), "none");
	assert_string_equal(build_id(endless, sizeof(endless), got), "none");
}

static void missing(void **state)
{
	struct kernel_symbols *k = NULL;
	struct diag d = {0};

	(void)state;
	assert_int_not_equal(kernel_symbols_create("/nonexistent", &k, &d), 0);
	assert_non_null(strstr(d.text, "kallsyms"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(names, begin),
		cmocka_unit_test_setup(deep, begin),
		cmocka_unit_test_setup(functions, begin),
		cmocka_unit_test_setup(later, begin),
		cmocka_unit_test_setup(hidden, begin),
		cmocka_unit_test_setup(build_ids, begin),
		cmocka_unit_test(missing),
	};
	char command[64];
	int n_failed;

	if (!mkdtemp(root))
		return 1;
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command) ? 1 : n_failed;
}
