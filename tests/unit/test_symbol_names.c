// SPDX-License-Identifier: BSD-2-Clause
/* Names and fingerprints: demangling, symbol tables, perf maps. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strings.h"
#include "elf/image.h"
#include "process/identity.h"
#include "symbol/demangle.h"
#include "symbol/perfmap.h"
#include "symbol/symbolize.h"
#include "symbol/symtab.h"

static void demangles_what_compilers_make(void **state)
{
	static const struct {
		const char *symbol, *name;
	} cases[] = {
		{"malloc", "malloc"},
		{"malloc@@GLIBC_2.2.5", "malloc"},
		{"parse.constprop.0", "parse"},
		{"parse.part.3.cold", "parse"},
		{"a.b.c", "a.b.c"},
		{"_ZN3foo3barEi", "foo::bar"},
		{"_ZN3foo3barEi.cold", "foo::bar"},
		{"_ZNSt6vectorIiSaIiEE9push_backERKi",
		 "std::vector<int, std::allocator<int> >::push_back"},
		{"_ZZN3foo3barEvENKUliE_clEi", "foo::bar()::{lambda(int)#1}::operator()"},
		{"_ZN5alloc3vec12Vec$LT$T$GT$4push17h0123456789abcdefE",
		 "alloc::vec::Vec<T>::push"},
		{"_ZN5alloc3vec4push17h0123456789abcdefE.llvm.12345", "alloc::vec::push"},
		{"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
		{"_RINvCs1234_7mycrate3foolE", "mycrate::foo::<i32>"},
		{"_D3std5stdio7writelnFAyaZv", "std.stdio.writeln"},
		{"_D4core6memory2GC6mallocFNbkkZPv", "core.memory.GC.malloc"},
		{"_Zgarbage", "_Zgarbage"},
		{"_Z", "_Z"},
		{"_R", "_R"},
		{"evil\033[2J\n\xc2\x9bname\xff", "evil?[2J???name?"},
		{"na\xc3\xafve", "na\xc3\xafve"},
	};
	struct strings pool = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(demangle_intern(&pool, cases[i].symbol), cases[i].name);
	assert_null(demangle_intern(&pool, NULL));
	assert_null(demangle_intern(&pool, ""));
	strings_done(&pool);
}

/* Each substitution doubles the text: 2^60 bytes if anybody waited for them. */
static void bounds_names_that_explode(void **state)
{
	char symbol[4096] = "_Z1fI";
	struct strings pool = {0};
	uint64_t start_ns = clock_monotonic_ns();
	const char *name;

	(void)state;
	strcat(symbol, "1AIiiE");
	for (int i = 0; i < 60; i++) {
		char level[64];
		char seq[3] = {i < 36 ? "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i] : '1', 0, 0};

		if (i >= 36)
			seq[1] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i - 36];
		snprintf(level, sizeof(level), "S_IS%s_S%s_E", seq, seq);
		strcat(symbol, level);
	}
	strcat(symbol, "Evv");
	name = demangle_intern(&pool, symbol);
	assert_int_equal(strlen(name), NAME_MAX_BYTES);

	strcpy(symbol, "_Z1fI");
	for (int i = 0; i < 300; i++)
		strcat(symbol, "1AI");
	assert_non_null(demangle_intern(&pool, symbol));

	strcpy(symbol, "_D1fF");
	for (int i = 0; i < 200; i++)
		strcat(symbol, "HQbQd");
	assert_non_null(demangle_intern(&pool, symbol));

	memset(symbol, 'x', sizeof(symbol) - 1);
	symbol[sizeof(symbol) - 1] = '\0';
	name = demangle_intern(&pool, symbol);
	assert_int_equal(strlen(name), NAME_MAX_BYTES);
	assert_string_equal(name + NAME_MAX_BYTES - 3, "...");
	assert_true(clock_monotonic_ns() - start_ns < 2 * NS_PER_SECOND);
	strings_done(&pool);
}

static void add_symbol(struct symtab *table, const char *name, uint64_t address, uint64_t size,
		       int type, int binding)
{
	struct elf_symbol symbol = {
		.name = name,
		.address = address,
		.size_bytes = size,
		.type = type,
		.binding = binding,
	};

	assert_int_equal(symtab_add(table, &symbol), 0);
}

static void prefers_the_better_symbol(void **state)
{
	struct symtab table = {0};

	(void)state;
	add_symbol(&table, "data", 0x1000, 8, STT_OBJECT, STB_GLOBAL);
	add_symbol(&table, "__malloc", 0x1000, 0x40, STT_FUNC, STB_GLOBAL);
	add_symbol(&table, "malloc", 0x1000, 0x40, STT_FUNC, STB_GLOBAL);
	add_symbol(&table, "a_local", 0x1000, 0x40, STT_FUNC, STB_LOCAL);
	add_symbol(&table, "inner", 0x1010, 8, STT_FUNC, STB_LOCAL);
	add_symbol(&table, "unsized", 0x2000, 0, STT_NOTYPE, STB_GLOBAL);
	add_symbol(&table, "last", 0x2100, 0x10, STT_FUNC, STB_WEAK);
	add_symbol(&table, "$x", 0x2080, 0, STT_NOTYPE, STB_LOCAL);
	symtab_finish(&table, true);
	assert_string_equal(symtab_find(&table, 0x1000), "malloc");
	assert_string_equal(symtab_find(&table, 0x1012), "inner");
	assert_string_equal(symtab_find(&table, 0x1018), "malloc");
	assert_null(symtab_find(&table, 0x1040));
	assert_string_equal(symtab_find(&table, 0x20ff), "unsized");
	assert_string_equal(symtab_find(&table, 0x210f), "last");
	assert_null(symtab_find(&table, 0x2110));
	assert_null(symtab_find(&table, 0xfff));
	symtab_done(&table);
}

