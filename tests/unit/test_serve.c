// SPDX-License-Identifier: BSD-2-Clause
/* What seep serve is made of: copies of reports, sums that never fall, metrics in both formats, requests of anybody's making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/board.h"
#include "daemon/http_answer.h"
#include "daemon/listen.h"
#include "daemon/tally.h"
#include "output/openmetrics.h"
#include "report_fixture.h"

static void start(struct fixture *x, struct board **board, struct report_writer *w)
{
	fixture_init(x);
	for (size_t i = 0; i < FIXTURE_REPORTS; i++)
		for (size_t p = 0; p < 3; p++) {
			x->processes[i][p].instance = p + 1;
			x->processes[i][p].final = false;
		}
	assert_int_equal(board_create(board), 0);
	*w = board_writer(*board);
	assert_int_equal(w->session(w->arg, &x->session), 0);
}

static char *ask(struct board *b, enum http_route route, bool openmetrics, pid_t pid, unsigned want)
{
	const struct http_request r = {.route = route, .openmetrics = openmetrics, .pid = pid};
	struct http_answer a;

	http_answer_make(b, &r, &a);
	assert_int_equal(a.status, want);
	assert_non_null(a.body);
	return a.body;
}

/* Whether a whole line of text is this one. */
static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += n)
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return true;
	return false;
}

/* A reader that holds on to a view has it whole, whatever becomes of the report. */
static void views_outlive_reports(void **state)
{
	struct report_writer w;
	struct board_view *v;
	struct board *b;
	struct fixture x;
	char comm[] = "short-lived";

	(void)state;
	start(&x, &b, &w);
	x.processes[0][0].comm = comm;
	assert_int_equal(w.report(w.arg, &x.session, &x.reports[0]), 0);
	v = board_take(b);
	memset(comm, 'x', sizeof(comm) - 1);
	memset(x.sites[0], 0xff, sizeof(x.sites[0]));
	x.processes[1][0].final = true;
	assert_int_equal(w.report(w.arg, &x.session, &x.reports[1]), 0);
	assert_string_equal(v->now->report.processes[0].comm, "short-lived");
	assert_int_equal(v->now->report.n_sites, 4);
	assert_string_equal(v->now->report.sites[0].frames[0].function, fixture_leak[0].function);
	board_release(v);
	v = board_take(b);
	assert_int_equal(v->now->report.n_processes, 2);
	assert_int_equal(v->n_ended, 1);
	assert_int_equal(v->ended[0]->report.processes[0].pid, x.processes[1][0].pid);
	board_release(v);
	board_destroy(b);
}

/* What is left out of a copy is counted, and part of its sums. */
static void copies_are_bounded(void **state)
{
	struct report_copy *c;
	struct fixture x;
	uint64_t want = 0, have = 0;

	(void)state;
	fixture_init(&x);
	assert_int_equal(report_copy_create(&x.reports[0], NULL, 1, &c), 0);
	assert_int_equal(c->n_sites_omitted, 3);
	assert_true(c->report.n_sites > 1 && c->report.n_sites <= 4);
	assert_string_equal(c->report.sites[1].frames[0].function, "[other]");
	for (size_t i = 0; i < 4; i++)
		want += x.sites[0][i].allocated_bytes;
	for (size_t i = 0; i < c->report.n_sites; i++)
		have += c->report.sites[i].allocated_bytes;
	assert_int_equal(have, want);
	report_copy_unref(c);
}

static void sums_never_fall(void **state)
{
	struct process_report p = {.instance = 7, .pid = 70, .comm = "a", .allocated_bytes = 100};
	struct loss lost = {"live_map_full", 3};
	struct report r = {.processes = &p, .n_processes = 1};
	struct tally *t = malloc(sizeof(*t));
	uint32_t group;

	(void)state;
	tally_init(t);
	p.losses = &lost;
	p.n_losses = 1;
	assert_int_equal(tally_add(t, &r, &group), 0);
	assert_int_equal(group, 1);
	p.allocated_bytes = 90; /* an estimate, corrected */
	assert_int_equal(tally_add(t, &r, &group), 0);
	assert_int_equal(t->groups[1].allocated_bytes, 100);
	p.allocated_bytes = 130;
	p.final = true;
	assert_int_equal(tally_add(t, &r, &group), 0);
	/* Another one of the same name, from zero. */
	p = (struct process_report){.instance = 8, .pid = 71, .comm = "a", .allocated_bytes = 5};
	assert_int_equal(tally_add(t, &r, &group), 0);
	assert_int_equal(group, 1);
	assert_int_equal(t->groups[1].allocated_bytes, 135);
	assert_int_equal(t->losses.items[0].count, 3);
	tally_done(t);
	free(t);
}

