// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "output/escape.h"
#include "output/format.h"
#include "output/json.h"
#include "output/losses.h"
#include "report_fixture.h"

static char *print(const struct fixture *x, const char *format, const struct output_options *o)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_int_equal(fixture_print(x, output_find(format), o, f), 0);
	fclose(f);
	assert_int_equal(strlen(text), n);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

static void sizes_and_times_are_readable(void **state)
{
	static const struct {
		double value;
		const char *bytes, *seconds;
	} cases[] = {
		{0, "0 B", "0 s"},
		{0.0001, "0 B", "<1 ms"},
		{0.25, "0 B", "250 ms"},
		{9.99, "10 B", "9.9 s"},
		{59.9, "60 B", "59 s"},
		{190, "190 B", "3 m 10 s"},
		{1023, "1023 B", "17 m 3 s"},
		{1023.7, "1.0 KiB", "17 m 3 s"},
		{7500, "7.3 KiB", "2 h 5 m"},
		{1048575, "1.0 MiB", "12 d 3 h"},
		{-4096, "-4.0 KiB", "?"},
		{NAN, "?", "?"},
	};
	char out[FORMAT_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		format_bytes(cases[i].value, out);
		assert_string_equal(out, cases[i].bytes);
		format_seconds(cases[i].value, out);
		assert_string_equal(out, cases[i].seconds);
	}
	format_bytes(1e308, out);
	format_seconds(1e308, out);
	format_count(0, out);
	assert_string_equal(out, "0");
	format_count(1234567, out);
	assert_string_equal(out, "1,234,567");
	format_count(UINT64_MAX, out);
	assert_string_equal(out, "1.84e+19");
}

static char *escaped(const char *text, size_t max_columns)
{
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	escape_put(f, text, max_columns);
	fclose(f);
	return out;
}

static void names_cannot_steer_the_terminal(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		const char *shown;
	} cases[] = {
		{"plain ä €", 0, "plain ä €"},
		{"\033[31m\n\t\177", 0, "\\x1b[31m\\n\\t\\x7f"},
		{"\xc2\x9b"
		 "A",
		 0, "\\x9bA"},
		{"a\xe2\x80\xae"
		 "b",
		 0, "a\\u202eb"},
		{"\xff\xc0\xaf\xed\xa0\x80\xe2\x82", 0,
		 "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"},
		{"abcdefghij", 10, "abcdefghij"},
		{"abcdefghijk", 10, "abcd...ijk"},
		{"\n\n\n\n\n\n", 8, "\\n...\\n"},
		{"abcdef", 3, "..."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *out = escaped(cases[i].text, cases[i].columns);

		assert_string_equal(out, cases[i].shown);
		free(out);
	}
}

static void frames_for_people(void **state)
{
	char out[200], cut[8];

	(void)state;
	format_frame(&fixture_leak[1], out, sizeof(out));
	assert_string_equal(out, "session_parse_cookie session.c:188 (api-server)");
	format_frame(&fixture_leak[2], out, sizeof(out));
	assert_string_equal(out, "libc.so.6+0x27249");
	format_frame(&fixture_leak[3], out, sizeof(out));
	assert_string_equal(out, "[unmapped]+0xdeadbeefdeadbeef");
	format_frame(&(struct frame){.function = "1234ää"}, cut, sizeof(cut));
	assert_string_equal(cut, "1234ä");
	format_frame(&fixture_leak[1], out, 1);
	assert_string_equal(out, "");
}

static void numbers_survive_json(void **state)
{
	static const double values[] = {0.1 + 0.2, 1.0 / 3, 1e308,
					5e-324,	   -2.5,    123456789012345678.0};
	char text[200] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");
	struct json_line j;
	json_t *line, *parsed;

	(void)state;
	json_line_begin(&j, f);
	json_open(&j, "v", '[');
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		json_put_double(&j, NULL, values[i]);
	json_put_double(&j, NULL, INFINITY);
	json_put_double(&j, NULL, -0.0);
	json_put_u64(&j, NULL, UINT64_MAX);
	json_close(&j, ']');
	json_line_end(&j);
	fclose(f);
	line = json_loads(text, 0, NULL);
	parsed = json_object_get(line, "v");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		assert_true(json_number_value(json_array_get(parsed, i)) == values[i]);
	assert_true(json_is_null(json_array_get(parsed, ARRAY_SIZE(values))));
	assert_has(text, "0.30000000000000004,");
	assert_has(text, "null,0,9223372036854775807]}\n");
	json_decref(line);
}

