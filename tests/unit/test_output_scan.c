// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "output/scan.h"
#include "report_fixture.h"

static const struct frame frames[] = {
	{.function = "lose\033[2J", .module = "/bin/a", .file = "a.c", .line = 7}};

struct example {
	struct process_report process;
	struct site site;
	struct report report;
	struct scan_leak leak;
	struct scan_report scan;
	struct scan_step steps[6];
	struct scan_path path;
};

static void example_init(struct example *x)
{
	*x = (struct example){
		.process = {.pid = 5, .comm = "a\nb", .final = true},
		.site = {.fingerprint = 0xabc, .frames = frames, .n_frames = 1},
		.leak = {.direct = {1, 100},
			 .cycle = {1, 8},
			 .indirect = {2, 20},
			 .held = {3, 30},
			 .example = 0x7000},
	};
	x->report = (struct report){.time_ns = FIXTURE_START_NS,
				    .processes = &x->process,
				    .n_processes = 1,
				    .sites = &x->site,
				    .n_sites = 1};
	x->scan = (struct scan_report){.report = &x->report,
				       .leaks = &x->leak,
				       .n_leaks = 1,
				       .direct = {1, 100},
				       .cycle = {1, 8},
				       .indirect = {2, 20},
				       .reachable = {9, 900},
				       .n_passes = 3,
				       .n_threads = 2,
				       .n_running = 1,
				       .n_unsettled = 4,
				       .interior = true,
				       .complete = true};
	for (uint64_t i = 0; i < 6; i++)
		x->steps[i] = (struct scan_step){.pointer = i ? 0x1000 * i + 8 : 0x500,
						 .offset = i ? 8 : 0,
						 .block = 0x1000 * (i + 1),
						 .size_bytes = 64,
						 .site = &x->site};
	x->path = (struct scan_path){.report = &x->report,
				     .address = 0x6010,
				     .known = true,
				     .root = {"global", "table\033", "/bin/a", 16, 0},
				     .steps = x->steps,
				     .n_steps = 6,
				     .block = 0x6000,
				     .size_bytes = 64,
				     .site = &x->site};
}

static void assert_says(const char *text, const char *const *wanted)
{
	assert_null(strchr(text, '\033'));
	for (size_t i = 0; wanted[i]; i++)
		if (!strstr(text, wanted[i]))
			fail_msg("'%s' is not in:\n%s", wanted[i], text);
}

static const struct check_sums sums = {
	.n_checked = 2,
	.n_leaking = 1,
	.n_unchecked = 1,
	.direct = {1, 100},
	.indirect = {2, 200},
	.suppressed = {1, 5},
	.command_ended = true,
	.command_status = 3 << 8,
};

static void text(void **state)
{
	static const char *const wanted[] = {
		"process 5 a\\nb\n",
		"unreachable  128 B in 4 blocks\n",
		"direct     100 B in 1 block,",
		"the process ran on",
		"registers of 1 of 2 threads",
		"met 4 blocks again",
		"108 B in 2 blocks, some of them in cycles, holding 30 B in 3 blocks more; and 20 B in 2 blocks that others hold",
		"lose\\x1b[2J a.c:7 (a)",
		NULL};
	static const char *const path[] = {"global variable table\\x1b+0x10 of a, at 0x500\n",
					   "reachable by 6 pointers",
					   "-> 0x1000 (64 B), by its word at +8\n",
					   "-> 3 more of the same, each by the one before\n",
					   "-> 0x6000 (64 B)\n",
					   NULL};
	const struct output_options o = {0};
	char *out = NULL;
	size_t n;
	struct example x;
	FILE *f = open_memstream(&out, &n);

	(void)state;
	example_init(&x);
	assert_int_equal(scan_text_report(f, &o, &x.scan), 0);
	fflush(f);
	assert_says(out, wanted);
	assert_int_equal(scan_path_text(f, &o, &x.path), 0);
	fclose(f);
	assert_says(out, path);
	free(out);
}

/* The record of a type among the lines of text. */
static json_t *record(const char *text, const char *type)
{
	json_t *r = NULL;

	for (const char *line = text; line && *line; line = strchr(line, '\n') + 1) {
		r = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
		assert_non_null(r);
		if (!strcmp(json_string_value(json_object_get(r, "type")), type))
			return r;
		json_decref(r);
	}
	fail_msg("no record %s", type);
	return NULL;
}

static long long number(json_t *r, const char *key)
{
	assert_true(json_is_integer(json_object_get(r, key)));
	return json_integer_value(json_object_get(r, key));
}

static void ndjson(void **state)
{
	char *out = NULL;
	size_t n;
	struct example x;
	FILE *f = open_memstream(&out, &n);
	json_t *r;

	(void)state;
	example_init(&x);
	assert_int_equal(scan_ndjson_report(f, &x.scan), 0);
	assert_int_equal(scan_path_ndjson(f, &x.path), 0);
	assert_int_equal(check_ndjson(f, 0, &sums), 0);
	fclose(f);
	r = record(out, "scan");
	assert_int_equal(number(r, "pid"), 5);
	assert_int_equal(number(r, "direct_bytes"), 100);
	assert_int_equal(number(r, "unsettled_blocks"), 4);
	json_decref(r);
	r = record(out, "leak");
	assert_int_equal(number(r, "held_blocks"), 3);
	assert_string_equal(json_string_value(json_object_get(r, "site")), "0000000000000abc");
	json_decref(r);
	r = record(out, "path");
	assert_int_equal(json_array_size(json_object_get(r, "steps")), 6);
	assert_true(json_is_true(json_object_get(r, "reachable")));
	json_decref(r);
	r = record(out, "check");
	assert_int_equal(number(r, "indirect_blocks"), 2);
	assert_int_equal(number(r, "command_status"), 3 << 8);
	json_decref(r);
	free(out);
}

static void check_as_text(void **state)
{
	const struct output_options o = {0};
	struct check_sums c = sums;
	char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	(void)state;
	assert_int_equal(check_text(f, &o, &c), 0);
	c.direct = c.indirect = (struct scan_count){0};
	c.command_status = 9;
	c.n_unchecked = 0;
	assert_int_equal(check_text(f, &o, &c), 0);
	fclose(f);
	assert_string_equal(
		out,
		"check: 300 B in 3 blocks unreachable, in 1 of 2 processes; 5 B in 1 block suppressed\n"
		"  not checked  1 process: still running, or its end could not be looked at\n"
		"  the command ended with exit code 3\n\n"
		"check: nothing unreachable in 2 processes; 5 B in 1 block suppressed\n"
		"  the command was ended by signal 9 (Killed)\n\n");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(ndjson),
		cmocka_unit_test(check_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
