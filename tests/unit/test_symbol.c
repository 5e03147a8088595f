// SPDX-License-Identifier: BSD-2-Clause
/* Addresses to frames: this program's own, and those of small libraries that are compiled and
 * stripped in every way that people strip them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/maps.h"
#include "symbol/space.h"
#include "symbol/symbolize.h"

/* A symbolizer that knows this process, and the frames of the last stack asked for. */
/* What a process has mapped. */
static int add_mappings(struct address_space *space, pid_t pid)
{
	struct maps maps = {0};
	struct diag d;
	int err = maps_read(pid, &maps, &d);

	if (!err)
		err = address_space_update(space, &maps);
	maps_done(&maps);
	return err;
}

struct fixture {
	struct symbolizer *s;
	struct address_space *space;
	struct frame *frames;
	size_t n;
	char directory[64];
};

static void fixture_open(struct fixture *f, const char *debug_path)
{
	struct symbolizer_options options = {.debug_path = debug_path};
	struct diag d;

	assert_int_equal(symbolizer_create(&options, &f->s, &d), 0);
	assert_int_equal(address_space_create(f->s, getpid(), &f->space), 0);
	assert_int_equal(add_mappings(f->space, getpid()), 0);
}

static void fixture_close(struct fixture *f)
{
	address_space_destroy(f->space);
	symbolizer_destroy(f->s);
	free(f->frames);
	f->frames = NULL;
	f->space = NULL;
	f->s = NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->directory, "/tmp/seep-symbol-XXXXXX");
	*state = f;
	return mkdtemp(f->directory) ? 0 : -1;
}

static int run(const struct fixture *f, const char *commands)
{
	char script[4096];

	snprintf(script, sizeof(script), "cd %s && { %s; } >/dev/null 2>&1", f->directory,
		 commands);
	return system(script);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fixture_close(f);
	run(f, "rm -rf \"$PWD\"");
	free(f);
	return 0;
}

static void lookup(struct fixture *f, uint64_t address, int exact)
{
	free(f->frames);
	f->frames = NULL;
	assert_int_equal(symbolize_stack(f->s, f->space, &address, 1, exact, &f->frames, &f->n), 0);
	assert_true(f->n > 0);
	assert_false(f->frames[f->n - 1].inlined);
}

static const char *last_component(const char *path)
{
	return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

static __attribute__((noinline)) uint64_t address_of_call(void)
{
	return (uintptr_t)__builtin_return_address(0);
}

enum { INLINED_LINE = __LINE__ + 4, OUTER_LINE = __LINE__ + 11 };

static inline __attribute__((always_inline)) uint64_t inlined_function(void)
{
	uint64_t address = address_of_call();

	return address + (address == 0);
}

static __attribute__((noinline)) uint64_t outer_function(void)
{
	uint64_t address = inlined_function();

	__asm__ volatile("" : "+r"(address));
	return address;
}

static void shows_lines_and_inlined_functions(void **state)
{
	struct fixture *f = *state;
	uint64_t address = outer_function();

	fixture_open(f, NULL);
	lookup(f, address, 0);
	assert_int_equal(f->n, 2);
	assert_string_equal(f->frames[0].function, "inlined_function");
	assert_string_equal(f->frames[1].function, "outer_function");
	assert_true(f->frames[0].inlined);
	assert_int_equal(f->frames[0].line, INLINED_LINE);
	assert_int_equal(f->frames[1].line, OUTER_LINE);
	assert_string_equal(last_component(f->frames[0].file), "test_symbol.c");
	assert_string_equal(last_component(f->frames[1].file), "test_symbol.c");
	assert_int_equal(f->frames[0].offset, f->frames[1].offset);
	assert_string_equal(f->frames[0].module, f->frames[1].module);
}

/* Where a function begins, the call before belongs to another one; the offset is the address asked
 * for either way. */
static void looks_return_addresses_up_in_the_call(void **state)
{
	struct fixture *f = *state;
	uint64_t offset;

	fixture_open(f, NULL);
	lookup(f, (uintptr_t)outer_function, 1);
	assert_string_equal(f->frames[f->n - 1].function, "outer_function");
	offset = f->frames[0].offset;
	lookup(f, (uintptr_t)outer_function, 0);
	assert_true(!f->frames[f->n - 1].function ||
		    strcmp(f->frames[f->n - 1].function, "outer_function"));
	assert_int_equal(f->frames[0].offset, offset);
}

/* What the C library has handlers return to, as the kernel knows it (struct kernel_sigaction). */
static uint64_t address_of_restorer(void)
{
	struct {
		uint64_t handler, flags, restorer, mask;
	} kernel = {0};

	signal(SIGUSR2, SIG_IGN);
	assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR2, NULL, &kernel, 8), 0);
	assert_true(kernel.restorer != 0);
	return kernel.restorer;
}

