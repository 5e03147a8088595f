// SPDX-License-Identifier: BSD-2-Clause
/* What a triage says, and on how many lines. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/judging_triage.h"
#include "model/memory.h"
#include "model/scan_path.h"
#include "model/scan_report.h"
#include "output/text_fold.h"
#include "output/triage.h"

#define EXE "/srv/bin/server"
#define LIBC "/lib/x86_64-linux-gnu/libc.so.6"
#define N_SITES 4
#define SCREEN_LINES 55

static const struct frame deep[] = {
	{.function = "_IO_file_doallocate", .module = LIBC, .file = "filedoalloc.c", .line = 101},
	{.function = "_IO_doallocbuf", .module = LIBC, .inlined = true},
	{.function = "getdelim", .module = LIBC, .file = "iogetdelim.c", .line = 73},
	{.function = "read_line", .module = EXE, .file = "line.c", .line = 12, .inlined = true},
	{.function = "read_line", .module = EXE, .file = "line.c", .line = 20},
	{.function = "parse", .module = EXE, .file = "parse.c", .line = 30},
	{.function = "serve", .module = EXE, .file = "serve.c", .line = 40},
	{.function = "loop", .module = EXE, .file = "serve.c", .line = 50},
	{.function = "main", .module = EXE, .file = "main.c", .line = 60},
	{.function = "__libc_start_call_main", .module = LIBC},
	{.function = "__libc_start_main", .module = LIBC},
	{.function = "_start", .module = EXE},
};

static const struct memory_account memory = {
	.resident_bytes = 100 << 20,
	.outstanding_bytes = 20 << 20,
	.outstanding_allocations = 1000,
	.rounding_bytes = 1 << 20,
	.before_bytes = 30 << 20,
	.before_allocations = 5000,
	.cached_bytes = 1 << 20,
	.free_bytes = 3 << 20,
	.own_bytes = 1 << 20,
	.untouched_bytes = 2 << 20,
	.stack_bytes = 1 << 20,
	.anonymous_bytes = 35 << 20,
	.thread_stack_bytes = 20 << 20,
	.n_threads = 9,
	.file_bytes = 9 << 20,
	.shared_bytes = 1 << 20,
};

struct example {
	struct session session;
	struct process_report process;
	struct site sites[N_SITES];
	struct report report;
	struct scan_leak leak;
	struct scan_report scan;
	struct triage_report triage;
	char text[TRIAGE_TEXT_SIZE];
};

static void example_init(struct example *x)
{
	*x = (struct example){
		.session = {.hostname = "web-1", .mode = REPORT_EXACT},
		.process = {.pid = 5,
			    .comm = "server",
			    .exe = EXE,
			    .age_seconds = 7200,
			    .verdict = "leak",
			    .confidence = 0.6,
			    .evidence = "one stack leaks, 1.0 MiB/min: 0000000000000001",
			    .cgroup = "/system.slice/server.service",
			    .limit_bytes = 512 << 20,
			    .rss_bytes = 100 << 20,
			    .outstanding_bytes = 20 << 20,
			    .outstanding_allocations = 1000,
			    .memory = &memory,
			    .seen_from_seconds = 7140,
			    .notes = {"files without symbols: /opt/x.so", "b", "c", "d"},
			    .n_notes = 4},
		.leak = {.site = 0, .direct = {1000, 1 << 20}},
		.scan = {.complete = true, .reachable = {1000, 20 << 20}},
	};
	for (uint64_t i = 0; i < N_SITES; i++)
		x->sites[i] = (struct site){
			.fingerprint = i + 1,
			.kind = SITE_MALLOC,
			.verdict = i ? "growing" : "leak",
			.confidence = 0.6,
			.outstanding_bytes = 5 << 20,
			.outstanding_allocations = 250,
			.growth_bytes_per_second = 1000 * (4 - i),
			.survival = {1, NAN, NAN, NAN},
			.evidence =
				"25% of what it allocated more than 1.2 s ago is still there; of 826 such blocks 0.2% was "
				"freed in the last 18 s; it grows by 519.1 KiB/min (499.4 KiB to 538.8 KiB), evenly since "
				"16:26:23; 40 m 2 s to the container's limit at that rate",
			.frames = deep,
			.n_frames = ARRAY_SIZE(deep),
		};
	x->report = (struct report){.processes = &x->process,
				    .n_processes = 1,
				    .sites = x->sites,
				    .n_sites = N_SITES,
				    .elapsed_seconds = 61};
	x->scan.report = &x->report;
	x->triage = (struct triage_report){
		.session = &x->session,
		.report = &x->report,
		.final = true,
		.scan = &x->scan,
		.memory = {.growth_bytes_per_second = 20000,
			   .growth_low_bytes_per_second = 19000,
			   .growing_since_seconds = 60,
			   .seconds_to_limit = 3600,
			   .cgroup_bytes = 200 << 20,
			   .cgroup_cache_bytes = 100 << 20,
			   .cgroup_cache_before_bytes = 50 << 20,
			   .verdict = "growing",
			   .confidence = 0.7},
		.top = {0, 1, 2},
		.n_top = 3,
		.n_sites = N_SITES,
		.evidence_path = "/var/tmp/seep-triage-5-20261123T162623Z",
	};
}

static void judge(struct example *x)
{
	judging_triage(&x->triage, &x->report, x->text);
}

static void reachable_growth_is_no_leak(void **state)
{
	struct example x;

	(void)state;
	example_init(&x);
	judge(&x);
	assert_string_equal(x.triage.verdict, "growing");
	assert_true(x.triage.kept);
	assert_true(x.triage.confidence == 0.7);
	assert_non_null(strstr(x.triage.evidence, "4 stacks grow, "));
	assert_non_null(strstr(x.triage.evidence, "0000000000000001; all of it still in reach"));
	assert_string_equal(x.process.verdict, "growing");
	assert_string_equal(x.sites[0].verdict, "growing");
}

/* What the scan cannot know changes nothing: no scan, samples, too much that it left open. */
static void reachable_is_said_of_whole_scans_only(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct example x;

		example_init(&x);
		if (i == 0)
			x.triage.scan = NULL;
		else if (i == 1)
			x.process.estimated = true;
		else if (i == 2)
			x.session.mode = REPORT_SAMPLED_BYTES;
		else
			x.scan.open = (struct scan_count){1000, 21 << 20};
		judge(&x);
		assert_string_equal(x.triage.verdict, "leak");
		assert_true(x.triage.confidence == 0.6);
		assert_false(x.triage.kept);
		assert_string_equal(x.sites[0].verdict, "leak");
	}
}

