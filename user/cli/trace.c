// SPDX-License-Identifier: BSD-2-Clause
/* seep trace: the outstanding allocations of live processes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/calls.h"
#include "cli/commands.h"
#include "daemon/escalate.h"
#include "cli/options.h"
#include "cli/reporter.h"
#include "cli/signals.h"
#include "cli/sink.h"
#include "cli/terminal.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "daemon/assemble.h"
#include "daemon/follow.h"
#include "daemon/governing.h"
#include "daemon/launched.h"
#include "daemon/suppressing.h"
#include "daemon/trace_session.h"
#include "daemon/tracing.h"
#include "output/watch.h"

#define LONGEST_WAIT_MS 3600000 /* fits epoll_wait's argument, as not all of --for does */
#define ESCALATE_AGAIN_NS                                                                          \
	(600 * NS_PER_SECOND) /* a suspect is left alone for so long after it was traced */
/* Between reports counters are read for the verdicts, so often in all of the time, but not at a cost of more than a hundredth. */
#define SAMPLES_RATIO 20
#define SAMPLE_COST_RATIO 100

struct trace {
	struct suppressing suppressing;
	struct trace_options options;
	struct tracing tracing;
	struct containers containers; /* the selector's: the main thread's */
	struct follow follow;	      /* with selectors */
	struct escalation escalation;
	int passes; /* timer of the escalation's passes */
	struct assembly assembly;
	struct sink sink;
	struct signals signals;
	struct reporter *reporter;
	struct calls calls;
	struct trace_session session;
	struct launched launched;
	int epoll, timer;
	int samples; /* timer of readings between the reports */
	uint64_t sample_cost_ns;
	bool report_due, lost;
	const char *end; /* why the trace ends, NULL: it goes on */
	uint64_t start_ns, n_reports;
};

static int watch_fd(struct trace *t, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND};
}

static bool reports_periodically(const struct trace *t)
{
	return !t->sink.format->last_only;
}

static int open_passes(struct trace *t)
{
	const struct itimerspec period = {{.tv_sec = 1}, {.tv_sec = 1}};

	t->passes = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->passes < 0 || timerfd_settime(t->passes, 0, &period, NULL))
		return -errno;
	return watch_fd(t, t->passes);
}

static int open_events(struct trace *t, struct diag *d)
{
	int err = signals_open(&t->signals, d);

	if (err)
		return err;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	t->samples = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->epoll < 0 || t->timer < 0 || t->samples < 0)
		err = -errno;
	if (!err)
		err = watch_fd(t, t->signals.fd);
	if (!err)
		err = watch_fd(t, t->timer);
	if (!err)
		err = watch_fd(t, t->samples);
	if (!err && t->options.escalate)
		err = open_passes(t);
	return err ? diag_set(d, -err, "cannot wait for events: %s", strerror(-err)) : 0;
}

static int open_sink(struct trace *t, struct diag *d)
{
	const struct trace_options *o = &t->options;

	t->sink.signals = &t->signals;
	t->sink.format = output_find(options_format_name(o->format));
	t->sink.options = (struct output_options){
		.top = o->top,
		.top_processes = o->top_processes,
		.by_count = o->sort == OPTIONS_SORT_COUNT,
		.color = terminal_color(o->color, o->output),
		.combined_only = o->combined_only,
		.blocks = o->show_allocs,
		.width = terminal_width(o->output),
		.verbose = o->verbose,
	};
	return sink_open(&t->sink, o->output, o->capture, d);
}

static void log_attached(struct trace *t, const struct identity *id)
{
	if (t->options.growth)
		log_info(
			"watching process %d (%s) grow, without probes; Ctrl-C for the last report",
			id->pid, id->comm);
	else
		log_info(
			"tracing process %d (%s): %zu probes, %s links; Ctrl-C for the last report",
			id->pid, id->comm, cover_count(t->tracing.cover, id->pid),
			link_kind_name(kernel_link(t->tracing.kernel)));
}

static int start_pids(struct trace *t, struct diag *d)
{
	const struct pid_list *pids = &t->options.pids;

	for (size_t i = 0; i < pids->n; i++) {
		struct identity id = {0};
		int err = tracing_attach(&t->tracing, pids->items[i], d);

		if (err)
			return err;
		if (!identity_read(pids->items[i], &id, d) && !t->options.quiet)
			log_attached(t, &id);
	}
	return 0;
}

