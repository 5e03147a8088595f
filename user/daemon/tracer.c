// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/tracer.h"

#include <errno.h>
#include <stdio.h>
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
#include "collect/collector.h"
#include "collect/mappings.h"
#include "daemon/assemble.h"
#include "daemon/checking.h"
#include "daemon/escalate.h"
#include "daemon/follow.h"
#include "daemon/governing.h"
#include "daemon/kernel_heap.h"
#include "daemon/launched.h"
#include "daemon/suppressing.h"
#include "daemon/trace_options.h"
#include "daemon/trace_session.h"
#include "daemon/tracing.h"

#define ESCALATE_AGAIN_NS                                                                          \
	(600 * NS_PER_SECOND) /* a suspect is left alone for so long after it was traced */
/* Between reports counters are read for the verdicts, so often in all of the time, but not at a cost of more than a hundredth. */
#define SAMPLES_RATIO 20
#define SAMPLE_COST_RATIO 100

struct tracer {
	struct tracer_options options;
	struct trace_options trace; /* a copy; its strings are the caller's */
	struct suppressing suppressing;
	struct tracing tracing;
	struct containers containers; /* the selector's: the loop's thread's */
	struct follow follow;	      /* with selectors */
	struct escalation escalation;
	struct assembly assembly;
	struct reporter *reporter;
	struct trace_session session;
	struct launched launched;
	struct checking *checking; /* --check, or NULL */
	int epoll;
	int reports, samples, passes,
		deadline; /* timers: of what is due; passes are the escalation's */
	uint64_t sample_cost_ns;
	bool report_due, lost;
	const char *end;       /* why the trace ends, NULL: it goes on */
	const char *end_later; /* the same, of a trace that ends with its command; or NULL */
	bool last_begun;       /* the last report is being written, or was */
	uint64_t start_ns, n_reports;
};