/* A signal interrupts a function at its first instruction: no call is before that, nor before the code that the
 * handler returns to. The caller of the interrupted one is a caller again. */
static void looks_up_what_a_signal_interrupted_where_it_is(void **state)
{
	struct fixture *f = *state;
	uint64_t stack[] = {outer_function(), address_of_restorer(), (uintptr_t)address_of_call,
			    (uintptr_t)address_of_call};

	fixture_open(f, NULL);
	assert_int_equal(symbolize_stack(f->s, f->space, stack, 4, 0, &f->frames, &f->n), 0);
	assert_true(f->n >= 5); /* the first is two frames */
	assert_string_equal(f->frames[1].function, "outer_function");
	assert_non_null(strstr(f->frames[2].module, "libc"));
	if (f->frames[2].function) /* local: only debug files have it */
		assert_non_null(strstr(f->frames[2].function, "restore_rt"));
	assert_string_equal(f->frames[3].function, "address_of_call");
	assert_int_equal(f->frames[3].offset, f->frames[f->n - 1].offset);
	assert_true(!f->frames[f->n - 1].function ||
		    strcmp(f->frames[f->n - 1].function, "address_of_call"));
}

static void names_libc_and_vdso(void **state)
{
	struct fixture *f = *state;
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	int found = 0;

	fixture_open(f, NULL);
	lookup(f, (uintptr_t)dlsym(RTLD_DEFAULT, "strverscmp"), 1);
	assert_non_null(strstr(f->frames[f->n - 1].function, "strverscmp"));
	assert_non_null(strstr(f->frames[f->n - 1].module, "libc"));
	if (!vdso)
		return;
	for (uint64_t address = vdso; address < vdso + 4096; address += 16) {
		lookup(f, address, 1);
		assert_string_equal(f->frames[0].module, "[vdso]");
		assert_int_equal(f->frames[0].offset, address - vdso);
		found += f->frames[0].function && strstr(f->frames[0].function, "clock_gettime");
	}
	assert_true(found > 0);
}

static void shows_the_address_only_where_nothing_is_mapped(void **state)
{
	struct fixture *f = *state;

	fixture_open(f, NULL);
	lookup(f, 0x1000, 0);
	assert_int_equal(f->n, 1);
	assert_null(f->frames[0].module);
	assert_int_equal(f->frames[0].offset, 0x1000);
}

static void names_generated_code(void **state)
{
	struct fixture *f = *state;
	char *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[64];
	FILE *map;

	assert_true(code != MAP_FAILED);
	fixture_open(f, NULL);
	lookup(f, (uintptr_t)code + 0x101, 0);
	assert_null(f->frames[0].function);
	assert_string_equal(f->frames[0].module, "[jit]");
	assert_true(f->frames[0].offset < 4096 * 16);

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	map = fopen(path, "w");
	assert_non_null(map);
	fprintf(map, "%lx 10 JS:*hot /srv/a.js:1\n", (unsigned long)code + 0xf1);
	fclose(map);
	usleep(150000);
	lookup(f, (uintptr_t)code + 0x101, 0);
	unlink(path);
	assert_string_equal(f->frames[0].function, "JS:*hot /srv/a.js:1");
	lookup(f, (uintptr_t)code + 0x102, 0);
	assert_null(f->frames[0].function);
	munmap(code, 4096);
}

static const char probe_source[] =
	"__attribute__((noinline)) void *call(void) { return __builtin_return_address(0); }\n"
	"static inline __attribute__((always_inline)) void *inlined(void) { return call(); }\n"
	"static __attribute__((noinline)) void *hidden(void)\n"
	"{\n"
	"	void *volatile address = inlined();\n"
	"	return address;\n"
	"}\n"
	"void *probe(void) { void *volatile address = hidden(); return address; }\n";

enum { PROBE_LINE = 5 }; /* of the call in hidden */