static void unreachable_blocks_prove_it(void **state)
{
	struct example x;

	(void)state;
	example_init(&x);
	x.scan.direct = x.leak.direct;
	x.scan.leaks = &x.leak;
	x.scan.n_leaks = 1;
	x.process.verdict = "unknown";
	x.process.evidence = NULL;
	judge(&x);
	assert_string_equal(x.triage.verdict, "leak");
	assert_true(x.triage.confidence == 0.95);
	assert_string_equal(x.triage.evidence, "it loses the last pointers to what it allocates");
}

/* Beside a cache of 1 GiB that grows, too, and is whole. */
static void a_small_leak_counts_by_its_site(void **state)
{
	struct example x;

	(void)state;
	example_init(&x);
	x.scan.reachable = (struct scan_count){1000000, 1 << 30};
	x.scan.direct = x.leak.direct;
	x.scan.leaks = &x.leak;
	x.scan.n_leaks = 1;
	judge(&x);
	assert_string_equal(x.triage.verdict, "leak");
	assert_true(x.triage.confidence == 0.95);
	assert_non_null(strstr(x.triage.evidence, "; nothing points to 1.0 MiB"));
	assert_false(x.triage.kept);
}

/* A few lost blocks of a site prove nothing, but then not all of it is in reach. */
static void a_handful_proves_nothing(void **state)
{
	struct example x;

	(void)state;
	example_init(&x);
	x.leak.direct = x.scan.direct = (struct scan_count){3, 300};
	x.scan.leaks = &x.leak;
	x.scan.n_leaks = 1;
	judge(&x);
	assert_string_equal(x.triage.verdict, "leak");
	assert_true(x.triage.confidence == 0.6);
	assert_false(x.triage.kept);
}

