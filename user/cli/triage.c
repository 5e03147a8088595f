// SPDX-License-Identifier: BSD-2-Clause
/* seep triage: one process, one screen. Its memory is watched, its allocations are traced and its heap is scanned, within a time limit;
 * a first look comes after some seconds, as the process may not have more. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyze/trend.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/attend.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/scan_sums.h"
#include "cli/sink.h"
#include "cli/terminal.h"
#include "cli/triage_evidence.h"
#include "cli/triage_kept.h"
#include "cli/triage_pick.h"
#include "daemon/accounting.h"
#include "daemon/assemble.h"
#include "daemon/governing.h"
#include "daemon/judging_triage.h"
#include "daemon/scanning.h"
#include "daemon/trace_session.h"
#include "daemon/tracing.h"
#include "model/scan_report.h"
#include "output/triage.h"
#include "process/identity.h"

#define FIRST_LOOK_NS (4 * NS_PER_SECOND)
#define STEP_NS (NS_PER_SECOND)
#define SCAN_PASSES 3
#define SCAN_PAUSE_NS (NS_PER_SECOND / 2)
#define SCAN_THREADS 2
#define GROWTH_DISTANCE (64 << 10)
/* Of one CPU: enough to record some ten thousand pairs a second. It counts only where a quarter of the process's own time is less, which
 * then uses less than a fifth of a CPU and has room for it; what is seen in part has no verdict. */
#define ALLOWED_ANYWAY 0.05

enum look {
	LOOK_NONE,
	LOOK_FIRST,
	LOOK_LAST,
};

struct triage {
	struct triage_options options;
	struct trace_options trace;
	struct tracing tracing;
	struct assembly assembly;
	struct scanning scanning;
	struct attend attend;
	struct sink sink;
	struct trace_session session;
	struct triage_evidence evidence;
	struct trend *trend; /* of resident memory */
	struct identity id;
	struct cgroup_usage cgroup; /* at the start */
	pid_t pid;
	uint64_t start_ns;
	bool has_scan, scanned;
	bool ended; /* the process has, and its last report is shown */
	const char *scan_missing;
	uint64_t n_lost;
};

static void sample_memory(struct triage *t)
{
	uint64_t bytes;

	if (!identity_rss(t->pid, &bytes))
		trend_add(t->trend, (double)(clock_monotonic_ns() - t->start_ns) / NS_PER_SECOND,
			  bytes);
}

static void fill_memory(struct triage *t, const struct process_report *p, struct triage_memory *ret)
{
	struct trend_estimate e;
	struct cgroup_usage cgroup = {0};

	trend_estimate(t->trend, &e);
	identity_cgroup_usage(t->pid, &cgroup);
	*ret = (struct triage_memory){
		.growth_bytes_per_second = e.bytes_per_second,
		.growth_low_bytes_per_second = e.low_bytes_per_second,
		.growth_high_bytes_per_second = e.high_bytes_per_second,
		.growing_since_seconds = e.since_seconds,
		.seconds_to_limit = NAN,
		.cgroup_bytes = cgroup.bytes,
		.cgroup_cache_bytes = cgroup.cache_bytes,
		.cgroup_cache_before_bytes = t->cgroup.cache_bytes,
		.verdict = e.verdict,
		.confidence = e.confidence,
	};
	trend_line(t->trend, ret->line, TRIAGE_LINE_VALUES);
	if (p->limit_bytes && e.bytes_per_second > 0)
		ret->seconds_to_limit =
			p->limit_bytes > p->rss_bytes
				? (p->limit_bytes - p->rss_bytes) / e.bytes_per_second
				: 0;
}

static bool is(const char *verdict, const char *what)
{
	return verdict && !strcmp(verdict, what);
}