static int start_command(struct trace *t, struct diag *d)
{
	int err = watch_fd(t, launched_fd(&t->launched));

	return err ? diag_set(d, -err, "cannot wait for events: %s", strerror(-err))
		   : launched_start(&t->launched, d);
}

static bool starts_command(const struct trace *t)
{
	return t->options.argv || t->options.command;
}

/* What the watch sees, as text before the report. Returns 0 or -errno. */
static int report_watch(struct trace *t, uint64_t time_ns, bool last, char **ret, size_t *ret_n)
{
	const struct watch_output_options output = {
		.color = t->sink.options.color,
		.utf8 = terminal_utf8(),
		.width = t->sink.options.width,
		.verbose = t->options.verbose,
	};
	FILE *f;
	int err;

	if (!t->options.escalate || !reports_periodically(t))
		return 0;
	f = open_memstream(ret, ret_n);
	if (!f)
		return -errno;
	err = escalation_report(&t->escalation, f, t->options.format == OPTIONS_FORMAT_NDJSON,
				&output, time_ns, last);
	return fclose(f) && !err ? -ENOMEM : err;
}

/* Takes a report and has it written. */
static int begin_report(struct trace *t, bool last, struct diag *d)
{
	struct assembled r = {0};
	struct session_end end;
	char *preface = NULL;
	size_t n_preface = 0;
	int err = assemble_take(&t->assembly, last, &r, d);

	if (err)
		return err;
	err = report_watch(t, r.report.time_ns, last, &preface, &n_preface);
	if (err) {
		assembled_settle(&t->assembly, &r);
		free(preface);
		return diag_set(d, -err, "cannot make the report: %s", strerror(-err));
	}
	end = (struct session_end){
		.time_ns = r.report.time_ns,
		.why = t->end,
		.duration_seconds = (double)(clock_monotonic_ns() - t->start_ns) / NS_PER_SECOND,
	};
	reporter_submit(t->reporter, &r, preface, n_preface, last ? &end : NULL);
	return 0;
}

static void on_signal(struct trace *t)
{
	const char *end = signals_read(&t->signals);

	if (!end)
		return;
	t->end = end;
	/* From a terminal the command has had it, too; from kill(1) only we have. */
	if (t->signals.by_process)
		launched_signal(&t->launched, t->signals.last);
}

/* Sets the timer, unless reports come as often. */
static void await_sample(struct trace *t)
{
	uint64_t period_ns = (clock_monotonic_ns() - t->start_ns) / SAMPLES_RATIO;
	struct itimerspec once = {0};

	if (period_ns < NS_PER_SECOND)
		period_ns = NS_PER_SECOND;
	if (period_ns < t->sample_cost_ns * SAMPLE_COST_RATIO)
		period_ns = t->sample_cost_ns * SAMPLE_COST_RATIO;
	if (t->options.interval_ns > period_ns)
		once.it_value = to_timespec(period_ns);
	timerfd_settime(t->samples, 0, &once, NULL);
}

static int on_sample(struct trace *t, struct diag *d)
{
	uint64_t n_expired, from_ns = clock_monotonic_ns();
	int err = 0;

	if (read(t->samples, &n_expired, sizeof(n_expired)) != sizeof(n_expired))
		return 0;
	if (!reporter_is_busy(t->reporter)) {
		err = assembly_sample(&t->assembly, d);
		t->sample_cost_ns = clock_monotonic_ns() - from_ns;
	}
	await_sample(t);
	return err;
}

static int on_timer(struct trace *t, struct diag *d)
{
	uint64_t n_expired;

	if (read(t->timer, &n_expired, sizeof(n_expired)) != sizeof(n_expired))
		return 0;
	t->report_due = true;
	return follow_recheck(&t->follow, d);
}

/* Begins what is due, unless the report before is still being written. */
static int report_if_due(struct trace *t, struct diag *d)
{
	bool urgent = t->tracing.urgent;

	if (t->end || reporter_is_busy(t->reporter))
		return 0;
	if (t->report_due) {
		/* The count's last report is written by the end of the trace; of folded stacks it is the only one. */
		if (t->options.count && t->n_reports + 1 >= t->options.count) {
			t->end = "count reached";
			return 0;
		}
		t->n_reports++;
	} else if (!urgent ||
		   (!tracing_has_any(&t->tracing) && !t->follow.tracing && !t->options.escalate)) {
		/* Evidence is saved before those whom it is about, or we, are gone: if all are, the last report comes now. */
		return 0;
	}
	t->report_due = t->tracing.urgent = false;
	return reports_periodically(t) ? begin_report(t, false, d) : 0;
}