/* In .dynsym alone, any number of functions may lie between a symbol without size and the next
 * one. */
static void trusts_no_unsized_symbol_of_an_incomplete_table(void **state)
{
	struct symtab table = {0};

	(void)state;
	add_symbol(&table, "_init", 0x1000, 0, STT_FUNC, STB_GLOBAL);
	add_symbol(&table, "exported", 0x2000, 0x10, STT_FUNC, STB_GLOBAL);
	symtab_finish(&table, false);
	assert_null(symtab_find(&table, 0x1500));
	assert_string_equal(symtab_find(&table, 0x2008), "exported");
	symtab_done(&table);
}

static void reads_perf_map_lines(void **state)
{
	static const char text[] = "1000 10 first\n"
				   "0x2000 0x20 has blanks in it\n"
				   "nonsense\n"
				   "3000 zz bad size\n"
				   "11112222333344445 10 too big\n"
				   "fffffffffffffff0 20 wraps around\n"
				   "4000 0 empty\n"
				   "5000 10 \n"
				   "1008 4 later\n"
				   "6000 10 incomplete";
	struct perfmap map = PERFMAP_INIT;

	(void)state;
	assert_int_equal(perfmap_add(&map, text, sizeof(text) - 1),
			 sizeof(text) - 1 - strlen("6000 10 incomplete"));
	assert_int_equal(map.n, 3);
	assert_string_equal(perfmap_find(&map, 0x1000), "first");
	assert_string_equal(perfmap_find(&map, 0x1009), "later");
	assert_string_equal(perfmap_find(&map, 0x100f), "first");
	assert_null(perfmap_find(&map, 0x1010));
	assert_string_equal(perfmap_find(&map, 0x201f), "has blanks in it");
	assert_null(perfmap_find(&map, 0x6000));
	perfmap_done(&map);
}

static void write_own_map(char path[64], const char *mode, const char *text)
{
	FILE *f;

	snprintf(path, 64, "/tmp/perf-%d.map", (int)getpid());
	f = fopen(path, mode);
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void follows_a_growing_perf_map(void **state)
{
	struct perfmap map = PERFMAP_INIT;
	uint64_t ticks;
	char path[64];

	(void)state;
	assert_int_equal(identity_start_ticks(getpid(), &ticks), 0);
	assert_int_equal(perfmap_update(&map, getpid(), ticks), -ENOENT);
	write_own_map(path, "w", "1000 10 one\n2000 10 tw");
	assert_int_equal(perfmap_update(&map, getpid(), ticks + 1), -ESRCH);
	assert_int_equal(perfmap_update(&map, getpid(), ticks), 0);
	assert_string_equal(perfmap_find(&map, 0x1004), "one");
	assert_null(perfmap_find(&map, 0x2004));
	write_own_map(path, "a", "o\n1000 10 newer\n");
	assert_int_equal(perfmap_update(&map, getpid(), ticks), 0);
	assert_string_equal(perfmap_find(&map, 0x1004), "newer");
	assert_string_equal(perfmap_find(&map, 0x2004), "two");
	unlink(path); /* its process ended: what was opened stays */
	assert_int_equal(perfmap_update(&map, getpid(), ticks), 0);
	assert_string_equal(perfmap_find(&map, 0x2004), "two");
	perfmap_done(&map);
}

static void refuses_a_perf_map_that_is_not_the_process_s_own(void **state)
{
	struct perfmap map = PERFMAP_INIT;
	uint64_t ticks;
	char path[64];

	(void)state;
	assert_int_equal(identity_start_ticks(getpid(), &ticks), 0);
	write_own_map(path, "w", "1000 10 one\n");
	if (!chown(path, 12345, -1))
		assert_int_equal(perfmap_update(&map, getpid(), ticks), -EPERM);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(perfmap_update(&map, getpid(), ticks), -ELOOP);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(perfmap_update(&map, getpid(), ticks), -EINVAL);
	unlink(path);
	perfmap_done(&map);
}

/* Runs as the first process of a pid namespace with root as its root, whose /tmp is an absolute
 * link, writes its map and waits for the end of input. */
static void container_process(const char *root, int input, int output)
{
	FILE *f;

	if (chroot(root) || chdir("/") || mkdir("/real", 0755) || symlink("/real", "/tmp"))
		_exit(1);
	f = fopen("/tmp/perf-1.map", "w");
	if (!f || getpid() != 1)
		_exit(1);
	fputs("1000 10 contained\n", f);
	fclose(f);
	if (write(output, "", 1) == 1)
		(void)!read(input, &(char){0}, 1);
	_exit(0);
}

static pid_t start_container(const char *root, int input[2], int output[2])
{
	pid_t contained = 0;
	int pids[2];

	assert_int_equal(pipe(input) | pipe(output) | pipe(pids), 0);
	if (!fork()) {
		close(input[1]);
		contained = unshare(CLONE_NEWPID) ? -1 : fork();
		if (!contained)
			container_process(root, input[0], output[1]);
		if (write(pids[1], &contained, sizeof(contained)) != sizeof(contained))
			_exit(1);
		wait(NULL);
		_exit(0);
	}
	assert_int_equal(read(pids[0], &contained, sizeof(contained)), sizeof(contained));
	close(input[0]);
	close(output[1]);
	close(pids[0]);
	close(pids[1]);
	return contained;
}

static void reads_the_perf_map_inside_a_container(void **state)
{
	char root[] = "/tmp/seep-root-XXXXXX", path[128];
	struct perfmap map = PERFMAP_INIT;
	int input[2], output[2];
	uint64_t ticks;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(root));
	pid = start_container(root, input, output);
	if (pid > 0) {
		assert_int_equal(read(output[0], path, 1), 1);
		assert_int_equal(identity_start_ticks(pid, &ticks), 0);
		assert_int_equal(perfmap_update(&map, pid, ticks), 0);
		assert_string_equal(perfmap_find(&map, 0x1004), "contained");
		perfmap_done(&map);
	}
	close(input[1]);
	close(output[0]);
	wait(NULL);
	snprintf(path, sizeof(path), "rm -rf %s", root);
	assert_int_equal(system(path), 0);
	if (pid < 0)
		skip();
}