/* The group of all others takes who comes when there is no room. */
static void groups_are_bounded(void **state)
{
	struct process_report p = {.allocated_bytes = 10};
	struct report r = {.processes = &p, .n_processes = 1};
	struct tally *t = malloc(sizeof(*t));
	uint64_t sum = 0;
	uint32_t group;
	char comm[16];

	(void)state;
	tally_init(t);
	for (uint32_t i = 1; i <= 1000; i++) {
		snprintf(comm, sizeof(comm), "p%u", i);
		p.instance = i;
		p.comm = comm;
		assert_int_equal(tally_add(t, &r, &group), 0);
		assert_int_equal(group, i < TALLY_GROUPS ? i : 0);
	}
	assert_int_equal(t->n_groups, TALLY_GROUPS);
	for (size_t i = 0; i < t->n_groups; i++)
		sum += t->groups[i].allocated_bytes;
	assert_int_equal(sum, 10000);
	/* Who left without a word is forgotten. */
	assert_in_range(t->processes.n, 1, 40);
	tally_done(t);
	free(t);
}

static void metrics_in_both_formats(void **state)
{
	struct report_writer w;
	struct board *b;
	struct fixture x;
	char *text;

	(void)state;
	start(&x, &b, &w);
	free(ask(b, HTTP_METRICS, true, 0, 200));
	x.processes[0][0].comm = "a\"b\\c\n\xff";
	x.processes[0][0].namespace_ = x.processes[0][0].pod = NULL;
	x.processes[0][0].container = x.processes[0][0].container_name = NULL;
	x.processes[0][0].outstanding_bytes = 12345678901234567ULL;
	assert_int_equal(w.report(w.arg, &x.session, &x.reports[0]), 0);
	text = ask(b, HTTP_METRICS, true, 0, 200);
	assert_true(has_line(text, "# TYPE seep_allocated_bytes counter"));
	assert_true(has_line(text, "# UNIT seep_allocated_bytes bytes"));
	assert_true(has_line(text, "# TYPE seep_build info"));
	assert_true(has_line(text, "seep_outstanding_bytes{comm=\"a\\\"b\\\\c\\\\n\xef\xbf\xbd\"} "
				   "12345678901234567"));
	assert_true(has_line(text, "# EOF"));
	assert_null(strstr(text, "_total_total"));
	free(text);
	text = ask(b, HTTP_METRICS, false, 0, 200);
	assert_true(has_line(text, "# TYPE seep_allocated_bytes_total counter"));
	assert_true(has_line(text, "# TYPE seep_build_info gauge"));
	assert_null(strstr(text, "# UNIT"));
	assert_null(strstr(text, "# EOF"));
	free(text);
	board_destroy(b);
}

/* Of many there are the largest, and one series that keeps the sum. */
static void series_are_bounded(void **state)
{
	enum { N = 3 * OPENMETRICS_SITES };
	struct process_report *processes = calloc(N, sizeof(*processes));
	struct site *sites = calloc(N, sizeof(*sites));
	struct report r = {.processes = processes, .n_processes = N, .sites = sites, .n_sites = N};
	struct report_writer w;
	struct board *b;
	struct fixture x;
	char *text;
	size_t n = 0;

	(void)state;
	start(&x, &b, &w);
	for (uint32_t i = 0; i < N; i++) {
		processes[i] = (struct process_report){.instance = i + 1,
						       .pid = i + 1,
						       .comm = "p",
						       .verdict = i % 3 ? "leak" : "steady",
						       .outstanding_bytes = i};
		sites[i] = (struct site){.process = i,
					 .fingerprint = i,
					 .kind = SITE_MALLOC,
					 .growth_bytes_per_second = i % 2 ? NAN : 2,
					 .outstanding_bytes = i,
					 .outstanding_allocations = 1};
	}
	assert_int_equal(w.report(w.arg, &x.session, &r), 0);
	text = ask(b, HTTP_METRICS, false, 0, 200);
	assert_true(has_line(text, "seep_outstanding_bytes{comm=\"p\"} 44850"));
	/* 0 to 249, and 0 to 199. */
	assert_true(has_line(text, "seep_process_outstanding_bytes{comm=\"[other]\"} 31125"));
	assert_true(has_line(text,
			     "seep_site_outstanding_bytes{site=\"[other]\",function=\"[other]\"}"
			     " 19900"));
	assert_true(has_line(text, "seep_leaking_processes{comm=\"p\"} 200"));
	assert_true(has_line(
		text, "seep_site_growth_bytes_per_second{site=\"[other]\",function=\"[other]\"}"
		      " 200"));
	for (const char *at = text; (at = strstr(at, "\nseep_site_outstanding_bytes{")); at++)
		n++;
	assert_int_equal(n, OPENMETRICS_SITES + 1);
	free(text);
	free(processes);
	free(sites);
	board_destroy(b);
}