static double rank_of(const struct triage_report *r, uint32_t index)
{
	const struct site *s = &r->report->sites[index];
	double rank = s->outstanding_bytes / 1e6 +
		      (isnan(s->growth_bytes_per_second) ? 0 : fmax(s->growth_bytes_per_second, 0));

	for (size_t i = 0; r->scan && i < r->scan->n_leaks; i++)
		if (r->scan->leaks[i].site == index)
			rank += r->scan->leaks[i].direct.bytes + r->scan->leaks[i].cycle.bytes +
				r->scan->leaks[i].held.bytes;
	return rank * (is(s->verdict, "leak") ? 1e6 : is(s->verdict, "growing") ? 1e3 : 1);
}

static bool is_calm(const struct site *s)
{
	return is(s->verdict, "churn") || is(s->verdict, "steady") || is(s->verdict, "warming-up");
}

/* Whoever has a suspect need not read of the others. */
static void drop_calm(struct triage_report *r)
{
	while (r->n_top > 1 && !is_calm(&r->report->sites[r->top[0]]) &&
	       is_calm(&r->report->sites[r->top[r->n_top - 1]]))
		r->n_top--;
}

static void pick_sites(struct triage_report *r)
{
	for (uint32_t i = 0; i < r->report->n_sites; i++) {
		const struct site *s = &r->report->sites[i];
		size_t at = r->n_top;

		if (s->process != r->process || !s->outstanding_bytes)
			continue;
		r->n_sites++;
		while (at && rank_of(r, i) > rank_of(r, r->top[at - 1]))
			at--;
		if (at == TRIAGE_TOP)
			continue;
		if (r->n_top < TRIAGE_TOP)
			r->n_top++;
		memmove(&r->top[at + 1], &r->top[at], (r->n_top - 1 - at) * sizeof(*r->top));
		r->top[at] = i;
	}
	drop_calm(r);
}

static int show(struct triage *t, const struct triage_report *r)
{
	const struct output_options options = {
		.color = terminal_color(t->options.color, NULL),
		.width = terminal_width(NULL),
		.verbose = t->options.verbose,
	};

	int err = t->options.json ? triage_ndjson(t->sink.stream, r)
				  : triage_text(t->sink.stream, &options, terminal_utf8(), r);

	return err ? err : sink_text(&t->sink, "", 0);
}

/* What a triage_report refers to. */
struct shown {
	struct scan_report scan;
	struct triage_kept kept;
	char text[TRIAGE_TEXT_SIZE];
};

static int show_report(struct triage *t, struct assembled *a, struct triage_report *r,
		       struct shown *shown)
{
	const struct process_report *p = &a->report.processes[r->process];
	int err = 0;

	if (t->scanned)
		err = scan_sums(&t->assembly, a, r->process, &t->scanning, &shown->scan);
	if (!err && t->scanned)
		r->scan = &shown->scan;
	r->scan_missing = t->scan_missing;
	r->ended = p->ended;
	fill_memory(t, p, &r->memory);
	judging_triage(r, &a->report, shown->text);
	pick_sites(r);
	if (r->kept && triage_kept_find(&t->assembly, a, r, &t->scanning, &shown->kept))
		r->kept_by = &shown->kept.root;
	triage_evidence_add(&t->evidence, &t->session.session, &a->report);
	triage_evidence_write(&t->evidence, r);
	if (!err)
		err = show(t, r);
	return err;
}

/* Into the capture; a look also on the screen and into the evidence. What it was when it ended is the last that is known of it. */
static int write_report(struct triage *t, struct assembled *a, enum look look)
{
	struct triage_report r = {
		.session = &t->session.session,
		.report = &a->report,
		.final = look == LOOK_LAST,
		.evidence_path = t->evidence.path[0] ? t->evidence.path : NULL,
	};
	struct shown shown = {0};
	bool found;
	int err;

	r.process = report_find(&a->report, t->pid);
	found = r.process < a->report.n_processes;
	if (found && a->report.processes[r.process].ended) {
		t->ended = r.final = true;
		if (!t->scanned && !t->scan_missing)
			t->scan_missing = "the process ended before it could be scanned";
	} else if (!found || look == LOOK_NONE) {
		triage_evidence_add(&t->evidence, &t->session.session, &a->report);
		return 0;
	}
	err = show_report(t, a, &r, &shown);
	scan_report_done(&shown.scan);
	triage_kept_done(&shown.kept);
	return err;
}

