// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "output/html.h"
#include "report_fixture.h"

#define RECORDS_BEGIN "id=\"records\">\n"
#define HOSTILE "</script><img src=x onerror=alert(1)><!--<script>"

static char *page(const struct fixture *x, struct output_options *o)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_int_equal(output_prepare(&output_html, o), 0);
	assert_int_equal(fixture_print(x, &output_html, o, f), 0);
	assert_int_equal(output_finish(o, f), 0);
	fclose(f);
	assert_int_equal(strlen(text), n);
	return text;
}

/* The page's records, which end with the first tag after them, as a browser sees it. */
static json_t *records(const char *text)
{
	const char *line = strstr(text, RECORDS_BEGIN) + strlen(RECORDS_BEGIN);
	const char *end = strchr(line, '<');
	json_t *all = json_array();

	assert_memory_equal(end, "</script>", 9);
	while (line < end) {
		const char *next = strchr(line, '\n') + 1;
		json_t *record = json_loadb(line, next - line, 0, NULL);

		assert_non_null(record);
		json_array_append_new(all, record);
		line = next;
	}
	return all;
}

static size_t count_type(json_t *all, const char *type)
{
	size_t n = 0, i;
	json_t *record;

	json_array_foreach(all, i, record)
		n += !strcmp(json_string_value(json_object_get(record, "type")), type);
	return n;
}

static void names_cannot_leave_their_script(void **state)
{
	struct output_options o = {0};
	struct frame frame = {.function = HOSTILE, .module = HOSTILE};
	struct fixture x;
	bool found = false;
	json_t *all, *record;
	size_t i;
	char *text;

	(void)state;
	fixture_init(&x);
	x.session.hostname = HOSTILE;
	x.processes[1][0].comm = HOSTILE;
	x.sites[1][0].frames = &frame;
	x.sites[1][0].n_frames = 1;
	text = page(&x, &o);
	assert_null(strstr(text, "<img"));
	all = records(text);
	json_array_foreach(all, i, record)
	{
		json_t *frames = json_object_get(record, "frames");
		const char *name =
			json_string_value(json_object_get(json_array_get(frames, 0), "function"));

		found |= name && !strcmp(name, HOSTILE);
	}
	assert_true(found);
	json_decref(all);
	free(text);
}

static void only_the_last_report_is_whole(void **state)
{
	struct output_options o = {0};
	size_t n_ended = 0, n_living = 0;
	struct fixture x;
	json_t *all;
	char *text;

	(void)state;
	fixture_init(&x);
	for (size_t i = 0; i < x.reports[0].n_processes; i++)
		if (x.reports[0].processes[i].final)
			n_ended++;
		else
			n_living++;
	assert_true(n_ended && n_living);
	text = page(&x, &o);
	all = records(text);
	assert_int_equal(count_type(all, "session"), 1);
	assert_int_equal(count_type(all, "moment"), n_living);
	assert_int_equal(count_type(all, "process"), n_ended + x.reports[1].n_processes);
	assert_int_equal(count_type(all, "end"), 1);
	json_decref(all);
	free(text);
}

static void a_page_cut_short_is_still_a_page(void **state)
{
	struct output_options o = {0};
	struct fixture x;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	json_t *all;

	(void)state;
	fixture_init(&x);
	assert_int_equal(output_prepare(&output_html, &o), 0);
	assert_int_equal(output_html.session(f, &o, &x.session), 0);
	assert_int_equal(output_html.report(f, &o, &x.session, &x.reports[0]), 0);
	assert_int_equal(output_finish(&o, f), 0);
	fclose(f);
	all = records(text);
	assert_int_equal(count_type(all, "process"), x.reports[0].n_processes);
	assert_int_equal(count_type(all, "end"), 0);
	assert_non_null(strstr(text, "</html>"));
	json_decref(all);
	free(text);
}

static void a_moment_has_the_largest_sites(void **state)
{
	enum { N = 40 };
	struct output_options o = {0};
	struct site sites[N];
	struct fixture x;
	json_t *all, *record;
	size_t i;
	char *text;

	(void)state;
	fixture_init(&x);
	for (size_t s = 0; s < N; s++) {
		sites[s] = x.sites[0][0];
		sites[s].process = 0;
		sites[s].fingerprint = s;
		sites[s].outstanding_bytes = (s * 7) % N;
	}
	x.reports[0].sites = sites;
	x.reports[0].n_sites = N;
	text = page(&x, &o);
	all = records(text);
	json_array_foreach(all, i, record)
	{
		json_t *pairs = json_object_get(record, "sites");

		if (!json_array_size(pairs))
			continue;
		assert_int_equal(json_array_size(pairs), HTML_MOMENT_SITES);
		for (size_t s = 0; s < HTML_MOMENT_SITES; s++)
			assert_int_equal(
				json_integer_value(json_array_get(json_array_get(pairs, s), 1)),
				N - 1 - s);
		break;
	}
	assert_true(i < json_array_size(all));
	json_decref(all);
	free(text);
}

static void errors_of_the_stream_come_back(void **state)
{
	struct output_options o = {0};
	struct fixture x;
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	fixture_init(&x);
	assert_int_equal(output_prepare(&output_html, &o), 0);
	assert_int_equal(fixture_print(&x, &output_html, &o, full), -ENOSPC);
	output_finish(&o, full);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_cannot_leave_their_script),
		cmocka_unit_test(only_the_last_report_is_whole),
		cmocka_unit_test(a_page_cut_short_is_still_a_page),
		cmocka_unit_test(a_moment_has_the_largest_sites),
		cmocka_unit_test(errors_of_the_stream_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