static void answers(void **state)
{
	struct report_writer w;
	struct board *b;
	struct fixture x;
	char *text;

	(void)state;
	assert_int_equal(board_create(&b), 0);
	free(ask(b, HTTP_READYZ, false, 0, 503));
	free(ask(b, HTTP_METRICS, false, 0, 503));
	free(ask(b, HTTP_HEALTHZ, false, 0, 200));
	board_destroy(b);
	start(&x, &b, &w);
	free(ask(b, HTTP_READYZ, false, 0, 200));
	free(ask(b, HTTP_PROCESSES, false, 0, 200));
	free(ask(b, HTTP_HEAP, false, 0, 200));
	free(ask(b, HTTP_SITES, false, 4711, 404));
	text = ask(b, HTTP_WATCH, false, 0, 200);
	assert_string_equal(text, "{\"watch\":[]}\n");
	free(text);
	assert_int_equal(w.text(w.arg, "{}\n{}\nxx", 6), 0);
	text = ask(b, HTTP_WATCH, false, 0, 200);
	assert_string_equal(text, "{\"watch\":[{}\n,{}\n]}\n");
	free(text);
	assert_int_equal(w.report(w.arg, &x.session, &x.reports[0]), 0);
	free(ask(b, HTTP_SITES, false, x.processes[0][0].pid, 200));
	free(ask(b, HTTP_ALLOCS, false, x.processes[0][0].pid, 200));
	board_destroy(b);
}

static void accept_is_understood(void **state)
{
	static const struct {
		const char *accept;
		bool want;
	} cases[] = {
		{NULL, false},
		{"", false},
		{"*/*", false},
		{"text/plain", false},
		{"application/openmetrics-text", true},
		/* Prometheus 2.42's */
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 true},
		{"application/openmetrics-text;version=0.0.1", false},
		{"application/openmetrics-text; version=2.0.0", false},
		{"application/openmetrics-text;q=0.3, text/plain;q=0.5", false},
		{"application/openmetrics-text;q=0", false},
		{"application/openmetrics-text;q=nan,,;;=", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (http_wants_openmetrics(cases[i].accept) != cases[i].want)
			fail_msg("%s", cases[i].accept);
}

static void hosts_are_checked(void **state)
{
	static const struct {
		const char *host;
		bool want;
	} cases[] = {
		{"localhost", true},	 {"LOCALHOST:9754", true},
		{"127.0.0.1", true},	 {"10.1.2.3:80", true},
		{"[::1]:9754", true},	 {"[fe80::1]", true},
		{"web-1:80", true},	 {"", false},
		{"evil.example", false}, {"127.0.0.1.x", false},
		{"localhost:", false},	 {"localhost:80x", false},
		{"[::1", false},	 {"[::1]x", false},
		{"[evil]", false},	 {"a@localhost", false},
		{"localhost.", false},	 {"web-1.evil", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (http_host_is_own(cases[i].host, "web-1") != cases[i].want)
			fail_msg("%s", cases[i].host);
	assert_false(http_host_is_own("", ""));
}

static void addresses_are_parsed(void **state)
{
	static const struct {
		const char *text;
		int err;
		bool loopback;
	} cases[] = {
		{"127.0.0.1:9754", 0, true},
		{"127.9.9.9:0", 0, true},
		{"[::1]:1", 0, true},
		{"localhost:80", 0, true},
		{"0.0.0.0:80", 0, false},
		{"[::]:80", 0, false},
		{"10.0.0.1:80", 0, false},
		{"127.0.0.1", -22},
		{":80", -22},
		{"127.0.0.1:65536", -22},
		{"127.0.0.1:", -22},
		{"127.0.0.1:-1", -22},
		{"::1:80", -22},
		{"[]:80", -22},
		{"[:80", -22},
		{"name:80", -22},
		{"", -22},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct listen_address a;
		struct diag d = {0};

		if (listen_parse(cases[i].text, &a, &d) != cases[i].err ||
		    (!cases[i].err && a.loopback != cases[i].loopback))
			fail_msg("%s", cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views_outlive_reports),
		cmocka_unit_test(copies_are_bounded),
		cmocka_unit_test(sums_never_fall),
		cmocka_unit_test(groups_are_bounded),
		cmocka_unit_test(metrics_in_both_formats),
		cmocka_unit_test(series_are_bounded),
		cmocka_unit_test(answers),
		cmocka_unit_test(accept_is_understood),
		cmocka_unit_test(hosts_are_checked),
		cmocka_unit_test(addresses_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
