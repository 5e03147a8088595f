// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/watch_view.h"

#define NO_PID 4194304 /* above every pid_max: nothing is read of /proc */
#define N 4

/* Four processes in two cgroups, in the watcher's order, and the cgroups. Only the first is a suspect. */
struct fixture {
	struct watch_process processes[N];
	struct watch_cgroup cgroups[2];
	struct watch_pass pass;
	struct watcher_item items[N + 2];
	struct trend *trend;
	struct watch_view_options options;
	struct watch_view view;
	struct watch_report report;
};

static void setup(struct fixture *x)
{
	static const double growth[N] = {100, 300, 0, NAN}, to_limit[N] = {50, 20, NAN, NAN};
	static const char *const verdicts[N] = {"growing", "unknown", "steady", "unknown"};

	memset(x, 0, sizeof(*x));
	assert_int_equal(trend_create(&x->trend), 0);
	for (int i = 0; i < 2; i++) {
		x->cgroups[i] = (struct watch_cgroup){.id = 10 + i, .current_bytes = 1000 + i};
		x->items[N + i] = (struct watcher_item){
			.is_cgroup = true,
			.cgroup = x->cgroups[i],
			.trend = x->trend,
			.seconds_to_limit = NAN,
			.estimate = {.bytes_per_second = 5, .verdict = "unknown"},
		};
	}
	for (int i = 0; i < N; i++) {
		x->processes[i] = (struct watch_process){.pid = NO_PID + i,
							 .uid = i,
							 .start_boottime_ns = 7,
							 .anon_bytes = 1 << i,
							 .cgroup = i / 3,
							 .comm = {'a' + i}};
		x->items[i] = (struct watcher_item){
			.process = x->processes[i],
			.cgroup = x->cgroups[i / 3],
			.trend = x->trend,
			.estimate = {.bytes_per_second = growth[i], .verdict = verdicts[i]},
			.seconds_to_limit = to_limit[i],
			.suspect = !i,
		};
	}
	x->pass = (struct watch_pass){
		.processes = x->processes, .n_processes = N, .cgroups = x->cgroups, .n_cgroups = 2};
	x->options = (struct watch_view_options){.top = 20};
	x->view.options = &x->options;
}

static void teardown(struct fixture *x)
{
	view_done(&x->view);
	trend_destroy(x->trend);
}

/* The names of the processes and of the cgroups by id, such as "ab 01". */
static const char *shown(struct fixture *x)
{
	static char text[16];
	size_t n = 0;

	x->report = (struct watch_report){0};
	assert_int_equal(view_report(&x->view, &x->pass, x->items, N + 2, &x->report), 0);
	for (size_t i = 0; i < x->report.n_processes; i++)
		text[n++] = *x->report.processes[i].comm;
	text[n++] = ' ';
	for (size_t i = 0; i < x->report.n_cgroups; i++)
		text[n++] = '0' + x->report.cgroups[i].current_bytes - 1000;
	text[n] = '\0';
	return text;
}

static void only_what_grows_is_shown(void **state)
{
	struct fixture x;

	(void)state;
	setup(&x);
	assert_string_equal(shown(&x), "ab 01");
	assert_int_equal(x.report.n_suspects, 1);
	assert_int_equal(x.report.n_early, 1);
	assert_true(x.report.suspects_bytes_per_second == 100);
	assert_int_equal(x.report.cgroups[0].n_processes, 3);
	assert_true(isnan(x.report.cgroups[0].memory_pressure_ratio));
	assert_int_equal(x.report.host.n_processes, N);
	x.options.all = true;
	assert_string_equal(shown(&x), "abcd 01");
	x.options.cgroups = true;
	assert_string_equal(shown(&x), " 01");
	teardown(&x);
}

static void suspects_come_first_in_each_order(void **state)
{
	static const struct {
		enum watch_sort sort;
		const char *shown;
	} cases[] = {
		{WATCH_SORT_WORST, "abcd 01"},
		{WATCH_SORT_GROWTH, "abcd 01"},
		{WATCH_SORT_SIZE, "adcb 10"},
		{WATCH_SORT_LIMIT, "abcd 01"},
	};
	struct fixture x;

	(void)state;
	setup(&x);
	x.options.all = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		x.options.sort = cases[i].sort;
		assert_string_equal(shown(&x), cases[i].shown);
	}
	x.options.sort = WATCH_SORT_LIMIT;
	x.items[3].seconds_to_limit = 1;
	assert_string_equal(shown(&x), "adbc 01");
	teardown(&x);
}

static void rows_are_limited_but_for_suspects(void **state)
{
	struct fixture x;

	(void)state;
	setup(&x);
	x.options.all = true;
	x.options.top = 1;
	assert_string_equal(shown(&x), "ab 0");
	assert_int_equal(x.report.n_more, 2);
	assert_int_equal(x.report.n_more_cgroups, 1);
	x.items[1].suspect = true;
	assert_string_equal(shown(&x), "abc 0");
	x.options.all = false;
	assert_string_equal(shown(&x), "ab 0");
	x.options.top = 0;
	assert_string_equal(shown(&x), "ab 01");
	teardown(&x);
}

static void given_pids_are_shown_until_they_end(void **state)
{
	pid_t pid = NO_PID + 3;
	struct fixture x;

	(void)state;
	setup(&x);
	assert_false(view_is_over(&x.view, &x.pass));
	x.options.pids = (struct pid_list){.items = &pid, .n = 1};
	assert_int_equal(view_pin(&x.view, &x.pass), 0);
	assert_string_equal(shown(&x), "d 1");
	assert_false(view_is_over(&x.view, &x.pass));
	/* Another process with that pid. */
	x.processes[3].start_boottime_ns++;
	x.items[3].process.start_boottime_ns++;
	assert_string_equal(shown(&x), " ");
	assert_true(view_is_over(&x.view, &x.pass));
	teardown(&x);
}

/* Of what is not there any more nothing is known: no selector matches. Of what is there, all is read but ourselves. */
static void selectors_ask_who_it_is(void **state)
{
	struct fixture x;

	(void)state;
	setup(&x);
	x.options.all = true;
	x.view.selector.comm_glob = "*";
	assert_string_equal(shown(&x), " ");
	x.processes[2].pid = x.items[2].process.pid = getpid();
	assert_string_equal(shown(&x), " ");
	teardown(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_grows_is_shown),
		cmocka_unit_test(suspects_come_first_in_each_order),
		cmocka_unit_test(rows_are_limited_but_for_suspects),
		cmocka_unit_test(given_pids_are_shown_until_they_end),
		cmocka_unit_test(selectors_ask_who_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
