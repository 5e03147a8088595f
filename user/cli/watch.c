// SPDX-License-Identifier: BSD-2-Clause
/* seep watch: every process on the host, suspects first. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/sink.h"
#include "cli/terminal.h"
#include "daemon/watch_view.h"
#include "daemon/passes.h"
#include "output/watch.h"
#include "process/container.h"
#include "process/identity.h"

#define LONGEST_WAIT_MS 3600000

struct watch {
	struct watch_options options;
	struct watch_view view;
	struct passes passes;
	const struct watch_format *format;
	struct sink sink; /* its stream only */
	struct strings strings;
	struct containers containers; /* the selector's */
	struct {
		const char **items;
		size_t n, cap;
	} targets;
	struct watch_session session;
	struct utsname host;
	struct signals signals;
	int timer;
	const char *end; /* why it ends, NULL: it goes on */
	uint64_t start_ns, start_cpu_ns;
	uint64_t period_ns, n_periods; /* of the timer; how many make an interval */
	uint64_t n_ticks, next_report; /* of the timer so far; the tick that it is due at */
	uint64_t n_reports;
	uint64_t report_ns, report_cpu_ns; /* at the report before */
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static double seconds(uint64_t ns)
{
	return (double)ns / NS_PER_SECOND;
}

static int open_events(struct watch *w, struct diag *d)
{
	int err = signals_open(&w->signals, d);

	if (err)
		return err;
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer < 0)
		return diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
	return 0;
}

/* About a second, so often that an interval is a whole number of them. */
static int start_timer(struct watch *w, struct diag *d)
{
	struct itimerspec timer;

	w->n_periods = (w->options.interval_ns + NS_PER_SECOND / 2) / NS_PER_SECOND;
	w->n_periods = w->n_periods ? w->n_periods : 1;
	w->period_ns = w->options.interval_ns / w->n_periods;
	w->next_report = w->n_periods;
	timer.it_value.tv_sec = w->period_ns / NS_PER_SECOND;
	timer.it_value.tv_nsec = w->period_ns % NS_PER_SECOND;
	timer.it_interval = timer.it_value;
	if (timerfd_settime(w->timer, 0, &timer, NULL))
		return diag_set(d, errno, "cannot set a timer: %s", strerror(errno));
	return 0;
}

static int add_target(struct watch *w, const char *kind, const char *value)
{
	char text[4096 + 16];
	const char *kept;

	if (!value)
		return 0;
	snprintf(text, sizeof(text), "%s %s", kind, value);
	kept = strings_intern(&w->strings, text);
	return kept ? vec_push(&w->targets, kept) : -ENOMEM;
}

static int describe_session(struct watch *w)
{
	const struct watch_options *o = &w->options;
	int err = 0;

	for (size_t i = 0; i < o->show.pids.n && !err; i++) {
		char pid[16];

		snprintf(pid, sizeof(pid), "%d", o->show.pids.items[i]);
		err = add_target(w, "pid", pid);
	}
	err = err ? err : add_target(w, "comm", o->comm);
	err = err ? err : add_target(w, "exe", o->exe);
	err = err ? err : add_target(w, "cgroup", o->cgroup);
	err = err ? err : add_target(w, "container", o->container);
	err = err ? err : add_target(w, "user", o->user);
	uname(&w->host);
	w->session = (struct watch_session){
		.version = SEEP_VERSION,
		.kernel = w->host.release,
		.hostname = w->host.nodename,
		.start_ns = clock_realtime_ns(),
		.interval_seconds = seconds(o->interval_ns),
		.targets = w->targets.items,
		.n_targets = w->targets.n,
	};
	return err;
}

/* What cannot be watched is said at once, not by its absence. */
static int check_pids(const struct watch *w, struct diag *d)
{
	_cleanup_free_ struct identity *id = malloc(sizeof(*id));

	if (!id)
		return diag_set(d, ENOMEM, "out of memory");
	for (size_t i = 0; i < w->options.show.pids.n; i++) {
		int err = identity_read(w->options.show.pids.items[i], id, d);

		if (err)
			return err;
	}
	return 0;
}

