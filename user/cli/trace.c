// SPDX-License-Identifier: BSD-2-Clause
/* seep trace: the outstanding allocations of live processes. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/calls.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/sink.h"
#include "cli/terminal.h"
#include "daemon/escalate.h"
#include "daemon/marking.h"
#include "daemon/tracer.h"
#include "model/scan_report.h"
#include "output/watch.h"

struct trace {
	const struct trace_options *options;
	struct signals signals;
	struct sink sink;
	struct output_format
		check_format; /* of --check: text that names no process but those with leaks */
	struct tracer *tracer;
	struct marking *marking; /* NULL: there is no place for its socket */
};

static int open_sink(struct trace *t, struct diag *d)
{
	const struct trace_options *o = t->options;

	t->sink.signals = &t->signals;
	t->sink.format = output_find(options_format_name(o->format));
	if (o->check && t->sink.format == &output_text) {
		t->check_format = output_text;
		t->check_format.report = NULL;
		t->check_format.report_end = NULL;
		t->sink.format = &t->check_format;
	}
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

/* What the watch sees, as text before the report. */
static int print_watch(void *arg, struct escalation *e, uint64_t time_ns, bool last, char **ret,
		       size_t *ret_n)
{
	const struct trace *t = arg;
	const struct watch_output_options output = {
		.color = t->sink.options.color,
		.utf8 = terminal_utf8(),
		.width = t->sink.options.width,
		.verbose = t->options->verbose,
	};
	FILE *f;
	int err;

	if (t->sink.format->last_only || t->options->format == OPTIONS_FORMAT_HTML)
		return 0;
	f = open_memstream(ret, ret_n);
	if (!f)
		return -errno;
	err = escalation_report(e, f, t->options->format == OPTIONS_FORMAT_NDJSON, &output, time_ns,
				last);
	return fclose(f) && !err ? -ENOMEM : err;
}

static bool print_call(void *arg, const struct collector_event *event)
{
	const struct trace *t = arg;

	return calls_print(t->tracer, t->options->format == OPTIONS_FORMAT_NDJSON, event);
}

static int start(struct trace *t, struct diag *d)
{
	const struct tracer_options options = {
		.trace = t->options,
		.writer = sink_writer(&t->sink),
		.blocks = t->options->show_allocs,
		.last_only = t->sink.format->last_only,
		.preface = print_watch,
		.on_call = print_call,
		.arg = t,
	};

	struct diag unmarked = {0};
	int err = tracer_create(&options, &t->tracer, d);

	if (!err && marking_create(CONTROL_TRACE, t->tracer, &t->marking, &unmarked))
		log_info("'seep mark' will not find this trace: %s", unmarked.text);
	return err;
}

static void on_signal(struct trace *t)
{
	const char *why = signals_read(&t->signals);

	/* From a terminal the command has had it, too; from kill(1) only we have. */
	if (why)
		tracer_end(t->tracer, why, t->signals.by_process ? t->signals.last : 0);
}

static int run(struct trace *t, struct diag *d)
{
	struct pollfd fds[] = {
		{.fd = tracer_fd(t->tracer), .events = POLLIN},
		{.fd = t->signals.fd, .events = POLLIN},
		{.fd = marking_fd(t->marking), .events = POLLIN},
	};
	int err = 0;

	while (!err && !tracer_is_over(t->tracer)) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
		if (fds[1].revents)
			on_signal(t);
		if (fds[2].revents)
			marking_step(t->marking);
		err = tracer_step(t->tracer, d);
	}
	return err;
}

/* Of a trace that came to its end. c: NULL without --check. */
static int exit_code(const struct check_sums *c, bool lost)
{
	if (c && (c->direct.n || c->indirect.n))
		return EXIT_LEAKED;
	if (c && c->command_ended && c->command_status)
		return EXIT_COMMAND;
	return lost || (c && c->n_unchecked) ? EXIT_LOST : EXIT_DONE;
}

/* Runs the whole trace. Returns the exit code. */
static int trace(struct trace *t)
{
	struct diag d = {0}, close_diag = {0};
	int code = EXIT_RUNTIME;
	int err = signals_open(&t->signals, &d);

	if (!err)
		err = open_sink(t, &d);
	if (!err)
		err = start(t, &d);
	if (!err) {
		err = run(t, &d);
		code = exit_code(tracer_check(t->tracer), tracer_has_lost(t->tracer));
	}
	marking_destroy(t->marking);
	tracer_destroy(t->tracer);
	if (sink_close(&t->sink, &close_diag) && !err) {
		err = -EIO;
		d = close_diag;
	}
	if (err && d.text[0])
		return log_diag(&d);
	return err ? EXIT_RUNTIME : code;
}

int trace_command(struct trace_options *options)
{
	struct trace t = {.options = options, .signals = SIGNALS_INIT};
	int code;

	if (options->quiet)
		log_set_level(LOG_QUIET);
	code = trace(&t);
	signals_close(&t.signals);
	trace_options_done(options);
	return code;
}

int cmd_trace(int argc, char **argv)
{
	struct trace_options options;
	struct diag d = {0};
	int r = trace_options_parse(argc, argv, &options, &d);

	return r ? command_settle(&command_trace, r, &d) : trace_command(&options);
}