static int report(struct triage *t, enum look look, struct diag *d)
{
	struct loss *losses = NULL;
	struct assembled a = {0};
	size_t n_losses = 0;
	int err = assemble_take(&t->assembly, look == LOOK_LAST, &a, d);

	if (err)
		return err;
	err = assemble_finish(&t->assembly, &a, d);
	if (!err && look != LOOK_NONE)
		accounting_fill(&t->assembly, &a);
	if (!err) {
		err = write_report(t, &a, look);
		if (err)
			sink_explain(&t->sink, err, d);
	}
	if (!err && !assembly_losses(&t->assembly, &a.report, &losses, &n_losses))
		t->n_lost = n_losses;
	free(losses);
	assembled_settle(&t->assembly, &a);
	return err;
}

static int one_pass(void *arg, struct diag *d)
{
	return scanning_pass(arg, SCAN_PASSES, d);
}

static void scan(struct triage *t)
{
	const struct attend_passes passes = {
		.pause_ns = SCAN_PAUSE_NS, .pass = one_pass, .arg = &t->scanning};
	struct diag d = {0};
	int err;

	if (!t->has_scan)
		return;
	t->attend.hurry = true;
	err = t->attend.end ? -ECANCELED : attend_passes(&t->attend, &passes, &d);
	t->scanned = !err;
	if (err)
		t->scan_missing = err == -ESRCH ? "the process ended before it could be scanned"
				  : err == -ECANCELED ? "the scan was interrupted"
						      : "the scan failed";
}

/* A report every second or so, for the trends, without a look at it. Returns when it is time for the scan. */
static int wait_and_sample(struct triage *t, struct diag *d)
{
	const uint64_t end_ns = t->start_ns + t->options.duration_ns,
		       first_ns = t->start_ns + FIRST_LOOK_NS;
	const uint64_t step_ns = fmax(t->options.duration_ns / 60, STEP_NS);
	bool looked = t->options.duration_ns < 2 * FIRST_LOOK_NS;
	uint64_t now_ns = t->start_ns;
	int err = 0;

	while (!err && now_ns < end_ns && !t->attend.end && !t->attend.hurry && !t->ended &&
	       tracing_is_traced(&t->tracing, t->pid)) {
		uint64_t next_ns = now_ns + (looked ? step_ns : STEP_NS);
		enum look look = LOOK_NONE;

		attend_until(&t->attend, next_ns < end_ns ? next_ns : end_ns, "tracing");
		now_ns = clock_monotonic_ns();
		if (!looked && now_ns >= first_ns) {
			look = LOOK_FIRST;
			looked = true;
		}
		sample_memory(t);
		err = report(t, look, d);
	}
	return err;
}

static int run(struct triage *t, struct diag *d)
{
	int err;

	sample_memory(t);
	t->attend.goal_ns = t->start_ns + t->options.duration_ns;
	err = wait_and_sample(t, d);
	if (err || t->ended)
		return err;
	scan(t);
	return report(t, LOOK_LAST, d);
}

static void fill_trace_options(struct triage *t)
{
	trace_options_defaults(&t->trace);
	t->trace.pids = (struct pid_list){&t->pid, 1, 1};
	t->trace.no_follow = true;
	t->trace.quiet = t->options.quiet;
	t->trace.budget_percent = t->options.budget_percent;
	t->trace.allowed_anyway = ALLOWED_ANYWAY;
}

/* Without allocation functions (Go, stripped static programs) it is traced by the pages it touches. */
static int open_trace(struct triage *t, struct diag *d)
{
	int err = governing_prepare(&t->tracing, &t->trace, d);

	if (!err)
		err = tracing_open(&t->trace, &t->tracing, d);
	if (!err)
		err = assembly_init(&t->assembly, &t->tracing, d);
	t->assembly.pages = t->trace.growth;
	t->assembly.sampled = t->trace.growth;
	return err ? err : tracing_attach(&t->tracing, t->pid, d);
}