static void text_has_the_figures(void **state)
{
	struct output_options o = {.top = 10};
	struct fixture x;
	char *text;

	(void)state;
	fixture_init(&x);
	text = print(&x, "text", &o);
	assert_has(text, "Tracing pid 1234, command ./wörker on web-1, Linux 6.18.0, seep 0.1.0\n");
	assert_has(text, "[2026-11-22T19:46:19.123Z] report 2, 10 s after the start, 3 processes, "
			 "5.0 MiB in 1,027 allocations outstanding\n");
	assert_has(text, "process 1234 api-server (/srv/bin/api-server), started 1 h 0 m ago\n");
	assert_has(text, "  container    docker/0123456789ab, pod web-1 in prod\n");
	assert_has(text, "  outstanding  5.0 MiB in 1,026 allocations, growing 1.0 MiB/s\n");
	assert_has(text,
		   "12 more of blocks not seen allocated; 3,456,789 more of blocks inherited");
	assert_has(text,
		   "  resident     120.0 MiB of a limit of 512.0 MiB, reached in 300 ms, made of\n"
		   "       5.0 MiB  recorded, and outstanding, 1,024 blocks\n"
		   "       8.0 KiB  headers and padding of these\n"
		   "     100.0 MiB  in use, allocated before the trace, 31,415 blocks\n"
		   "         416 B  freed, cached for the next allocations\n"
		   "      -4.0 MiB  of all these never written, given back or swapped out\n"
		   "      19.0 MiB  files: code and data as on disk\n"
		   "  of these rows, 3 B recorded, and outstanding, outside of glibc's heap\n");
	assert_has(text, "not seen: what it allocated in the 59 m 50 s before the trace began\n");
	assert_has(text, "not seen: files without symbols: /opt/x\\ty.so\n");
	assert_has(text, "lost 1,234,567 live_map_full: allocations were not recorded");
	assert_has(text, "lost 1 some\\nnew_cause\n");
	assert_has(text, "  cut stacks   1.0%, too deep: the innermost frames are kept; raise "
			 "--perf-max-stack-depth");
	assert_has(text, "  cut stacks   under 0.1%, read fault: ");
	assert_has(text, "  cut stacks   under 0.1%, some\\nnew_reason\n");
	assert_has(text, "  Top 2 of 2 stacks with outstanding allocations, by size:\n"
			 "    5.0 MiB in 1,024 allocations, 99.9%, growing 1.2 MiB/s\n"
			 "        stack 9f8e7d6c5b4a3921, oldest 9.8 s, median 250 ms\n");
	assert_has(text, "    4.0 KiB in 2 mappings, ");
	assert_has(text, "        stack 0000000000000002");
	assert_has(text, "        session_parse_cookie session.c:188 (api-server)\n");
	assert_has(text, "vector.tcc:67 (api-server) [inlined]\n");
	assert_has(text, "        [the stack ends early: too deep]\n");
	assert_has(text, "        [the stack is not known]\n");
	assert_has(text, ", replaced by exec\n");
	assert_has(text, ", killed by signal 11 SIGSEGV\n");
	assert_has(text, "  no outstanding allocations\n");
	assert_has(text, "map memory: 3.0 MiB in the kernel\n");
	assert_has(text, "end after 10 s: interrupted; in all:\n");
	assert_has_not(text, "\033");
	assert_has_not(text, "~");
	free(text);
}