static void write_probe_source(const struct fixture *f)
{
	char path[128];
	FILE *source;

	snprintf(path, sizeof(path), "%s/probe.c", f->directory);
	source = fopen(path, "w");
	assert_non_null(source);
	fputs(probe_source, source);
	fclose(source);
}

/* Loads directory/name and returns the address in it that its probe() returns; 0 when it is not
 * there. */
static uint64_t load_probe(const struct fixture *f, const char *name, void **ret_handle)
{
	char path[128];
	void *(*probe)(void);

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	*ret_handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	probe = *ret_handle ? dlsym(*ret_handle, "probe") : NULL;
	return probe ? (uintptr_t)probe() : 0;
}

#define CC_PROBE "gcc -shared -fPIC -O2 "

/* expect: 'l' function, line and inlined frame, 'f' the function's name only, 'o' neither: module
 * and offset. */
static const struct variant {
	const char *what, *commands;
	char expect;
} variants[] = {
	{"with DWARF", CC_PROBE "-g probe.c -o probe.so", 'l'},
	{"DWARF 4", CC_PROBE "-gdwarf-4 probe.c -o probe.so", 'l'},
	{"compressed DWARF", CC_PROBE "-g -gz=zlib probe.c -o probe.so", 'l'},
	{"clang, which writes no .debug_aranges", "clang -shared -fPIC -O2 -g probe.c -o probe.so",
	 'l'},
	{"no DWARF", CC_PROBE "probe.c -o probe.so", 'f'},
	{"stripped", CC_PROBE "-s probe.c -o probe.so", 'o'},
	{"by build-id",
	 CC_PROBE
	 "-g -Wl,--build-id=0xabcdef0123 probe.c -o probe.so && mkdir -p debug/.build-id/ab && "
	 "objcopy --only-keep-debug probe.so debug/.build-id/ab/cdef0123.debug && strip probe.so",
	 'l'},
	{"another file at the build-id's place",
	 CC_PROBE
	 "-g -Wl,--build-id=0xabcdef0123 probe.c -o probe.so && mkdir -p debug/.build-id/ab && "
	 "gcc -shared -g -Wl,--build-id=0xabcdef0124 probe.c "
	 "-o debug/.build-id/ab/cdef0123.debug && "
	 "strip probe.so",
	 'o'},
	{"by debug link",
	 CC_PROBE "-g -Wl,--build-id=none probe.c -o probe.so && mkdir -p .debug && "
		  "objcopy --only-keep-debug probe.so .debug/probe.debug && strip probe.so && "
		  "objcopy --add-gnu-debuglink=.debug/probe.debug probe.so",
	 'l'},
	{"a debug link whose file was changed",
	 CC_PROBE
	 "-g -Wl,--build-id=none probe.c -o probe.so && mkdir -p .debug && "
	 "objcopy --only-keep-debug probe.so .debug/probe.debug && strip probe.so && "
	 "objcopy --add-gnu-debuglink=.debug/probe.debug probe.so && echo x >>.debug/probe.debug",
	 'o'},
	{"mini debug info",
	 CC_PROBE "probe.c -o probe.so && nm probe.so | awk '/hidden/ {print $3}' >keep && "
		  "objcopy --only-keep-debug --keep-symbols=keep --strip-unneeded probe.so mini && "
		  "xz mini && "
		  "strip probe.so && objcopy --add-section .gnu_debugdata=mini.xz probe.so",
	 'f'},
	{"broken mini debug info",
	 CC_PROBE "-s probe.c -o probe.so && echo nonsense >mini.xz && "
		  "objcopy --add-section .gnu_debugdata=mini.xz probe.so",
	 'o'},
};

static void check_variant(struct fixture *f, const struct variant *variant, uint64_t address)
{
	const struct frame *last;

	lookup(f, address, 0);
	last = &f->frames[f->n - 1];
	print_message("    %s: %s %s:%u\n", variant->what, last->function ? last->function : "-",
		      last->file ? last->file : "-", last->line);
	assert_string_equal(last_component(last->module), "probe.so");
	assert_true(last->offset > 0 && last->offset < 1 << 20);
	if (variant->expect == 'o') {
		assert_null(last->function);
		return;
	}
	assert_string_equal(last->function, "hidden");
	assert_int_equal(f->n, variant->expect == 'l' ? 2 : 1);
	if (variant->expect == 'f')
		return;
	assert_string_equal(f->frames[0].function, "inlined");
	assert_int_equal(last->line, PROBE_LINE);
	assert_string_equal(last_component(last->file), "probe.c");
}

