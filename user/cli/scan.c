// SPDX-License-Identifier: BSD-2-Clause
/* seep scan: what a live process has lost. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "cli/assemble.h"
#include "cli/blocks.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/scan_paths.h"
#include "cli/scan_sums.h"
#include "cli/scanning.h"
#include "cli/sink.h"
#include "cli/terminal.h"
#include "cli/traced.h"
#include "cli/tracing.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "output/scan.h"
#include "process/identity.h"

#define MOST_THREADS 4
#define WAIT_MS 200 /* at most, between looks at the clock and the progress */

struct scan {
	struct scan_options options;
	struct tracing tracing;
	struct assembly assembly;
	struct scanning scanning;
	struct found_path found; /* --paths */
	struct sink sink;
	struct session session;
	struct utsname host;
	char target[32];
	const char *targets[1], *capabilities[1];
	pid_t pid;
	int signals, passed; /* passed: an eventfd, readable when a pass has ended */
	bool hurry;	     /* the trace has been ended by the user: on to the scan */
	const char *end;     /* why it ends before its time, or NULL */
	uint64_t start_ns;
	bool shows_progress;
};

static int open_events(struct scan *s, struct diag *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	/* Before any thread starts, so that all have it blocked and it comes here. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->passed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->signals < 0 || s->passed < 0)
		return diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
	return 0;
}

static int open_sink(struct scan *s, struct diag *d)
{
	const struct scan_options *o = &s->options;

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

static void on_signals(struct scan *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGINT && isatty(STDERR_FILENO))
			fputc('\n', stderr);
		if (info.ssi_signo == SIGINT && !s->hurry) {
			s->hurry = true;
			continue;
		}
		s->end = info.ssi_signo == SIGINT ? "interrupted" : "terminated";
		s->scanning.progress.stop = true;
	}
}

/* Handles what comes, for WAIT_MS at most. */
static void settle(struct scan *s, uint64_t until_ns)
{
	struct pollfd fds[] = {
		{.fd = s->signals, .events = POLLIN},
		{.fd = s->passed, .events = POLLIN},
		{.fd = collector_fd(s->tracing.collector), .events = POLLIN},
		{.fd = mapping_watch_fd(s->tracing.mappings), .events = POLLIN},
	};
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns) / 1000000 + 1 : 0;

	poll(fds, ARRAY_SIZE(fds), left_ms < WAIT_MS ? left_ms : WAIT_MS);
	tracing_drain(&s->tracing);
	on_signals(s);
}

/* A line on the terminal, taken off again by an empty one. */
static void show_progress(const struct scan *s, const char *text)
{
	if (s->shows_progress)
		fprintf(stderr, "\r\033[K%s", text);
}

/* Lets the trace go on. Ends early when the process does, and, with may_hurry, when the user wants the scan now. */
static void wait_for(struct scan *s, uint64_t duration_ns, bool may_hurry)
{
	uint64_t began_ns = clock_monotonic_ns(), now_ns = began_ns;
	char text[80];

	while (now_ns - began_ns < duration_ns && !s->end && !(may_hurry && s->hurry) &&
	       tracing_is_traced(&s->tracing, s->pid)) {
		if (may_hurry) {
			snprintf(text, sizeof(text), "tracing, %.0f s to the scan",
				 (double)(duration_ns - (now_ns - began_ns)) / NS_PER_SECOND);
			show_progress(s, text);
		}
		settle(s, began_ns + duration_ns);
		now_ns = clock_monotonic_ns();
	}
	show_progress(s, "");
}

struct pass {
	struct scan *scan;
	int err;
	struct diag d;
};

static void *run_pass(void *arg)
{
	struct pass *p = arg;
	struct scan *s = p->scan;
	uint64_t one = 1;

	p->err = s->options.paths
			 ? scan_paths_find(&s->scanning, s->options.paths_address, &s->found, &p->d)
			 : scanning_pass(&s->scanning, s->options.passes, &p->d);
	if (write(s->passed, &one, sizeof(one)) < 0)
		p->err = -errno;
	return NULL;
}

/* One pass in a thread of its own, while the trace goes on. */
static int one_pass(struct scan *s, unsigned number, struct diag *d)
{
	struct pass p = {.scan = s};
	uint64_t n_passed;
	pthread_t thread;
	char text[80];
	int err = pthread_create(&thread, NULL, run_pass, &p);

	if (err)
		return diag_set(d, err, "cannot start a thread: %s", strerror(err));
	while (read(s->passed, &n_passed, sizeof(n_passed)) < 0) {
		snprintf(text, sizeof(text), "scanning, pass %u: %.0f MiB", number,
			 (double)s->scanning.progress.n_bytes / (1 << 20));
		show_progress(s, text);
		settle(s, UINT64_MAX);
	}
	show_progress(s, "");
	pthread_join(thread, NULL);
	if (p.err)
		*d = p.d;
	return p.err;
}

/* What the process is now, 0: it is not traced any more. */
static uint32_t current_instance(struct scan *s)
{
	const struct traced *p;
	uint32_t instance = 0;

	pthread_mutex_lock(&s->tracing.lock);
	p = hashmap_get(&s->tracing.by_pid, s->pid);
	if (p)
		instance = p->instance;
	pthread_mutex_unlock(&s->tracing.lock);
	return instance;
}