static struct frame frame_of(const char *function, const char *module, uint64_t offset,
			     bool inlined)
{
	return (struct frame){
		.function = function, .module = module, .offset = offset, .inlined = inlined};
}

static void fingerprints_tell_sites_apart(void **state)
{
	struct frame site[] = {
		frame_of("leaf", "/usr/lib/liba.so", 0x10, true),
		frame_of("outer", "/usr/lib/liba.so", 0x10, false),
		frame_of("main", "/usr/bin/prog", 0x20, false),
	};
	struct frame elsewhere[] = {
		frame_of("leaf", "/opt/lib/liba.so", 0x50, false), /* not inlined after a rebuild */
		frame_of("outer", "/opt/lib/liba.so", 0x90, false),
		frame_of("main", "/opt/bin/prog", 0x80, false),
	};
	struct frame stripped[] = {
		frame_of(NULL, "/opt/lib/liba.so", 0x10, false),
		frame_of(NULL, "/opt/bin/prog", 0x20, false),
	};
	uint64_t exact, family, other_exact, other_family;

	(void)state;
	symbolize_fingerprints(site, 3, &exact, &family);
	symbolize_fingerprints(elsewhere, 3, &other_exact, &other_family);
	assert_true(exact != other_exact && family == other_family);
	symbolize_fingerprints(stripped, 2, &other_exact, &other_family);
	assert_true(exact == other_exact && family != other_family);
	site[2].offset++;
	symbolize_fingerprints(site, 3, &other_exact, &other_family);
	assert_true(exact != other_exact && family == other_family);
	site[1].build_id = "abcd";
	symbolize_fingerprints(site, 3, &exact, &other_family);
	assert_true(exact != other_exact);
	symbolize_fingerprints(NULL, 0, &exact, &family);
	assert_true(exact && family);
}

static void fingerprints_survive_randomized_generated_code(void **state)
{
	struct frame a[] = {frame_of("jit_main", "[jit]", 0x1230, false),
			    frame_of(NULL, NULL, 0x7f0012345678, false)};
	struct frame b[] = {frame_of("jit_main", "[jit]", 0x9990, false),
			    frame_of(NULL, NULL, 0x7fffaaaaa678, false)};
	uint64_t exact_a, exact_b, family;

	(void)state;
	symbolize_fingerprints(a, 2, &exact_a, &family);
	symbolize_fingerprints(b, 2, &exact_b, &family);
	assert_true(exact_a == exact_b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(demangles_what_compilers_make),
		cmocka_unit_test(bounds_names_that_explode),
		cmocka_unit_test(prefers_the_better_symbol),
		cmocka_unit_test(trusts_no_unsized_symbol_of_an_incomplete_table),
		cmocka_unit_test(reads_perf_map_lines),
		cmocka_unit_test(follows_a_growing_perf_map),
		cmocka_unit_test(refuses_a_perf_map_that_is_not_the_process_s_own),
		cmocka_unit_test(reads_the_perf_map_inside_a_container),
		cmocka_unit_test(fingerprints_tell_sites_apart),
		cmocka_unit_test(fingerprints_survive_randomized_generated_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