static int on_pass(struct trace *t, struct diag *d)
{
	uint64_t n_expired;

	if (read(t->passes, &n_expired, sizeof(n_expired)) != sizeof(n_expired))
		return 0;
	return escalation_step(&t->escalation, d);
}

static int on_command_end(struct trace *t, struct diag *d)
{
	epoll_ctl(t->epoll, EPOLL_CTL_DEL, launched_fd(&t->launched), NULL);
	return launched_on_end(&t->launched, d);
}

static void check_end(struct trace *t)
{
	if (t->end)
		return;
	if (t->options.duration_ns && clock_monotonic_ns() - t->start_ns >= t->options.duration_ns)
		t->end = "time is up";
	else if (!tracing_has_any(&t->tracing) && !t->follow.tracing && !t->options.escalate &&
		 !launched_runs(&t->launched))
		t->end = t->launched.launch ? "the command ended" : "the target ended";
}

static int wait_ms(const struct trace *t)
{
	uint64_t gone = clock_monotonic_ns() - t->start_ns, left_ms;

	if (!t->options.duration_ns || t->end)
		return -1;
	if (gone >= t->options.duration_ns)
		return 0;
	left_ms = (t->options.duration_ns - gone) / 1000000 + 1;
	return left_ms < LONGEST_WAIT_MS ? left_ms : LONGEST_WAIT_MS;
}

/* Waits for events and handles them: those of processes first. */
static int step(struct trace *t, struct diag *d)
{
	struct epoll_event events[8];
	int n = epoll_wait(t->epoll, events, ARRAY_SIZE(events), wait_ms(t)), err;

	if (n < 0 && errno != EINTR)
		return diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
	tracing_drain(&t->tracing);
	err = follow_settle(&t->follow, d);
	for (int i = 0; i < n && !err; i++) {
		int fd = events[i].data.fd;

		if (fd == t->signals.fd)
			on_signal(t);
		else if (fd == t->timer)
			err = on_timer(t, d);
		else if (fd == t->samples)
			err = on_sample(t, d);
		else if (fd == t->passes)
			err = on_pass(t, d);
		else if (fd == reporter_fd(t->reporter))
			err = reporter_settle(t->reporter, &t->lost, d);
		else if (fd == launched_fd(&t->launched))
			err = on_command_end(t, d);
	}
	check_end(t);
	return err;
}

/* Processes go on being followed while a report is written. */
static int wait_for_report(struct trace *t, struct diag *d)
{
	int err = 0;

	while (!err && reporter_is_busy(t->reporter))
		err = step(t, d);
	return err;
}

static int run(struct trace *t, struct diag *d)
{
	struct itimerspec period = {to_timespec(t->options.interval_ns),
				    to_timespec(t->options.interval_ns)};
	int err = watch_fd(t, collector_fd(t->tracing.collector));

	if (!err)
		err = watch_fd(t, mapping_watch_fd(t->tracing.mappings));
	if (!err)
		err = watch_fd(t, reporter_fd(t->reporter));
	if (!err && timerfd_settime(t->timer, 0, &period, NULL))
		err = -errno;
	await_sample(t);
	while (!err && !t->end) {
		err = step(t, d);
		if (!err)
			err = report_if_due(t, d);
	}
	if (!err)
		err = wait_for_report(t, d);
	if (!err)
		err = begin_report(t, true, d);
	return err ? err : wait_for_report(t, d);
}

static int start_reporter(struct trace *t, struct diag *d)
{
	const struct reporter_options options = {
		.assembly = &t->assembly,
		.sink = &t->sink,
		.session = &t->session.session,
		.blocks = t->options.show_allocs,
		.memory = !t->options.growth && !t->options.select.everything,
		.only_if_processes = t->options.escalate,
	};
	int err = reporter_create(&options, &t->reporter, d);

	if (err)
		return err;
	t->calls = (struct calls){t->reporter, t->options.format == OPTIONS_FORMAT_NDJSON};
	t->tracing.on_call = calls_print;
	t->tracing.on_call_arg = &t->calls;
	return 0;
}

