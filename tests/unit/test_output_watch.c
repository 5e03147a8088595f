// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "output/escape.h"
#include "output/watch.h"

#define MIB (1024.0 * 1024)
#define CONTAINER "3f2a91bc0d1e3f2a91bc0d1e3f2a91bc0d1e3f2a91bc0d1e3f2a91bc0d1e3f2a"

/* A suspect in a container, a process that grows a little and has a hostile name, and a cgroup. */
struct fixture {
	struct watch_row processes[2], cgroup;
	struct watch_report report;
	struct watch_session session;
};

static void fixture_init(struct fixture *x)
{
	static const char *const targets[] = {"comm a\033*"};

	*x = (struct fixture){
		.processes =
			{
				{.suspect = true,
				 .pid = 4194304,
				 .start_ns = 1700000000000000000,
				 .comm = "leaky_server",
				 .exe = "/srv/leaky",
				 .cgroup = "/docker/" CONTAINER,
				 .container = CONTAINER,
				 .anon_bytes = 93 << 20,
				 .file_bytes = 2 << 20,
				 .shmem_bytes = 1 << 20,
				 .swap_bytes = 4096,
				 .page_table_bytes = 8192,
				 .limit_bytes = 512 << 20,
				 .memory_pressure_ratio = NAN,
				 .growth_bytes_per_second = 12.3 * MIB / 60,
				 .growth_low_bytes_per_second = 12 * MIB / 60,
				 .growth_high_bytes_per_second = 13 * MIB / 60,
				 .confidence = 0.987,
				 .verdict = "growing",
				 .growing_since_seconds = 752,
				 .seconds_to_limit = 12000},
				{.pid = 7,
				 .comm = "a\033[31m\nb",
				 .anon_bytes = 4096,
				 .memory_pressure_ratio = NAN,
				 .growth_bytes_per_second = NAN,
				 .growth_low_bytes_per_second = NAN,
				 .growth_high_bytes_per_second = NAN,
				 .verdict = "unknown",
				 .seconds_to_limit = NAN},
			},
		.cgroup = {.is_cgroup = true,
			   .cgroup = "/kubepods/a-very-long-name-of-a-pod\r.slice",
			   .current_bytes = 100 << 20,
			   .n_processes = 3,
			   .memory_pressure_ratio = 0.014,
			   .growth_bytes_per_second = 1000,
			   .growth_low_bytes_per_second = 900,
			   .growth_high_bytes_per_second = 1100,
			   .confidence = 0.6,
			   .verdict = "warming-up",
			   .growing_since_seconds = 60,
			   .seconds_to_limit = NAN},
		.report = {.time_ns = 1700000100000000000,
			   .elapsed_seconds = 15,
			   .sequence = 3,
			   .host = {143, 16000 * (uint64_t)MIB, 12000 * (uint64_t)MIB, 0, 0, 0},
			   .cost = {1, 16, 2, 0.00021, 0.0005},
			   .n_processes = 2,
			   .n_cgroups = 1,
			   .n_suspects = 1,
			   .n_early = 1,
			   .n_more = 5,
			   .suspects_bytes_per_second = 12.3 * MIB / 60},
		.session = {"0.1", "6.18", "vm", 1700000000000000000, 5, targets, 1},
	};
	for (size_t i = 0; i < WATCH_LINE_VALUES; i++) {
		x->processes[0].line[i] = i < 4 ? NAN : i;
		x->processes[1].line[i] = 4096;
		x->cgroup.line[i] = NAN;
	}
	x->report.processes = x->processes;
	x->report.cgroups = &x->cgroup;
}