static struct watch_output_options output_options(const struct watch_options *o)
{
	return (struct watch_output_options){
		.color = terminal_color(o->color, o->output),
		.utf8 = terminal_utf8(),
		.width = terminal_width(o->output),
		.verbose = o->verbose,
		.all = o->show.all,
	};
}

static void measure(struct watch *w, struct watch_cost *ret)
{
	uint64_t now_ns = clock_monotonic_ns(), now_cpu_ns = cpu_ns();

	passes_cost(&w->passes, w->period_ns, ret);
	ret->cpu_ratio = now_ns > w->report_ns
				 ? (double)(now_cpu_ns - w->report_cpu_ns) / (now_ns - w->report_ns)
				 : 0;
	w->report_ns = now_ns;
	w->report_cpu_ns = now_cpu_ns;
}

static int report(struct watch *w, bool last, struct diag *d)
{
	const struct watch_output_options output = output_options(&w->options);
	struct watch_report r = {
		.time_ns = clock_realtime_ns(),
		.elapsed_seconds = seconds(clock_monotonic_ns() - w->start_ns),
		.sequence = ++w->n_reports,
		.final = last,
	};
	const struct watcher_item *items;
	size_t n_items = watcher_items(w->passes.watcher, &items);
	int err = view_report(&w->view, w->passes.last, items, n_items, &r);

	if (err)
		return diag_set(d, -err, "out of memory");
	measure(w, &r.cost);
	err = w->format->report(w->sink.stream, &output, &w->session, &r);
	if (!err && last) {
		const struct watch_end end = {
			.time_ns = r.time_ns,
			.why = w->end,
			.duration_seconds = r.elapsed_seconds,
			.n_passes = w->passes.n,
			.n_missed = w->passes.n_missed,
			.cpu_seconds = seconds(cpu_ns() - w->start_cpu_ns),
		};

		err = w->format->end(w->sink.stream, &output, &w->session, &end);
	}
	if (err)
		sink_explain(&w->sink, err, d);
	return err;
}

static int on_timer(struct watch *w, struct diag *d)
{
	uint64_t n_expired;
	int err;

	if (read(w->timer, &n_expired, sizeof(n_expired)) != sizeof(n_expired))
		return 0;
	w->n_ticks += n_expired;
	w->passes.n_missed += n_expired - 1;
	if (w->n_ticks < w->next_report && !passes_due(&w->passes))
		return 0;
	err = passes_take(&w->passes, d);
	if (err)
		return err;
	if (view_is_over(&w->view, w->passes.last))
		w->end = w->options.show.pids.n > 1 ? "the targets ended" : "the target ended";
	if (w->n_ticks < w->next_report || w->end)
		return 0;
	while (w->next_report <= w->n_ticks)
		w->next_report += w->n_periods;
	/* The count's last report is written by the end. */
	if (w->options.count && w->n_reports + 1 >= w->options.count) {
		w->end = "count reached";
		return 0;
	}
	return report(w, false, d);
}

/* For poll(2): until the time is up, at most an hour, which fits its argument. */
static int wait_ms(const struct watch *w)
{
	uint64_t gone_ns = clock_monotonic_ns() - w->start_ns, left_ms;

	if (!w->options.duration_ns)
		return -1;
	if (gone_ns >= w->options.duration_ns)
		return 0;
	left_ms = (w->options.duration_ns - gone_ns) / 1000000 + 1;
	return left_ms < LONGEST_WAIT_MS ? left_ms : LONGEST_WAIT_MS;
}

static int run(struct watch *w, struct diag *d)
{
	int err = start_timer(w, d);

	while (!err && !w->end) {
		struct pollfd events[] = {
			{.fd = w->signals.fd, .events = POLLIN},
			{.fd = w->timer, .events = POLLIN},
		};

		if (poll(events, ARRAY_SIZE(events), wait_ms(w)) < 0 && errno != EINTR)
			return diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
		w->end = signals_read(&w->signals);
		if (!w->end && wait_ms(w) == 0)
			w->end = "time is up";
		if (!w->end)
			err = on_timer(w, d);
	}
	/* Ended between two passes: the last report is of now. */
	if (!err && clock_monotonic_ns() - w->passes.last->time_ns > w->period_ns / 4)
		err = passes_take(&w->passes, d);
	return err ? err : report(w, true, d);
}

