// SPDX-License-Identifier: BSD-2-Clause
/* seep scan: what a live process has lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/attend.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/scan_paths.h"
#include "cli/scan_sums.h"
#include "cli/scan_walked.h"
#include "cli/sink.h"
#include "cli/terminal.h"
#include "daemon/assemble.h"
#include "daemon/blocks.h"
#include "daemon/scanning.h"
#include "daemon/trace_session.h"
#include "daemon/tracing.h"
#include "output/scan.h"
#include "process/identity.h"

#define MOST_THREADS 4

struct scan {
	struct scan_options options;
	struct tracing tracing;
	struct assembly assembly;
	struct scanning scanning;
	struct found_path found; /* --paths */
	struct sink sink;
	struct trace_options trace;
	struct trace_session session;
	pid_t pid;
	struct attend attend;
	const char *end; /* why it ends, once that is known */
	uint64_t start_ns;
};

static int open_sink(struct scan *s, struct diag *d)
{
	const struct scan_options *o = &s->options;

	s->sink.signals = &s->attend.signals;
	s->sink.format = output_find(o->format == OPTIONS_FORMAT_NDJSON ? "ndjson" : "text");
	s->sink.options = (struct output_options){
		.top = o->top,
		.color = terminal_color(o->color, o->output),
		.combined_only = o->combined_only,
		.blocks = o->show_allocs,
		.width = terminal_width(o->output),
		.verbose = o->verbose,
	};
	return sink_open(&s->sink, o->output, NULL, d);
}

/* One pass: it looks for what is lost, or for the way to one block. */
static int pass(void *arg, struct diag *d)
{
	struct scan *s = arg;

	return s->options.paths
		       ? scan_paths_find(&s->scanning, s->options.paths_address, &s->found, d)
		       : scanning_pass(&s->scanning, s->options.passes, d);
}

struct block_writing {
	struct scan *s;
	const struct report *report;
};

static int write_block(void *arg, const struct block *b)
{
	const struct block_writing *w = arg;
	struct block judged = *b;

	judged.reachable = scan_verdict(&w->s->scanning, b);
	return sink_block(&w->s->sink, w->report, &judged);
}

static int write_walked(void *arg, const struct block *b)
{
	const struct block_writing *w = arg;

	return sink_block(&w->s->sink, w->report, b);
}

static int write_leaks(struct scan *s, struct assembled *r, uint32_t process)
{
	struct scan_report scanned = {0};
	int err = scan_sums(&s->assembly, r, process, &s->scanning, &scanned);

	scanned.stopped_seconds = (double)s->scanning.stopped_ns / NS_PER_SECOND;
	if (!err && s->options.format == OPTIONS_FORMAT_NDJSON)
		err = scan_ndjson_report(s->sink.stream, &scanned);
	else if (!err)
		err = scan_text_report(s->sink.stream, &s->sink.options, &scanned);
	scan_report_done(&scanned);
	return err;
}

static int write_path(struct scan *s, struct assembled *r, uint32_t process)
{
	struct scan_path path;
	int err = scan_paths_describe(&s->assembly, r, process, &s->scanning, &s->found, &path);

	if (err)
		return err;
	if (s->options.format == OPTIONS_FORMAT_NDJSON)
		return scan_path_ndjson(s->sink.stream, &path);
	return scan_path_text(s->sink.stream, &s->sink.options, &path);
}

/* complete: the scan has all its passes. Else what was traced is reported, so that it is not lost with the process. */
static int write_report(struct scan *s, struct assembled *r, bool complete)
{
	struct block_writing w = {s, &r->report};
	bool ndjson = s->options.format == OPTIONS_FORMAT_NDJSON;
	uint32_t process = report_find(&r->report, s->pid);
	int err = 0;

	complete &= process < r->report.n_processes && !r->report.processes[process].ended;
	if (ndjson || !complete)
		err = sink_report(&s->sink, &s->session.session, &r->report);
	if (!err && complete)
		err = s->options.paths ? write_path(s, r, process) : write_leaks(s, r, process);
	if (!err && s->options.show_allocs)
		err = blocks_each(&s->assembly, r, write_block, &w);
	if (!err && s->options.show_allocs && complete)
		err = scan_walked_each(&s->scanning, process, write_walked, &w);
	/* What a scan prints ends with an empty line of its own. */
	if (complete && !ndjson && !s->options.show_allocs)
		return err ? err : sink_text(&s->sink, "", 0);
	return err ? err : sink_report_end(&s->sink, &s->session.session, &r->report);
}

static int write_end(struct scan *s, struct assembled *r, bool *ret_lost)
{
	struct session_end end = {
		.time_ns = r->report.time_ns,
		.why = s->end,
		.duration_seconds = (double)(clock_monotonic_ns() - s->start_ns) / NS_PER_SECOND,
	};
	int err = assembly_losses(&s->assembly, &r->report, &end.losses, &end.n_losses);

	if (!err)
		err = sink_end(&s->sink, &s->session.session, &end);
	*ret_lost = end.n_losses > 0;
	free(end.losses);
	return err;
}