static void text_follows_its_options(void **state)
{
	struct output_options o = {.top = 1, .color = true, .blocks = true, .width = 60};
	struct fixture x;
	char *text;

	(void)state;
	fixture_init(&x);
	x.session.mode = REPORT_SAMPLED_COUNT;
	x.session.sample_interval = 10;
	x.session.min_size_bytes = 4096;
	for (size_t i = 0; i < FIXTURE_REPORTS; i++)
		x.sites[i][0].interval_bytes = 1 << 20;
	text = print(&x, "text", &o);
	assert_has(text, "One allocation in 10 is sampled: figures with ~ are estimates");
	assert_has(text, "Only allocations of at least 4.0 KiB.");
	assert_has(text, "Top 1 of 2 stacks");
	assert_has(text, "~5.0 MiB +-1.0 MiB\033[0m in ~1,024 allocations");
	assert_has(text, "    and ~4.0 KiB in ~2 allocations from 1 other stack\n");
	assert_has(text, "\033[1mprocess 1234 api-server\033[0m");
	assert_has(text, "\033[1;31mlost\033[0m");
	assert_has(text, "        std::vector...gned long) vector.tcc:67 (api-server) [inlined]\n");
	assert_has(text, "  0x7f0000001000 of process 1234: 4096 bytes, age 1.5 s, "
			 "stack 0000000000000002\n");
	assert_has(text, ": 7 bytes, age ?, stack 0000000000000000, unreachable\n");
	free(text);
	o.combined_only = true;
	text = print(&x, "text", &o);
	assert_has_not(text, "        stack ");
	assert_has_not(text, "cut stacks");
	assert_has(text, "outstanding  \033[1m~5.0 MiB");
	free(text);
}

/* What was counted without a stack says so; a capture of before stacks were counted has no share. */
static void stacks_that_are_not_whole_say_why(void **state)
{
	static const struct {
		const char *capability, *sentence;
	} kinds[] = {
		{"stack:frame-pointers", "Stacks come by frame pointers: "},
		{"stack:none", "Stacks are the caller of the allocation function, and no more.\n"},
	};
	struct output_options o = {.top = 10};
	struct fixture x;
	char *text;

	(void)state;
	fixture_init(&x);
	x.sites[1][3].truncated = "stack not kept";
	x.reports[1].processes[0].n_stacks = 0;
	text = print(&x, "text", &o);
	assert_has(text, "        [the stack is not known: stack not kept]\n");
	assert_has(text, "  cut stacks   31, too deep: ");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_has_not(text, kinds[i].sentence);
	free(text);
	x.reports[1].processes[0].n_stacks = 10;
	text = print(&x, "text", &o);
	assert_has(text, "  cut stacks   100.0%, too deep: ");
	free(text);
	text = print(&x, "folded", &o);
	assert_has(text, ";[unknown] 7\n");
	assert_has_not(text, ";[truncated];[unknown]");
	free(text);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		x.session.capabilities = &kinds[i].capability;
		x.session.n_capabilities = 1;
		text = print(&x, "text", &o);
		assert_has(text, kinds[i].sentence);
		free(text);
	}
}

/* Each line parses strictly, and has the members that DESIGN.md promises. */
static void ndjson_keeps_its_contract(void **state)
{
	static const char *const process[] = {
		"pid",
		"start_time",
		"comm",
		"exe",
		"cgroup",
		"container",
		"container_name",
		"namespace",
		"pod",
		"pod_uid",
		"namespace_pid",
		"outstanding_bytes",
		"outstanding_allocations",
		"allocated_bytes",
		"freed_bytes",
		"allocations",
		"frees",
		"inherited_frees",
		"unknown_frees",
		"rss_bytes",
		"memory",
		"limit_bytes",
		"growth_bytes_per_second",
		"seconds_to_limit",
		"verdict",
		"overhead_ratio",
		"lost",
		"stacks",
		"truncated_stacks",
		NULL,
	};
	static const char *const site[] = {
		"pid",
		"site",
		"family",
		"kind",
		"outstanding_bytes",
		"outstanding_allocations",
		"allocated_bytes",
		"allocations",
		"freed_bytes",
		"frees",
		"oldest_age_seconds",
		"median_age_seconds",
		"growth_bytes_per_second",
		"confidence",
		"verdict",
		"truncated",
		"frames",
		NULL,
	};
	static const char *const block[] = {"pid",  "address",	 "size_bytes", "age_seconds",
					    "site", "reachable", NULL};
	static const char *const session[] = {"schema", "version", "kernel",
					      "mode",	"targets", NULL};
	static const char *const end[] = {"why", "duration_seconds", "lost", NULL};
	static const struct {
		const char *type;
		const char *const *members;
		int n;
	} types[] = {{"session", session, 1},
		     {"process", process, 6},
		     {"site", site, 8},
		     {"block", block, 6},
		     {"end", end, 1}};
	int seen[ARRAY_SIZE(types)] = {0}, n_final = 0;
	struct output_options o = {.top = 1, .blocks = true};
	char *text, *line, *rest;
	struct fixture x;

	(void)state;
	fixture_init(&x);
	text = rest = print(&x, "ndjson", &o);
	while ((line = strsep(&rest, "\n")) && *line) {
		json_t *record = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		const char *type = json_string_value(json_object_get(record, "type"));

		assert_non_null(record);
		for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
			if (strcmp(type, types[i].type))
				continue;
			seen[i]++;
			for (const char *const *m = types[i].members; *m; m++)
				assert_non_null(json_object_get(record, *m));
			assert_non_null(json_object_get(record, "time"));
		}
		n_final += json_is_true(json_object_get(record, "final"));
		json_decref(record);
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(seen[i], types[i].n);
	/* First report: process 1235 with its site and block; second: all but the start and end. */
	assert_int_equal(n_final, 3 + 3 + 4 + 3);
	free(text);
}