static char *print(const struct fixture *x, const struct watch_format *format,
		   const struct watch_output_options *o)
{
	const struct watch_end end = {1700000200000000000, "interrupted", 100, 101, 2, 0.25};
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_int_equal(format->session(f, o, &x->session), 0);
	assert_int_equal(format->report(f, o, &x->session, &x->report), 0);
	assert_int_equal(format->end(f, o, &x->session, &end), 0);
	fclose(f);
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

static void rates_are_readable(void **state)
{
	static const struct {
		double bytes_per_second;
		const char *text;
	} cases[] = {
		{12.3 * MIB / 60, "+12.3 MiB/min"},
		{-1024.0 / 60, "-1.0 KiB/min"},
		{0, "0 B/min"},
		{0.001, "0 B/min"},
		{NAN, "?"},
		{-0.001, "0 B/min"},
	};
	char text[WATCH_RATE_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		watch_format_rate(cases[i].bytes_per_second, text);
		assert_string_equal(text, cases[i].text);
	}
}

static char *line(bool utf8, const double *values, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	watch_put_line(f, utf8, values, n);
	fclose(f);
	return text;
}

static void a_line_has_eight_levels(void **state)
{
	static const double ramp[] = {NAN, 0, 1, 2, 3, 4, 5, 6, 7}, flat[] = {1000, 1001, 1000},
			    none[] = {NAN, NAN}, zero[] = {0, 0};
	_cleanup_free_ char *blocks = line(true, ramp, ARRAY_SIZE(ramp));
	_cleanup_free_ char *ascii = line(false, ramp, ARRAY_SIZE(ramp));
	_cleanup_free_ char *noise = line(false, flat, ARRAY_SIZE(flat));
	_cleanup_free_ char *empty = line(true, none, ARRAY_SIZE(none));
	_cleanup_free_ char *zeros = line(false, zero, ARRAY_SIZE(zero));

	(void)state;
	assert_string_equal(blocks, " ▁▂▃▄▅▆▇█");
	assert_string_equal(ascii, " _.,-=+*#");
	assert_string_equal(noise, "___");
	assert_string_equal(empty, "  ");
	assert_string_equal(zeros, "__");
}

static void text_tells_what_matters(void **state)
{
	const struct watch_output_options o = {.utf8 = true, .width = 80};
	_cleanup_free_ char *text = NULL;
	struct fixture x;

	(void)state;
	fixture_init(&x);
	text = print(&x, &watch_text, &o);
	assert_has(text, "report 3, after 15 s: 1 suspect, 1 too new\n");
	assert_has(text, "host vm: 143 processes, memory 25% of 15.6 GiB used, pressure 0%");
	assert_has(text, "suspects together +12.3 MiB/min: the host's memory is full in 16 h 15 m");
	assert_has(text, "cost: 16 passes of 0.21 ms CPU, 2 missed; all of seep 0.05% of a CPU");
	assert_has(text,
		   "4194304 leaky_server      94.0 MiB   +12.3 MiB/min  3 h 20 m  98% growing\n");
	assert_has(text,
		   "    ▁▁▂▃▃▄▅▆▆▇██ since 12 m 32 s, limit 512.0 MiB, container 3f2a91bc0d1e\n");
	assert_has(text,
		   "      7 a\\x1b[31m\\nb       4.0 KiB               ?         -    ? unknown\n");
	assert_has(text, "and 5 more (-T 0 shows all)");
	assert_has(text, "a-very-lo...\\r.slice");
	assert_has(text, "end after 1 m 40 s: interrupted");
	assert_has_not(text, "\033");
	assert_has_not(text, "/srv/leaky");
}

static void assert_fits(const char *text, size_t columns)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *row;

	while ((row = strsep(&rest, "\n")))
		if (escape_columns(row) > columns)
			fail_msg("%zu columns: %s", escape_columns(row), row);
}

static void text_fits_the_terminal(void **state)
{
	static const unsigned widths[] = {80, 100, 127, 128, 200};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		const struct watch_output_options o = {.utf8 = true, .width = widths[i]};
		_cleanup_free_ char *text = NULL;
		struct fixture x;

		fixture_init(&x);
		x.processes[0].container = "a_container_with_a_name_of_its_own_that_is_long";
		x.session.hostname = "a-host-with-a-name-that-is-long";
		text = print(&x, &watch_text, &o);
		assert_fits(text, widths[i]);
	}
}

static void verbose_text_is_whole(void **state)
{
	const struct watch_output_options o = {.verbose = true};
	_cleanup_free_ char *text = NULL;
	struct fixture x;

	(void)state;
	fixture_init(&x);
	text = print(&x, &watch_text, &o);
	assert_has(text, "anonymous 93.0 MiB, shared 1.0 MiB, swapped 4.0 KiB, files 2.0 MiB, "
			 "page tables 8.0 KiB");
	assert_has(text, "growth between +12.0 MiB/min and +13.0 MiB/min");
	assert_has(text, "executable /srv/leaky\n");
	assert_has(text, "cgroup /docker/" CONTAINER "\n");
}