static void what_is_calm_stays_so(void **state)
{
	struct example x;

	(void)state;
	example_init(&x);
	x.process.verdict = "steady";
	x.process.evidence = NULL;
	x.triage.memory.verdict = "unknown";
	x.triage.memory.confidence = 0;
	for (size_t i = 0; i < N_SITES; i++)
		x.sites[i].verdict = "steady";
	judge(&x);
	assert_string_equal(x.triage.verdict, "steady");
	assert_null(x.triage.evidence);
}

static void seen_in_part(void **state)
{
	struct example x;

	(void)state;
	example_init(&x);
	x.process.verdict = "unknown";
	x.process.estimated = true;
	x.triage.memory.verdict = "unknown";
	x.triage.memory.confidence = 0.3;
	judge(&x);
	assert_string_equal(x.triage.verdict, "growing");
	assert_non_null(strstr(x.triage.evidence, "in part"));
	x.triage.memory.growth_low_bytes_per_second = -5;
	judge(&x);
	assert_string_equal(x.triage.verdict, "unknown");
	assert_non_null(strstr(x.triage.evidence, "in part"));
}

static char *print(const struct example *x, unsigned width, bool verbose)
{
	const struct output_options o = {.width = width, .verbose = verbose};
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(triage_text(f, &o, false, &x->triage), 0);
	fclose(f);
	return text;
}

static size_t lines_of(const char *text, size_t *ret_widest)
{
	size_t n = 0, column = 0;

	*ret_widest = 0;
	for (; *text; text++) {
		if (*text == '\n') {
			n++;
			column = 0;
		} else if (++column > *ret_widest) {
			*ret_widest = column;
		}
	}
	return n;
}

/* The fullest one: three stacks that grow, a limit, a container's cgroup, notes; after its first look. */
static void fits_a_screen(void **state)
{
	const struct scan_root root = {.kind = "global", .name = "sessions", .module = EXE};
	struct example x;
	size_t widest;

	(void)state;
	for (unsigned width = 80; width <= 100; width += 20) {
		_cleanup_free_ char *text = NULL;

		example_init(&x);
		judge(&x);
		x.triage.kept_by = &root;
		text = print(&x, width, false);
		assert_in_range(lines_of(text, &widest), 20, SCREEN_LINES);
		assert_in_range(widest, 40, width);
		for (const char *const *part =
			     (const char *const[]){"  verdict      growing, 70% sure: 4 stacks",
						   "  limit        512.0 MiB, reached in 1 h 0 m",
						   "kept by global variable sessions of server",
						   "        getdelim iogetdelim.c:73",
						   "        parse parse.c:30 (server)",
						   "... 7 more; stack 0000000000000001",
						   "100.0 MiB, made of", "  lost         nothing",
						   "3 more notes", "evidence     /var/tmp", NULL};
		     *part; part++)
			if (!strstr(text, *part))
				fail_msg("no '%s' in %s", *part, text);
	}
}

static void first_look_is_short(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct example x;
	size_t widest;

	(void)state;
	example_init(&x);
	x.triage.final = false;
	x.triage.scan = NULL;
	judge(&x);
	text = print(&x, 80, false);
	assert_in_range(lines_of(text, &widest), 10, 26);
}

/* The whole of it is in the evidence. */
static void verbose_has_all_frames(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct example x;

	(void)state;
	example_init(&x);
	judge(&x);
	text = print(&x, 0, true);
	assert_non_null(strstr(text, "_start (" EXE ")"));
	assert_non_null(strstr(text, "headers and padding of these"));
	assert_null(strstr(text, "... "));
}