static int all_passes(struct scan *s, struct diag *d)
{
	bool done = false;
	int err = 0;

	for (unsigned i = 1; !done && !err; i++) {
		uint32_t instance = current_instance(s);

		if (!instance)
			return diag_set(d, ESRCH, "process %d ended before it was scanned", s->pid);
		err = scanning_prepare(&s->scanning, instance, s->options.stop, d);
		if (!err)
			err = one_pass(s, i, d);
		scanning_resume(&s->scanning);
		if (!err && s->end)
			err = -ECANCELED;
		done = s->scanning.settled || s->options.paths;
		if (!err && !done)
			wait_for(s, s->options.pause_ns, false);
	}
	return err;
}

/* The living process with our pid in a report; n_processes when there is none. */
static uint32_t find_process(const struct scan *s, const struct report *r)
{
	uint32_t i = 0;

	while (i < r->n_processes &&
	       (r->processes[i].pid != (uint32_t)s->pid || r->processes[i].ended))
		i++;
	return i;
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

static int write_leaks(struct scan *s, struct assembled *r, uint32_t process)
{
	struct scan_report scanned = {0};
	int err = scan_sums(&s->assembly, r, process, &s->scanning, &scanned);

	scanned.stopped_seconds = (double)s->scanning.stopped_ns / NS_PER_SECOND;
	if (!err && s->options.format == OPTIONS_FORMAT_NDJSON)
		err = scan_ndjson_report(s->sink.stream, &scanned);
	else if (!err)
		err = scan_text_report(s->sink.stream, &s->sink.options, &scanned);
	free(scanned.leaks);
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
	uint32_t process = find_process(s, &r->report);
	int err = 0;

	complete &= process < r->report.n_processes;
	if (ndjson || !complete)
		err = sink_report(&s->sink, &s->session, &r->report);
	if (!err && complete)
		err = s->options.paths ? write_path(s, r, process) : write_leaks(s, r, process);
	if (!err && s->options.show_allocs)
		err = blocks_each(&s->assembly, r, write_block, &w);
	return err ? err : sink_report_end(&s->sink, &s->session, &r->report);
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
		err = sink_end(&s->sink, &s->session, &end);
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

static void describe_session(struct scan *s)
{
	static const char *const stacks[] = {
		[OPTIONS_STACK_CFI] = "stack:cfi",
		[OPTIONS_STACK_FP] = "stack:frame-pointers",
		[OPTIONS_STACK_NONE] = "stack:none",
	};

	uname(&s->host);
	snprintf(s->target, sizeof(s->target), "pid %d", s->pid);
	s->targets[0] = s->target;
	s->capabilities[0] = stacks[s->options.stack];
	s->session = (struct session){
		.schema = 1,
		.version = SEEP_VERSION,
		.kernel = s->host.release,
		.hostname = s->host.nodename,
		.start_ns = clock_realtime_ns(),
		.mode = REPORT_EXACT,
		.targets = s->targets,
		.n_targets = 1,
		.capabilities = s->capabilities,
		.n_capabilities = 1,
	};
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
	struct trace_options trace;
	int err;

	trace_options_defaults(&trace);
	trace.pids = s->options.pids;
	trace.no_follow = true;
	trace.quiet = s->options.quiet;
	trace.max_outstanding = s->options.max_outstanding;
	trace.stack = s->options.stack;
	err = tracing_open(&trace, &s->tracing, d);
	if (err)
		return err;
	s->assembly.names.frame_pointers = trace.stack == OPTIONS_STACK_FP;
	err = assembly_init(&s->assembly, &s->tracing, d);
	if (!err)
		err = tracing_attach(&s->tracing, s->pid, d);
	return err;
}

static int start(struct scan *s, struct diag *d)
{
	const struct reach_options reach = {
		.interior = s->options.pointers == OPTIONS_POINTERS_INTERIOR,
		.n_threads = n_threads(&s->options),
	};
	struct identity id;
	int err = open_events(s, d);

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
	s->scanning.wanted = s->options.paths ? s->options.paths_address : 0;
	if (!s->options.quiet)
		log_info(
			"tracing process %d (%s) for %.4g s, then its memory is scanned; Ctrl-C to "
			"scan now",
			s->pid, id.comm, (double)s->options.duration_ns / NS_PER_SECOND);
	describe_session(s);
	err = sink_session(&s->sink, &s->session);
	if (err)
		sink_explain(&s->sink, err, d);
	return err;
}

/* What stands in the way of a scan is said after the report of what there is. */
static int run(struct scan *s, bool *ret_lost, struct diag *d)
{
	struct diag report_diag = {0};
	int err, report_err;

	wait_for(s, s->options.duration_ns, true);
	s->hurry = true;
	err = s->end ? -ECANCELED : all_passes(s, d);
	/* Whoever ended it knows. */
	if (err && s->end)
		d->text[0] = '\0';
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
	struct scan s = {.signals = -1, .passed = -1, .scanning.memory.pagemap = -1};
	struct diag d = {0};
	int code, r = scan_options_parse(argc, argv, &s.options, &d);

	if (r)
		return command_settle(&command_scan, r, &d);
	if (s.options.quiet)
		log_set_level(LOG_QUIET);
	s.pid = s.options.pids.items[0];
	s.shows_progress = !s.options.quiet && isatty(STDERR_FILENO);
	code = scan(&s);
	scanning_close(&s.scanning);
	scan_paths_done(&s.found);
	assembly_done(&s.assembly);
	tracing_close(&s.tracing);
	scan_options_done(&s.options);
	for (int *fd = (int[]){s.signals, s.passed, -2}; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	return code;
}