static void nothing_is_said_to_grow(void **state)
{
	const struct watch_output_options o = {0};
	_cleanup_free_ char *text = NULL;
	struct fixture x;

	(void)state;
	fixture_init(&x);
	x.report.n_processes = x.report.n_cgroups = x.report.n_suspects = x.report.n_early = 0;
	x.report.suspects_bytes_per_second = 0;
	text = print(&x, &watch_text, &o);
	assert_has(text, "no suspects\n");
	assert_has(text, "nothing grows\n");
	assert_has_not(text, "COMMAND");
	assert_has_not(text, "together");
}

/* The record of line i. */
static json_t *record(const char *text, size_t i)
{
	json_error_t error;
	json_t *r;

	while (i--)
		text = strchr(text, '\n') + 1;
	r = json_loads(text, JSON_DISABLE_EOF_CHECK, &error);
	if (!r)
		fail_msg("%s: %s", error.text, text);
	return r;
}

static const char *text_of(const json_t *r, const char *key)
{
	return json_string_value(json_object_get(r, key));
}

static double number_of(const json_t *r, const char *key)
{
	assert_true(json_is_number(json_object_get(r, key)));
	return json_number_value(json_object_get(r, key));
}

static void assert_session(const json_t *r)
{
	assert_string_equal(text_of(r, "type"), "session");
	assert_string_equal(text_of(r, "mode"), "watch");
	assert_true(number_of(r, "schema") == 1);
	assert_true(number_of(r, "interval_seconds") == 5);
	assert_string_equal(json_string_value(json_array_get(json_object_get(r, "targets"), 0)),
			    "comm a\033*");
}

static void assert_suspect(const json_t *r)
{
	assert_string_equal(text_of(r, "type"), "process");
	assert_string_equal(text_of(r, "container"), CONTAINER);
	assert_true(number_of(r, "pid") == 4194304);
	assert_true(number_of(r, "rss_bytes") == 96 * MIB);
	assert_true(number_of(r, "limit_bytes") == 512 * MIB);
	assert_true(number_of(r, "seconds_to_limit") == 12000);
	assert_true(number_of(r, "growing_since_seconds") == 752);
	assert_true(json_is_null(json_object_get(r, "outstanding_bytes")));
	assert_true(json_is_true(json_object_get(r, "suspect")));
	assert_true(json_is_true(json_object_get(r, "final")));
}

static void records_have_designs_fields(void **state)
{
	const struct watch_output_options o = {0};
	_cleanup_free_ char *text = NULL;
	json_t *r[6];
	struct fixture x;

	(void)state;
	fixture_init(&x);
	x.report.final = true;
	text = print(&x, &watch_ndjson, &o);
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = record(text, i);
	assert_session(r[0]);
	assert_string_equal(text_of(r[1], "type"), "host");
	assert_true(number_of(r[1], "missed_passes") == 2);
	assert_suspect(r[2]);
	assert_string_equal(text_of(r[3], "comm"), "a\033[31m\nb");
	assert_true(json_is_null(json_object_get(r[3], "limit_bytes")));
	assert_true(json_is_null(json_object_get(r[3], "growth_bytes_per_second")));
	assert_string_equal(text_of(r[4], "type"), "cgroup");
	assert_true(number_of(r[4], "memory_pressure_ratio") == 0.014);
	assert_true(number_of(r[4], "processes") == 3);
	assert_string_equal(text_of(r[5], "why"), "interrupted");
	for (size_t i = 1; i < 5; i++)
		assert_string_equal(text_of(r[i], "time"), text_of(r[1], "time"));
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		json_decref(r[i]);
}

static void a_full_disk_is_an_error(void **state)
{
	static const struct watch_format *const formats[] = {&watch_text, &watch_ndjson};
	const struct watch_output_options o = {0};
	struct fixture x;

	(void)state;
	fixture_init(&x);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		FILE *f = fopen("/dev/full", "w");

		assert_int_equal(formats[i]->report(f, &o, &x.session, &x.report), -ENOSPC);
		fclose(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_readable),
		cmocka_unit_test(a_line_has_eight_levels),
		cmocka_unit_test(text_tells_what_matters),
		cmocka_unit_test(text_fits_the_terminal),
		cmocka_unit_test(verbose_text_is_whole),
		cmocka_unit_test(nothing_is_said_to_grow),
		cmocka_unit_test(records_have_designs_fields),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