/* The rows of the short table are those of the resident memory. */
static void short_rows_add_up(void **state)
{
	double sum = 0;
	_cleanup_free_ char *text = NULL;
	struct example x;
	const char *at;

	(void)state;
	example_init(&x);
	judge(&x);
	text = print(&x, 0, false);
	at = strstr(text, "made of\n");
	assert_non_null(at);
	for (at = strchr(at, '\n') + 1; !strncmp(at, "    ", 4); at = strchr(at, '\n') + 1)
		if (strncmp(at, "              ", 14) != 0)
			sum += strtod(at, NULL);
	assert_true(fabs(sum - 100) < 0.5);
}

static void fold_shows(const struct frame *frames, size_t n, size_t most, const size_t *expected)
{
	struct text_fold fold;

	text_fold(frames, n, EXE, most, &fold);
	for (size_t i = 0; i < fold.n; i++)
		assert_int_equal(fold.frames[i], expected[i]);
	assert_int_equal(expected[fold.n], SIZE_MAX);
}

static void folds_to_whose_code_it_is(void **state)
{
	static const struct frame library[] = {
		{.function = "a", .module = "/lib/libx.so"},
		{.function = "b", .module = "/lib/libx.so"},
		{.function = "c", .module = "/lib/libx.so"},
		{.function = "d", .module = "/lib/libx.so"},
		{.function = "e", .module = "/lib/libx.so"},
		{.function = "own", .module = EXE},
		{.function = "main", .module = EXE},
		{.function = "_start", .module = EXE},
	};
	static const struct frame only_libc[] = {{.function = "x", .module = LIBC},
						 {.function = "start_thread", .module = LIBC}};

	(void)state;
	fold_shows(deep, ARRAY_SIZE(deep), 5, (const size_t[]){2, 3, 5, 6, 7, SIZE_MAX});
	fold_shows(library, ARRAY_SIZE(library), 5, (const size_t[]){0, 1, 2, 5, 6, SIZE_MAX});
	fold_shows(library, ARRAY_SIZE(library), 3, (const size_t[]){0, 5, 6, SIZE_MAX});
	fold_shows(only_libc, 2, 5, (const size_t[]){0, SIZE_MAX});
	fold_shows(only_libc, 1, 5, (const size_t[]){0, SIZE_MAX});
	fold_shows(NULL, 0, 5, (const size_t[]){SIZE_MAX});
}

static void wraps(const char *text, size_t width, const char *expected)
{
	_cleanup_free_ char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	assert_non_null(f);
	text_put_wrapped(f, text, 2, 2, width);
	fclose(f);
	assert_string_equal(out, expected);
}

static void wraps_at_words(void **state)
{
	(void)state;
	wraps("one two three", 0, "one two three");
	wraps("one two three", 9, "one two\n  three");
	wraps("one two three", 8, "one\n  two\n  three");
	wraps("longest-word x", 5, "longest-word\n  x");
	wraps("a\033[2J b", 40, "a\\x1b[2J b");
	wraps("", 5, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reachable_growth_is_no_leak),
		cmocka_unit_test(reachable_is_said_of_whole_scans_only),
		cmocka_unit_test(unreachable_blocks_prove_it),
		cmocka_unit_test(a_small_leak_counts_by_its_site),
		cmocka_unit_test(a_handful_proves_nothing),
		cmocka_unit_test(what_is_calm_stays_so),
		cmocka_unit_test(seen_in_part),
		cmocka_unit_test(fits_a_screen),
		cmocka_unit_test(first_look_is_short),
		cmocka_unit_test(verbose_has_all_frames),
		cmocka_unit_test(short_rows_add_up),
		cmocka_unit_test(folds_to_whose_code_it_is),
		cmocka_unit_test(wraps_at_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
