// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/http_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/board.h"
#include "output/json.h"
#include "output/openmetrics.h"
#include "output/output.h"
#include "output/pprof.h"
#include "output/record.h"

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Its loop goes round more often. */
#define HANGS_NS (60 * NS_PER_SECOND)

static const char index_text[] =
	"seep serve\n"
	"\n"
	"/metrics               Prometheus, OpenMetrics\n"
	"/debug/pprof/heap      pprof: ?pid= ?container=\n"
	"/debug/pprof/allocs    the same, by what was allocated\n"
	"/api/v1/processes      JSON: ?pid= ?container=\n"
	"/api/v1/sites          JSON: ?pid= ?container=\n"
	"/api/v1/watch          JSON: what the watch sees of the whole host\n"
	"/healthz, /readyz\n";

struct answering {
	const struct http_request *request;
	struct board *board;
	struct board_view *view;
	FILE *f;
	size_t n;	/* processes that were asked for */
	size_t n_items; /* written so far, of a list */
};

static bool is_asked_for(const struct http_request *r, const struct process_report *p)
{
	if (r->pid && p->pid != (uint32_t)r->pid)
		return false;
	if (!*r->container)
		return true;
	return (p->container && !strncmp(p->container, r->container, strlen(r->container))) ||
	       (p->container_name && !strcmp(p->container_name, r->container));
}

/* Calls visit with each process that is asked for, and its sites [from, to): who is traced now; with `ended` also who has ended. A
 * process that is asked for by its pid and is not traced now may always have ended. */
static int each(struct answering *a, bool ended,
		int (*visit)(struct answering *a, const struct report *r, size_t process,
			     size_t from, size_t to))
{
	const struct board_view *v = a->view;

	for (size_t i = 0; i <= v->n_ended; i++) {
		const struct report_copy *c = i ? v->ended[i - 1] : v->now;
		size_t from = 0, to;
		int err = 0;

		if (!c || (i && !ended && (!a->request->pid || a->n)))
			continue;
		for (size_t p = 0; p < c->report.n_processes && !err; p++, from = to) {
			for (to = from; to < c->report.n_sites && c->report.sites[to].process == p;)
				to++;
			if (!is_asked_for(a->request, &c->report.processes[p]))
				continue;
			a->n++;
			err = visit(a, &c->report, p, from, to);
		}
		if (err)
			return err;
	}
	return 0;
}

static void begin_item(struct answering *a)
{
	if (a->n_items++)
		putc(',', a->f);
}

static int put_process(struct answering *a, const struct report *r, size_t process, size_t from,
		       size_t to)
{
	(void)from;
	(void)to;
	begin_item(a);
	record_put_process(a->f, r, process);
	return 0;
}

static int put_sites(struct answering *a, const struct report *r, size_t process, size_t from,
		     size_t to)
{
	(void)process;
	for (size_t i = from; i < to; i++) {
		begin_item(a);
		record_put_site(a->f, r, &r->sites[i]);
	}
	return 0;
}

struct profiling {
	struct answering a; /* first */
	struct pprof *pprof;
};

static int put_profile(struct answering *a, const struct report *r, size_t process, size_t from,
		       size_t to)
{
	struct profiling *p = (struct profiling *)a;

	(void)process;
	return from < to ? pprof_add(p->pprof, a->f, a->view->session, r, from, to, 0) : 0;
}

static int write_profile(struct answering *a)
{
	struct profiling p = {.a = *a};
	const struct metrics *m = &a->view->metrics;
	int err = pprof_create(&p.pprof);

	if (!err && a->request->route == HTTP_ALLOCS)
		pprof_prefer_allocated(p.pprof);
	if (!err)
		err = pprof_begin(p.pprof, a->f, a->view->session);
	if (!err)
		err = each(&p.a, false, put_profile);
	if (!err)
		err = pprof_end(p.pprof, a->f, m->losses, m->n_losses);
	pprof_destroy(p.pprof);
	a->n = p.a.n;
	return err;
}

/* Resident pages are the second number of /proc/self/statm. */
static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / NS_PER_SECOND;
}

static int write_metrics(struct answering *a)
{
	static const struct metrics_group other = {.labels.comm = OPENMETRICS_OTHER};
	const struct report none = {0};
	struct metrics m = a->view->metrics;

	if (!a->view->now)
		m = (struct metrics){.session = a->view->session,
				     .report = &none,
				     .groups = &other,
				     .n_groups = 1};
	m.resident_bytes = resident_bytes();
	m.cpu_seconds = cpu_seconds();
	return openmetrics_write(a->f, a->request->openmetrics, &m);
}

/* Each line is a record. */
static int write_watched(struct answering *a)
{
	char *text = board_take_watched(a->board), *rest = text, *line;

	fputs("{\"watch\":[", a->f);
	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		begin_item(a);
		fputs(line, a->f);
		putc('\n', a->f);
	}
	fputs("]}\n", a->f);
	free(text);
	return 0;
}

static int write_answer(struct answering *a, const char **ret_type)
{
	const bool sites = a->request->route == HTTP_SITES;
	int err;

	switch (a->request->route) {
	case HTTP_METRICS:
		*ret_type = a->request->openmetrics ? TYPE_OPENMETRICS : TYPE_PROMETHEUS;
		return write_metrics(a);
	case HTTP_HEAP:
	case HTTP_ALLOCS:
		*ret_type = "application/octet-stream";
		return write_profile(a);
	case HTTP_PROCESSES:
	case HTTP_SITES:
		*ret_type = TYPE_JSON;
		fputs(sites ? "{\"sites\":[" : "{\"processes\":[", a->f);
		err = each(a, !sites, sites ? put_sites : put_process);
		fputs("]}\n", a->f);
		return err;
	case HTTP_WATCH:
		*ret_type = TYPE_JSON;
		return write_watched(a);
	default:
		*ret_type = TYPE_TEXT;
		fputs(a->request->route == HTTP_INDEX ? index_text : "ok\n", a->f);
		return 0;
	}
}

void http_answer_refuse(unsigned status, const char *why, struct http_answer *ret)
{
	FILE *f;

	*ret = (struct http_answer){.status = status, .type = TYPE_JSON};
	f = open_memstream(&ret->body, &ret->n);
	if (f) {
		struct json_line j;

		json_line_begin(&j, f);
		json_put_string(&j, "error", why);
		json_line_end(&j);
		fclose(f);
	}
}

/* With a view. */
static void answer(struct board *b, const struct http_request *r, struct board_view *v,
		   struct http_answer *ret)
{
	struct answering a = {.request = r, .board = b, .view = v};
	int err = -ENOMEM;

	*ret = (struct http_answer){.status = 200};
	a.f = open_memstream(&ret->body, &ret->n);
	if (a.f) {
		err = write_answer(&a, &ret->type);
		if (fclose(a.f) && !err)
			err = -ENOMEM;
	}
	if (!err && (a.n || (!r->pid && !*r->container)))
		return;
	free(ret->body);
	if (err)
		http_answer_refuse(503, "out of memory", ret);
	else
		http_answer_refuse(404, "no such process is traced, or was lately", ret);
}

void http_answer_make(struct board *b, const struct http_request *r, struct http_answer *ret)
{
	struct board_view *v = board_take(b);

	if (r->route == HTTP_HEALTHZ && board_untouched_ns(b) > HANGS_NS)
		http_answer_refuse(503, "the trace does not move", ret);
	else if (!v && r->route != HTTP_HEALTHZ && r->route != HTTP_INDEX)
		http_answer_refuse(503, "the trace has not begun yet", ret);
	else
		answer(b, r, v, ret);
	board_release(v);
}