static void ndjson_values(void **state)
{
	struct output_options o = {.blocks = true};
	struct fixture x;
	char *text;

	(void)state;
	fixture_init(&x);
	text = print(&x, "ndjson", &o);
	assert_has(text,
		   "\"type\":\"process\",\"time\":\"2026-11-22T19:46:14.123Z\",\"final\":false");
	assert_has(text, "\"site\":\"9f8e7d6c5b4a3921\",\"family\":\"9f8e7d6c5b4a392e\"");
	assert_has(text, "\"address\":\"0x7f0000001000\",\"size_bytes\":4096,\"age_seconds\":1.5");
	assert_has(text, "\"reachable\":null");
	assert_has(text, "\"lost\":{\"live_map_full\":1234567,\"some\\u000anew_cause\":1}");
	assert_has(text, "\"lost\":{},");
	assert_has(text, "{\"function\":null,\"module\":null,\"build_id\":null,\"offset\":null,"
			 "\"address\":\"0xdeadbeefdeadbeef\",\"file\":null,\"line\":null");
	assert_has(text, "\"offset\":4660,\"file\":\"/src/api/session.c\",\"line\":188,"
			 "\"inlined\":false}");
	assert_has(text, "evil\\u001b]0;owned\\u0007;\\\"\\\\\\u000a\uFFFD\u202e"
			 "cod.c");
	assert_has(text, "\"ended\":\"exit\",\"exit_status\":11");
	assert_has(text, "\"oldest_age_seconds\":null,\"median_age_seconds\":null");
	free(text);
}

static void folded_shows_last_reports(void **state)
{
	struct output_options o = {0};
	struct fixture x;
	char *text;

	(void)state;
	fixture_init(&x);
	text = print(&x, "folded", &o);
	assert_string_equal(
		text, "w\uFFFDrker-1235;[unknown] 7\n"
		      "api-server-1234;[unmapped]+0xdeadbeefdeadbeef;libc.so.6+0x27249;"
		      "session_parse_cookie;"
		      "std::vector<char, std::allocator<char> >::reserve(unsigned long) 5242880\n"
		      "api-server-1234;[truncated];evil_]0:owned_:\"\\_\uFFFD_cod.c 4096\n"
		      "w\uFFFDrker-1235;[unknown] 7\n");
	free(text);
	o = (struct output_options){.top = 1, .by_count = true};
	text = print(&x, "folded", &o);
	assert_has(text, "(unsigned long) 1024\napi-server-1234;[other] 2\n");
	free(text);
}

static void errors_of_the_stream_come_back(void **state)
{
	static const char *const names[] = {"text", "ndjson", "folded"};
	struct output_options o = {0};
	struct fixture x;

	(void)state;
	fixture_init(&x);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		FILE *full = fopen("/dev/full", "w");

		assert_int_equal(fixture_print(&x, output_find(names[i]), &o, full), -ENOSPC);
		fclose(full);
	}
	assert_null(output_find("xml"));
	assert_null(loss_sentence("no such cause"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_times_are_readable),
		cmocka_unit_test(names_cannot_steer_the_terminal),
		cmocka_unit_test(frames_for_people),
		cmocka_unit_test(numbers_survive_json),
		cmocka_unit_test(text_has_the_figures),
		cmocka_unit_test(text_follows_its_options),
		cmocka_unit_test(stacks_that_are_not_whole_say_why),
		cmocka_unit_test(ndjson_keeps_its_contract),
		cmocka_unit_test(ndjson_values),
		cmocka_unit_test(folded_shows_last_reports),
		cmocka_unit_test(errors_of_the_stream_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