static int watch_fd(struct tracer *t, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int set_timer(int fd, uint64_t first_ns, uint64_t period_ns)
{
	const struct itimerspec times = {
		.it_value = {first_ns / NS_PER_SECOND, first_ns % NS_PER_SECOND},
		.it_interval = {period_ns / NS_PER_SECOND, period_ns % NS_PER_SECOND},
	};

	return timerfd_settime(fd, 0, &times, NULL) ? -errno : 0;
}

/* Whether it went off since the last look. */
static bool timer_expired(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

static int open_events(struct tracer *t, struct diag *d)
{
	int *const timers[] = {&t->reports, &t->samples, &t->passes, &t->deadline};
	int err;

	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = t->epoll < 0 ? -errno : 0;
	for (size_t i = 0; i < ARRAY_SIZE(timers) && !err; i++) {
		*timers[i] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		err = *timers[i] < 0 ? -errno : watch_fd(t, *timers[i]);
	}
	return err ? diag_set(d, -err, "cannot wait for events: %s", strerror(-err)) : 0;
}

static void log_attached(struct tracer *t, const struct identity *id)
{
	if (t->trace.growth)
		log_info(
			"watching process %d (%s) grow, without probes; Ctrl-C for the last report",
			id->pid, id->comm);
	else
		log_info(
			"tracing process %d (%s): %zu probes, %s links; Ctrl-C for the last report",
			id->pid, id->comm, cover_count(t->tracing.cover, id->pid),
			link_kind_name(kernel_link(t->tracing.kernel)));
}

static int start_pids(struct tracer *t, struct diag *d)
{
	const struct pid_list *pids = &t->trace.pids;

	for (size_t i = 0; i < pids->n; i++) {
		struct identity id = {0};
		int err = tracing_attach(&t->tracing, pids->items[i], d);

		if (err)
			return err;
		if (!identity_read(pids->items[i], &id, d) && !t->trace.quiet)
			log_attached(t, &id);
	}
	return 0;
}

static int start_command(struct tracer *t, struct diag *d)
{
	int err = watch_fd(t, launched_fd(&t->launched));

	return err ? diag_set(d, -err, "cannot wait for events: %s", strerror(-err))
		   : launched_start(&t->launched, d);
}

static bool starts_command(const struct tracer *t)
{
	return t->trace.argv || t->trace.command;
}

static int start_escalation(struct tracer *t, struct diag *d)
{
	const struct escalation_options options = {
		.selector = t->trace.select,
		.hostname = t->session.host.nodename,
		.most = t->trace.escalate_most,
		.for_ns = t->trace.escalate_ns,
		.again_ns = ESCALATE_AGAIN_NS,
	};
	int err = escalation_init(&t->escalation, &options, &t->tracing, d);

	if (!err)
		err = escalation_step(&t->escalation, d);
	if (!err && !t->trace.quiet)
		log_info("watching; who grows is traced for a while; Ctrl-C for the last report");
	return err;
}

static int start_kernel(struct tracer *t, struct diag *d)
{
	int err = kernel_heap_begin(&t->tracing, d);

	if (!err && !t->trace.quiet)
		log_info("tracing the kernel's %s; Ctrl-C for the last report",
			 t->trace.percpu ? "per-CPU allocations" : "allocations");
	return err;
}

static int start_targets(struct tracer *t, struct diag *d)
{
	if (t->trace.kernel)
		return start_kernel(t, d);
	if (t->trace.pids.n)
		return start_pids(t, d);
	if (starts_command(t))
		return start_command(t, d);
	if (t->trace.escalate)
		return start_escalation(t, d);
	return follow_start(&t->follow, &t->trace.select, &t->tracing, d);
}

static int start_assembly(struct tracer *t, struct diag *d)
{
	const struct trace_options *o = &t->trace;

	t->assembly.sampled = o->sample_bytes || o->sample_rate > 1;
	t->assembly.pages = o->growth;
	t->assembly.older_ns = o->older_ns;
	t->assembly.names.frame_pointers = o->stack == OPTIONS_STACK_FP;
	t->assembly.names.suppressions = t->suppressing.rules;
	t->assembly.by_count = o->sort == OPTIONS_SORT_COUNT;
	return assembly_init(&t->assembly, &t->tracing, d);
}

static int start_reporter(struct tracer *t, struct diag *d)
{
	const struct report_writer *w = &t->options.writer;
	const struct reporter_options options = {
		.assembly = &t->assembly,
		.writer = w,
		.session = &t->session.session,
		.blocks = t->options.blocks,
		.checking = t->checking,
		.memory = !t->trace.growth && !t->trace.select.everything && !t->checking &&
			  !t->trace.kernel,
		.only_if_processes = t->trace.escalate,
	};
	int err = w->session(w->arg, &t->session.session);

	if (err) {
		w->explain(w->arg, err, d);
		return err;
	}
	err = reporter_create(&options, &t->reporter, d);
	if (err)
		return err;
	t->tracing.on_call = t->options.on_call;
	t->tracing.on_call_arg = t->options.arg;
	return 0;
}

/* Sets the timer, unless reports come as often. */
static void await_sample(struct tracer *t)
{
	uint64_t period_ns = (clock_monotonic_ns() - t->start_ns) / SAMPLES_RATIO;

	if (period_ns < NS_PER_SECOND)
		period_ns = NS_PER_SECOND;
	if (period_ns < t->sample_cost_ns * SAMPLE_COST_RATIO)
		period_ns = t->sample_cost_ns * SAMPLE_COST_RATIO;
	set_timer(t->samples, t->trace.interval_ns > period_ns ? period_ns : 0, 0);
}

/* From here on the loop has something to wait for. */
static int start_loop(struct tracer *t, struct diag *d)
{
	const struct trace_options *o = &t->trace;
	int err = watch_fd(t, collector_fd(t->tracing.collector));

	if (!err)
		err = watch_fd(t, mapping_watch_fd(t->tracing.mappings));
	if (!err)
		err = watch_fd(t, reporter_fd(t->reporter));
	if (!err)
		err = set_timer(t->reports, o->interval_ns, o->interval_ns);
	if (!err && o->escalate)
		err = set_timer(t->passes, NS_PER_SECOND, NS_PER_SECOND);
	if (!err && o->duration_ns)
		err = set_timer(t->deadline, o->duration_ns, 0);
	await_sample(t);
	return err ? diag_set(d, -err, "cannot wait for events: %s", strerror(-err)) : 0;
}

static int start(struct tracer *t, struct diag *d)
{
	int err = open_events(t, d);

	if (!err)
		err = suppressing_load(&t->suppressing, t->trace.suppressions, d);
	if (!err)
		err = governing_prepare(&t->tracing, &t->trace, d);
	if (!err && t->trace.check)
		err = checking_create(&t->tracing, &t->checking, d);
	t->tracing.checking = t->checking;
	if (!err && starts_command(t))
		err = launched_hold(&t->launched, &t->trace, &t->tracing, d);
	if (!err)
		err = tracing_open(&t->trace, &t->tracing, d);
	if (!err)
		err = start_assembly(t, d);
	if (err)
		return err;
	t->start_ns = clock_monotonic_ns();
	err = trace_session_init(&t->session, &t->trace, &t->tracing, d);
	if (!err)
		err = start_targets(t, d);
	if (err)
		return err;
	kernel_look_at_limits(t->tracing.kernel);
	err = start_reporter(t, d);
	return err ? err : start_loop(t, d);
}

int tracer_create(const struct tracer_options *options, struct tracer **ret, struct diag *d)
{
	struct tracer *t = malloc(sizeof(*t));
	int err;

	if (!t)
		return diag_set(d, ENOMEM, "out of memory");
	*t = (struct tracer){
		.options = *options,
		.trace = *options->trace,
		.epoll = -1,
		.reports = -1,
		.samples = -1,
		.passes = -1,
		.deadline = -1,
	};
	t->trace.select.names = &t->containers;
	err = start(t, d);
	if (err) {
		tracer_destroy(t);
		return err;
	}
	*ret = t;
	return 0;
}

/* The reporter's thread, which uses all the rest, ends first. */
void tracer_destroy(struct tracer *t)
{
	if (!t)
		return;
	if (t->follow.n_vanished && t->trace.verbose)
		log_info(
			"%llu processes ended before it was known whether they match, or while they were attached to",
			(unsigned long long)t->follow.n_vanished);
	reporter_destroy(t->reporter);
	if (t->last_begun && launched_runs(&t->launched) && !t->trace.quiet)
		log_info("the command goes on running, untraced");
	launched_release(&t->launched);
	checking_destroy(t->checking);
	assembly_done(&t->assembly);
	suppressing_done(&t->suppressing);
	follow_done(&t->follow);
	escalation_done(&t->escalation);
	containers_done(&t->containers);
	tracing_close(&t->tracing);
	trace_session_done(&t->session);
	for (int *fd = (int[]){t->epoll, t->reports, t->samples, t->passes, t->deadline, -2};
	     *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	free(t);
}

/* Takes a report and has it written. mark: the name of the mark that it sets, or "". ret_mark: may be NULL. */
static int begin_report(struct tracer *t, bool last, const char *mark, struct mark *ret_mark,
			struct diag *d)
{
	struct assembled r = {0};
	struct session_end end;
	char *preface = NULL;
	size_t n_preface = 0;
	int err = assemble_take(&t->assembly, last, &r, d);

	if (err)
		return err;
	snprintf(r.mark, sizeof(r.mark), "%s", mark);
	if (t->trace.escalate && t->options.preface)
		err = t->options.preface(t->options.arg, &t->escalation, r.report.time_ns, last,
					 &preface, &n_preface);
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
	t->last_begun |= last;
	if (last && t->checking)
		checking_set_command(t->checking, t->launched.ended, t->launched.wait_status);
	if (ret_mark) {
		*ret_mark =
			(struct mark){.time_ns = r.report.time_ns, .sequence = r.report.sequence};
		snprintf(ret_mark->name, sizeof(ret_mark->name), "%s", mark);
	}
	reporter_submit(t->reporter, &r, preface, n_preface, last ? &end : NULL);
	return 0;
}

static int on_sample(struct tracer *t, struct diag *d)
{
	uint64_t from_ns = clock_monotonic_ns();
	int err = 0;

	if (!reporter_is_busy(t->reporter)) {
		err = assembly_sample(&t->assembly, d);
		t->sample_cost_ns = clock_monotonic_ns() - from_ns;
	}
	await_sample(t);
	return err;
}

/* What is to be done about the processes, whatever becomes of the reports. */
static int on_event(struct tracer *t, int fd, struct diag *d)
{
	if (fd == t->reports && timer_expired(fd)) {
		t->report_due = true;
		return follow_recheck(&t->follow, d);
	}
	if (fd == t->samples && timer_expired(fd))
		return on_sample(t, d);
	if (fd == t->passes && timer_expired(fd))
		return escalation_step(&t->escalation, d);
	if (fd == t->deadline && timer_expired(fd) && !t->end)
		t->end = "time is up";
	if (fd == reporter_fd(t->reporter))
		return reporter_settle(t->reporter, &t->lost, d);
	if (fd == launched_fd(&t->launched)) {
		epoll_ctl(t->epoll, EPOLL_CTL_DEL, fd, NULL);
		return launched_on_end(&t->launched, d);
	}
	return 0;
}

/* Whether there is, or may come to be, somebody to trace. */
static bool has_targets(struct tracer *t)
{
	return tracing_has_any(&t->tracing) || t->follow.tracing || t->trace.escalate ||
	       t->trace.kernel;
}

/* Begins the report that is due, unless the one before is still being written. */
static int report_if_due(struct tracer *t, struct diag *d)
{
	bool urgent = t->tracing.urgent && has_targets(t);

	if (reporter_is_busy(t->reporter) || t->last_begun)
		return 0;
	if (t->end)
		return begin_report(t, true, "", NULL, d);
	/* Evidence is saved before those whom it is about, or we, are gone: if all are, the last report comes now. */
	if (!t->report_due && !urgent)
		return 0;
	if (t->report_due) {
		/* The count's last report is written by the end of the trace. */
		if (t->trace.count && t->n_reports + 1 >= t->trace.count) {
			t->end = "count reached";
			return begin_report(t, true, "", NULL, d);
		}
		t->n_reports++;
	}
	t->report_due = t->tracing.urgent = false;
	return t->options.last_only ? 0 : begin_report(t, false, "", NULL, d);
}

/* Events of processes first: what else waits may end them. */
int tracer_step(struct tracer *t, struct diag *d)
{
	struct epoll_event events[8];
	int n = epoll_wait(t->epoll, events, ARRAY_SIZE(events), 0), err;

	if (n < 0 && errno != EINTR)
		return diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
	tracing_drain(&t->tracing);
	err = follow_settle(&t->follow, d);
	for (int i = 0; i < n && !err; i++)
		err = on_event(t, events[i].data.fd, d);
	if (t->end_later && !launched_runs(&t->launched))
		t->end = t->end_later;
	if (!t->end && !has_targets(t) && !launched_runs(&t->launched))
		t->end = t->launched.launch ? "the command ended" : "the target ended";
	return err ? err : report_if_due(t, d);
}

int tracer_fd(const struct tracer *t)
{
	return t->epoll;
}

void tracer_end(struct tracer *t, const char *why, int number)
{
	if (number)
		launched_signal(&t->launched, number);
	if (!t->checking || !launched_runs(&t->launched)) {
		t->end = why;
		return;
	}
	t->end_later = why;
	if (!t->trace.quiet)
		log_info("waiting for the command's end, to check it; Ctrl-C again gives up");
}

bool tracer_is_over(const struct tracer *t)
{
	return t->last_begun && !reporter_is_busy(t->reporter);
}

bool tracer_has_lost(const struct tracer *t)
{
	return t->lost;
}

const struct check_sums *tracer_check(const struct tracer *t)
{
	return t->checking && tracer_is_over(t) ? checking_sums(t->checking) : NULL;
}

int tracer_mark(struct tracer *t, const char *name, struct mark *ret, struct diag *d)
{
	if (t->end || t->last_begun)
		return diag_set(d, ESHUTDOWN, "the trace is ending");
	if (reporter_is_busy(t->reporter))
		return diag_set(d, EAGAIN, "the trace is still writing a report");
	return begin_report(t, false, name, ret, d);
}

bool tracer_traces(struct tracer *t, pid_t pid)
{
	return tracing_is_traced(&t->tracing, pid);
}

const struct session *tracer_session(const struct tracer *t)
{
	return &t->session.session;
}

bool tracer_say(struct tracer *t, const char *text, size_t n)
{
	return reporter_say(t->reporter, text, n);
}