static int start_escalation(struct trace *t, struct diag *d)
{
	const struct escalation_options options = {
		.selector = t->options.select,
		.hostname = t->session.host.nodename,
		.most = t->options.escalate_most,
		.for_ns = t->options.escalate_ns,
		.again_ns = ESCALATE_AGAIN_NS,
	};
	int err = escalation_init(&t->escalation, &options, &t->tracing, d);

	if (!err)
		err = escalation_step(&t->escalation, d);
	if (!err && !t->options.quiet)
		log_info("watching; who grows is traced for a while; Ctrl-C for the last report");
	return err;
}

static int start_targets(struct trace *t, struct diag *d)
{
	if (t->options.pids.n)
		return start_pids(t, d);
	if (starts_command(t))
		return start_command(t, d);
	if (t->options.escalate)
		return start_escalation(t, d);
	return follow_start(&t->follow, &t->options.select, &t->tracing, d);
}

static int start(struct trace *t, struct diag *d)
{
	int err;

	err = open_events(t, d);
	if (!err)
		err = suppressing_load(&t->suppressing, t->options.suppressions, d);
	if (!err)
		err = open_sink(t, d);
	if (!err)
		err = governing_prepare(&t->tracing, &t->options, d);
	if (!err && starts_command(t))
		err = launched_hold(&t->launched, &t->options, &t->tracing, d);
	if (!err)
		err = tracing_open(&t->options, &t->tracing, d);
	if (err)
		return err;
	t->assembly.sampled = t->options.sample_bytes || t->options.sample_rate > 1;
	t->assembly.pages = t->options.growth;
	t->assembly.older_ns = t->options.older_ns;
	t->assembly.names.frame_pointers = t->options.stack == OPTIONS_STACK_FP;
	t->assembly.names.suppressions = t->suppressing.rules;
	t->assembly.by_count = t->options.sort == OPTIONS_SORT_COUNT;
	err = assembly_init(&t->assembly, &t->tracing, d);
	if (err)
		return err;
	t->start_ns = clock_monotonic_ns();
	err = trace_session_init(&t->session, &t->options, &t->tracing, d);
	if (!err)
		err = start_targets(t, d);
	if (err)
		return err;
	kernel_look_at_limits(t->tracing.kernel);
	err = sink_session(&t->sink, &t->session.session);
	if (err)
		sink_explain(&t->sink, err, d);
	return err ? err : start_reporter(t, d);
}

/* Runs the whole trace. Returns the exit code. */
static int trace(struct trace *t)
{
	struct diag d = {0}, close_diag = {0};
	int err = start(t, &d);

	if (!err)
		err = run(t, &d);
	if (t->follow.n_vanished && t->options.verbose)
		log_info(
			"%llu processes ended before it was known whether they match, or while they were attached to",
			(unsigned long long)t->follow.n_vanished);
	reporter_destroy(t->reporter);
	if (!err && launched_runs(&t->launched) && !t->options.quiet)
		log_info("the command goes on running, untraced");
	launched_release(&t->launched);
	if (sink_close(&t->sink, &close_diag) && !err) {
		err = -EIO;
		d = close_diag;
	}
	if (err && d.text[0])
		return log_diag(&d);
	return err ? EXIT_RUNTIME : t->lost ? EXIT_LOST : EXIT_DONE;
}

int trace_command(struct trace_options *options)
{
	struct trace t = {.options = *options,
			  .epoll = -1,
			  .signals = SIGNALS_INIT,
			  .timer = -1,
			  .samples = -1,
			  .passes = -1};
	int code;

	if (t.options.quiet)
		log_set_level(LOG_QUIET);
	t.options.select.names = &t.containers;
	code = trace(&t);
	signals_close(&t.signals);
	assembly_done(&t.assembly);
	suppressing_done(&t.suppressing);
	follow_done(&t.follow);
	escalation_done(&t.escalation);
	containers_done(&t.containers);
	tracing_close(&t.tracing);
	trace_options_done(&t.options);
	trace_session_done(&t.session);
	for (int *fd = (int[]){t.epoll, t.timer, t.samples, t.passes, -2}; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	return code;
}

int cmd_trace(int argc, char **argv)
{
	struct trace_options options;
	struct diag d = {0};
	int r = trace_options_parse(argc, argv, &options, &d);

	return r ? command_settle(&command_trace, r, &d) : trace_command(&options);
}