static void finds_symbols_wherever_they_were_put(void **state)
{
	struct fixture *f = *state;
	char debug_path[128];
	size_t n_run = 0;

	snprintf(debug_path, sizeof(debug_path), "/nonexistent:%s/debug", f->directory);
	write_probe_source(f);
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		uint64_t address;
		void *library;

		run(f, "rm -rf *.so mini* debug .debug");
		if (run(f, variants[i].commands))
			continue; /* no such compiler here */
		address = load_probe(f, "probe.so", &library);
		assert_true(address);
		fixture_open(f, debug_path);
		check_variant(f, &variants[i], address);
		fixture_close(f);
		dlclose(library);
		n_run++;
	}
	if (!n_run)
		skip();
}

/* The file is gone, the process too: what was opened while it lived must do. */
static void outlives_process_and_file(void **state)
{
	struct fixture *f = *state;
	int ready[2], done[2];
	uint64_t address = 0;
	struct diag d;
	pid_t child;

	write_probe_source(f);
	if (run(f, CC_PROBE "-g probe.c -o probe.so"))
		skip();
	assert_int_equal(pipe(ready) | pipe(done), 0);
	child = fork();
	if (!child) {
		void *library;

		close(done[1]);
		address = load_probe(f, "probe.so", &library);
		if (write(ready[1], &address, sizeof(address)) == sizeof(address))
			(void)!read(done[0], &address, 1);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &address, sizeof(address)), sizeof(address));
	assert_int_equal(symbolizer_create(NULL, &f->s, &d), 0);
	assert_int_equal(address_space_create(f->s, child, &f->space), 0);
	assert_int_equal(add_mappings(f->space, child), 0);
	run(f, "rm probe.so");
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(done[i]);
	}
	waitpid(child, NULL, 0);
	check_variant(f, &variants[0], address);
}

static size_t count_modules_loaded(const struct symbolizer *s)
{
	size_t n = 0;

	for (const struct module *m = s->modules.first; m; m = m->next)
		n += m->loaded;
	return n;
}

static void loads_one_build_id_once(void **state)
{
	struct fixture *f = *state;
	uint64_t first, second;
	void *libraries[2];
	char *module;

	write_probe_source(f);
	if (run(f, CC_PROBE "-g probe.c -o a.so && cp a.so b.so"))
		skip();
	first = load_probe(f, "a.so", &libraries[0]);
	second = load_probe(f, "b.so", &libraries[1]);
	assert_true(first && second && first != second);
	fixture_open(f, NULL);
	lookup(f, first, 0);
	module = strdup(f->frames[1].module);
	lookup(f, second, 0);
	assert_string_equal(f->frames[1].function, "hidden");
	assert_string_not_equal(f->frames[1].module, module);
	assert_int_equal(count_modules_loaded(f->s), 1);
	free(module);
	dlclose(libraries[0]);
	dlclose(libraries[1]);
}

static void reopens_what_it_could_not_keep_open(void **state)
{
	struct fixture *f = *state;
	struct diag d;
	uint64_t address;
	void *library;

	write_probe_source(f);
	if (run(f, CC_PROBE "-g probe.c -o probe.so && cp probe.so other.so"))
		skip();
	address = load_probe(f, "probe.so", &library);
	for (int replaced = 0; replaced < 2; replaced++) {
		assert_int_equal(symbolizer_create(NULL, &f->s, &d), 0);
		f->s->files.max_open = 0;
		assert_int_equal(address_space_create(f->s, getpid(), &f->space), 0);
		assert_int_equal(add_mappings(f->space, getpid()), 0);
		if (replaced)
			run(f, "mv other.so probe.so");
		lookup(f, address, 0);
		assert_string_equal(last_component(f->frames[0].module), "probe.so");
		if (replaced)
			assert_null(f->frames[0].function);
		else
			assert_string_equal(f->frames[1].function, "hidden");
		assert_int_equal(f->s->files.n_open, 0);
		fixture_close(f);
	}
	dlclose(library);
}