static int report(struct scan *s, bool complete, bool *ret_lost, struct diag *d)
{
	struct assembled r = {0};
	int err = assemble_take(&s->assembly, true, &r, d);

	if (err)
		return err;
	err = assemble_finish(&s->assembly, &r, d);
	if (err) {
		assembled_settle(&s->assembly, &r);
		return err;
	}
	err = write_report(s, &r, complete);
	if (!err)
		err = write_end(s, &r, ret_lost);
	if (err)
		sink_explain(&s->sink, err, d);
	assembled_settle(&s->assembly, &r);
	return err;
}

static unsigned n_threads(const struct scan_options *o)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->threads)
		return o->threads;
	return n_cpus < 1 ? 1 : n_cpus < MOST_THREADS ? n_cpus : MOST_THREADS;
}

static int start_trace(struct scan *s, struct diag *d)
{
	int err;

	trace_options_defaults(&s->trace);
	s->trace.pids = s->options.pids;
	s->trace.no_follow = true;
	s->trace.quiet = s->options.quiet;
	s->trace.max_outstanding = s->options.max_outstanding;
	s->trace.stack = s->options.stack;
	err = tracing_open(&s->trace, &s->tracing, d);
	if (err)
		return err;
	s->assembly.names.frame_pointers = s->trace.stack == OPTIONS_STACK_FP;
	err = assembly_init(&s->assembly, &s->tracing, d);
	if (!err)
		err = tracing_attach(&s->tracing, s->pid, d);
	return err;
}

static int start(struct scan *s, struct diag *d)
{
	const struct reach_options reach = {
		.pointers.interior = s->options.pointers == OPTIONS_POINTERS_INTERIOR,
		.pointers.tagged = s->options.tagged,
		.n_threads = n_threads(&s->options),
	};
	struct identity id;
	int err = attend_open(&s->attend, d);

	if (!err)
		err = open_sink(s, d);
	if (!err)
		err = identity_read(s->pid, &id, d);
	if (!err)
		err = start_trace(s, d);
	if (!err)
		err = scanning_open(&s->scanning, s->pid, s->tracing.collector, &reach, d);
	if (err)
		return err;
	s->start_ns = clock_monotonic_ns();
	s->scanning.heap_walk = s->options.heap_walk;
	s->scanning.wanted = s->options.paths ? s->options.paths_address : 0;
	if (!s->options.quiet)
		log_info(
			"tracing process %d (%s) for %.4g s, then its memory is scanned; Ctrl-C to "
			"scan now",
			s->pid, id.comm, (double)s->options.duration_ns / NS_PER_SECOND);
	err = trace_session_init(&s->session, &s->trace, &s->tracing, d);
	if (err)
		return err;
	err = sink_session(&s->sink, &s->session.session);
	if (err)
		sink_explain(&s->sink, err, d);
	return err;
}

/* What stands in the way of a scan is said after the report of what there is. */
static int run(struct scan *s, bool *ret_lost, struct diag *d)
{
	const struct attend_passes passes = {.once = s->options.paths,
					     .pause_ns = s->options.pause_ns,
					     .stop = s->options.stop,
					     .pass = pass,
					     .arg = s};
	struct diag report_diag = {0};
	int err, report_err;

	attend_until(&s->attend, clock_monotonic_ns() + s->options.duration_ns,
		     "tracing before the scan");
	s->attend.hurry = true;
	err = s->attend.end ? -ECANCELED : attend_passes(&s->attend, &passes, d);
	s->end = s->attend.end;
	if (err && s->end)
		diag_set_hint(d, -err, EXIT_RUNTIME,
			      "the report is of the trace; Ctrl-C once ends only that, and scans",
			      "process %d was not scanned: %s", s->pid, s->end);
	if (!s->end)
		s->end = !err ? "scanned" : err == -ESRCH ? "the target ended" : "the scan failed";
	report_err = report(s, !err, ret_lost, &report_diag);
	if (report_err) {
		*d = report_diag;
		return report_err;
	}
	return err;
}

/* Runs the whole scan. Returns the exit code. */
static int scan(struct scan *s)
{
	struct diag d = {0}, close_diag = {0};
	bool lost = false;
	int err = start(s, &d);

	if (!err)
		err = run(s, &lost, &d);
	if (sink_close(&s->sink, &close_diag) && !err) {
		err = -EIO;
		d = close_diag;
	}
	if (err && d.text[0])
		return log_diag(&d);
	return err ? EXIT_RUNTIME : lost ? EXIT_LOST : EXIT_DONE;
}

int cmd_scan(int argc, char **argv)
{
	struct scan s = {.attend = ATTEND_INIT, .scanning.memory.pagemap = -1};
	struct diag d = {0};
	int code, r = scan_options_parse(argc, argv, &s.options, &d);

	if (r)
		return command_settle(&command_scan, r, &d);
	if (s.options.quiet)
		log_set_level(LOG_QUIET);
	s.pid = s.options.pids.items[0];
	s.attend.tracing = &s.tracing;
	s.attend.scanning = &s.scanning;
	s.attend.pid = s.pid;
	s.attend.shows_progress = !s.options.quiet && isatty(STDERR_FILENO);
	code = scan(&s);
	scanning_close(&s.scanning);
	scan_paths_done(&s.found);
	assembly_done(&s.assembly);
	trace_session_done(&s.session);
	tracing_close(&s.tracing);
	scan_options_done(&s.options);
	attend_close(&s.attend);
	return code;
}