static void close_trace(struct triage *t)
{
	assembly_done(&t->assembly);
	tracing_close(&t->tracing);
	t->assembly = (struct assembly){0};
	t->tracing = (struct tracing){0};
}

static int start_trace(struct triage *t, struct diag *d)
{
	int err;

	fill_trace_options(t);
	err = open_trace(t, d);
	if (err != -ENOENT)
		return err;
	close_trace(t);
	*d = (struct diag){0};
	t->trace.growth = true;
	t->trace.budget_percent = 0;
	t->trace.sample_bytes = GROWTH_DISTANCE;
	t->scan_missing =
		"it has no allocation functions to trace: what it touches is followed instead";
	if (!t->options.quiet)
		log_info("process %d (%s) has no allocation functions: its new pages are followed",
			 t->pid, t->id.comm);
	return open_trace(t, d);
}

static int start(struct triage *t, struct diag *d)
{
	const struct reach_options reach = {.pointers.interior = true, .n_threads = SCAN_THREADS};
	int err = attend_open(&t->attend, d);

	t->sink.signals = &t->attend.signals;
	if (!err)
		err = sink_open(&t->sink, NULL, NULL, d);
	if (!err)
		err = triage_pick(&t->options, &t->pid, d);
	if (!err)
		err = identity_read(t->pid, &t->id, d);
	t->attend.pid = t->pid;
	if (!err)
		err = start_trace(t, d);
	if (!err && !t->trace.growth) {
		err = scanning_open(&t->scanning, t->pid, t->tracing.collector, &reach, d);
		t->has_scan = !err;
	}
	if (!err && trend_create(&t->trend))
		err = diag_set(d, ENOMEM, "out of memory");
	if (err)
		return err;
	identity_cgroup_usage(t->pid, &t->cgroup);
	t->start_ns = clock_monotonic_ns();
	err = trace_session_init(&t->session, &t->trace, &t->tracing, d);
	if (!err && !t->options.no_evidence)
		err = triage_evidence_open(&t->evidence, t->options.evidence, t->pid,
					   &t->session.session, d);
	if (!err && !t->options.quiet)
		log_info(
			"process %d (%s): a first look in %.0f s, the verdict after %.4g s; Ctrl-C to "
			"have it now",
			t->pid, t->id.comm, (double)FIRST_LOOK_NS / NS_PER_SECOND,
			(double)t->options.duration_ns / NS_PER_SECOND);
	return err;
}

/* Returns the exit code. */
static int triage(struct triage *t)
{
	struct diag d = {0}, close_diag = {0};
	struct session_end end = {0};
	int err = start(t, &d), close_err;

	if (!err)
		err = run(t, &d);
	end.time_ns = clock_realtime_ns();
	end.why = t->attend.end ? t->attend.end : "triaged";
	end.duration_seconds = (double)(clock_monotonic_ns() - t->start_ns) / NS_PER_SECOND;
	close_err = triage_evidence_close(&t->evidence, &t->session.session, &end, &close_diag);
	if (sink_close(&t->sink, &close_diag) && !err)
		close_err = -EIO;
	if (err && d.text[0])
		return log_diag(&d);
	if (close_err && close_diag.text[0])
		return log_diag(&close_diag);
	return err || close_err ? EXIT_RUNTIME : t->n_lost ? EXIT_LOST : EXIT_DONE;
}

int cmd_triage(int argc, char **argv)
{
	struct triage t = {.attend = ATTEND_INIT, .scanning.memory.pagemap = -1};
	struct diag d = {0};
	int code, r = triage_options_parse(argc, argv, &t.options, &d);

	if (r)
		return command_settle(&command_triage, r, &d);
	if (t.options.quiet)
		log_set_level(LOG_QUIET);
	t.attend.tracing = &t.tracing;
	t.attend.scanning = &t.scanning;
	t.attend.shows_progress = !t.options.quiet && isatty(STDERR_FILENO);
	code = triage(&t);
	scanning_close(&t.scanning);
	trace_session_done(&t.session);
	close_trace(&t);
	trend_destroy(t.trend);
	triage_options_done(&t.options);
	attend_close(&t.attend);
	return code;
}