static void reads_again_what_was_trimmed(void **state)
{
	struct fixture *f = *state;
	uint64_t address = outer_function();

	fixture_open(f, NULL);
	lookup(f, address, 0);
	modules_trim(&f->s->modules, 0);
	assert_int_equal(count_modules_loaded(f->s), 0);
	lookup(f, address, 0);
	assert_string_equal(f->frames[1].function, "outer_function");
	assert_int_equal(count_modules_loaded(f->s), 0);
	lookup(f, address + 1, 0);
	assert_string_equal(f->frames[f->n - 1].function, "outer_function");
	assert_int_equal(count_modules_loaded(f->s), 1);
}

static void add(struct fixture *f, uint64_t start, uint64_t end, uint64_t offset, char *path)
{
	struct mapping m = {.start = start,
			    .end = end,
			    .file_offset = offset,
			    .executable = true,
			    .path = path};

	assert_int_equal(address_space_add(f->space, &m), 0);
}

static void keeps_what_a_later_mapping_leaves(void **state)
{
	struct fixture *f = *state;
	struct diag d;

	assert_int_equal(symbolizer_create(NULL, &f->s, &d), 0);
	assert_int_equal(address_space_create(f->s, getpid(), &f->space), 0);
	add(f, 0x10000, 0x20000, 0x1000, "/a");
	add(f, 0x10000, 0x20000, 0x1000, "/a");
	assert_int_equal(f->space->n, 1);
	add(f, 0x14000, 0x18000, 0, "/b");
	assert_int_equal(f->space->n, 3);
	lookup(f, 0x13000, 1);
	assert_string_equal(f->frames[0].module, "/a");
	assert_int_equal(f->frames[0].offset, 0x4000);
	lookup(f, 0x14010, 1);
	assert_string_equal(f->frames[0].module, "/b");
	assert_int_equal(f->frames[0].offset, 0x10);
	lookup(f, 0x19000, 1);
	assert_string_equal(f->frames[0].module, "/a");
	assert_int_equal(f->frames[0].offset, 0xa000);
	add(f, 0x12000, 0x1c000, 0, "/c\033\n");
	assert_int_equal(f->space->n, 3);
	lookup(f, 0x15000, 1);
	assert_string_equal(f->frames[0].module, "/c??");
	lookup(f, 0x1c000, 1);
	assert_int_equal(f->frames[0].offset, 0xd000);
	add(f, 0, 0x100000, 0, "/d");
	assert_int_equal(f->space->n, 1);
}

/* One file after another at the same addresses: each version sees its own. */
static void views_what_was_mapped_before(void **state)
{
	struct mapping one = {
		.start = 0x10000, .end = 0x20000, .executable = true, .inode = 1, .path = "/one"};
	struct mapping two = one;
	struct fixture *f = *state;
	struct diag d;

	two.inode = 2;
	two.path = "/two";
	assert_int_equal(symbolizer_create(NULL, &f->s, &d), 0);
	assert_int_equal(address_space_create(f->s, getpid(), &f->space), 0);
	assert_int_equal(address_space_add(f->space, &one), 0);
	address_space_set_version(f->space, 3);
	assert_int_equal(address_space_add(f->space, &two), 0);
	address_space_view(f->space, 2);
	lookup(f, 0x13000, 1);
	assert_string_equal(f->frames[0].module, "/one");
	address_space_view(f->space, 3);
	lookup(f, 0x13000, 1);
	assert_string_equal(f->frames[0].module, "/two");
	/* It was there in version 1 already. */
	address_space_set_version(f->space, 1);
	assert_int_equal(address_space_add(f->space, &two), 0);
	address_space_view(f->space, 2);
	lookup(f, 0x13000, 1);
	assert_string_equal(f->frames[0].module, "/two");
	address_space_view(f->space, 0);
	lookup(f, 0x13000, 1);
	assert_string_equal(f->frames[0].module, "/one");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(shows_lines_and_inlined_functions),
		TEST(looks_return_addresses_up_in_the_call),
		TEST(looks_up_what_a_signal_interrupted_where_it_is),
		TEST(names_libc_and_vdso),
		TEST(shows_the_address_only_where_nothing_is_mapped),
		TEST(names_generated_code),
		TEST(finds_symbols_wherever_they_were_put),
		TEST(outlives_process_and_file),
		TEST(loads_one_build_id_once),
		TEST(reopens_what_it_could_not_keep_open),
		TEST(reads_again_what_was_trimmed),
		TEST(keeps_what_a_later_mapping_leaves),
		TEST(views_what_was_mapped_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