static void log_watching(struct watch *w)
{
	size_t n_all = w->passes.last->n_processes, n = view_count(&w->view, w->passes.last);

	if (n == n_all)
		log_info("watching %zu processes; Ctrl-C for the last report", n);
	else if (!n)
		log_info("no process matches yet: waiting for one; Ctrl-C ends this");
	else
		log_info("watching %zu of %zu processes; Ctrl-C for the last report", n, n_all);
}

static int start(struct watch *w, struct diag *d)
{
	const struct watch_output_options output = output_options(&w->options);
	int err = open_events(w, d);

	w->sink.signals = &w->signals;
	if (!err)
		err = sink_open(&w->sink, w->options.output, NULL, d);
	if (!err)
		err = passes_open(&w->passes, d);
	if (!err)
		err = check_pids(w, d);
	if (err)
		return err;
	if (describe_session(w))
		return diag_set(d, ENOMEM, "out of memory");
	w->start_ns = w->report_ns = clock_monotonic_ns();
	w->start_cpu_ns = w->report_cpu_ns = cpu_ns();
	err = w->format->session(w->sink.stream, &output, &w->session);
	if (err) {
		sink_explain(&w->sink, err, d);
		return err;
	}
	err = passes_take(&w->passes, d);
	if (!err && view_pin(&w->view, w->passes.last))
		err = diag_set(d, ENOMEM, "out of memory");
	if (!err && !w->options.quiet)
		log_watching(w);
	return err;
}

/* Returns the exit code. */
static int watch(struct watch *w)
{
	struct diag d = {0}, close_diag = {0};
	int err = start(w, &d);

	if (!err)
		err = run(w, &d);
	if (sink_close(&w->sink, &close_diag) && !err) {
		err = -EIO;
		d = close_diag;
	}
	if (err && d.text[0])
		return log_diag(&d);
	return err ? EXIT_RUNTIME : EXIT_DONE;
}

static void destroy(struct watch *w)
{
	passes_done(&w->passes);
	view_done(&w->view);
	containers_done(&w->containers);
	watch_options_done(&w->options);
	strings_done(&w->strings);
	free(w->targets.items);
	signals_close(&w->signals);
	if (w->timer >= 0)
		close(w->timer);
}

static int escalate(struct watch_options *o)
{
	struct trace_options options;
	struct diag d = {0};
	int r = trace_options_escalate(o, &options, &d);
	int code = r ? command_settle(&command_watch, r, &d) : trace_command(&options);

	watch_options_done(o);
	return code;
}

int cmd_watch(int argc, char **argv)
{
	struct watch w = {.signals = SIGNALS_INIT, .timer = -1};
	struct diag d = {0};
	int r = watch_options_parse(argc, argv, &w.options, &d), code;

	if (r)
		return command_settle(&command_watch, r, &d);
	if (w.options.escalate)
		return escalate(&w.options);
	/* Who reads all as records wants them all. */
	if (w.options.show.all && w.options.format == OPTIONS_FORMAT_NDJSON)
		w.options.show.top = 0;
	w.view.options = &w.options.show;
	w.view.selector = (struct selector){
		.comm_glob = w.options.comm,
		.exe_glob = w.options.exe,
		.cgroup = w.options.cgroup,
		.container = w.options.container,
		.names = &w.containers,
		.user = w.options.user,
	};
	w.format = w.options.format == OPTIONS_FORMAT_NDJSON ? &watch_ndjson : &watch_text;
	if (w.options.quiet)
		log_set_level(LOG_QUIET);
	r = selector_check(&w.view.selector, &d);
	code = r ? command_settle(&command_watch, r, &d) : watch(&w);
	destroy(&w);
	return code;
}
