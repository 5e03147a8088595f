// SPDX-License-Identifier: BSD-2-Clause
/* seep mark: sets a baseline in a trace that runs in another terminal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "daemon/control_client.h"
#include "output/output.h"

#define PATIENCE_NS (30 * NS_PER_SECOND) /* with a trace that is still writing a report */
#define PAUSE_MS 50

/* A trace that answered, or why it did not. */
struct found {
	struct control_name name;
	struct control_answer answer;
	int err;
};

struct search {
	const struct mark_options *options;
	int directory;
	struct {
		struct found *items;
		size_t n, cap;
	} all, matching;
	int err;
};

static const char *explain(int err)
{
	if (err == -EAGAIN || err == -ETIMEDOUT)
		return "it does not answer: it is stopped, or has too much to do";
	if (err == -ECONNREFUSED || err == -ENOENT)
		return "it has ended";
	if (err == -EBADMSG)
		return "it answered something else: is it another version of seep?";
	return strerror(-err);
}

static void look_at(void *arg, const struct control_name *name)
{
	struct search *s = arg;
	const struct mark_options *o = s->options;
	const struct control_request who = {
		.verb = CONTROL_WHO,
		.pid = o->pids.n ? o->pids.items[0] : 0,
	};
	struct found f = {.name = *name};

	if (s->err || (o->trace && (pid_t)o->trace != name->pid))
		return;
	f.err = control_ask(s->directory, name, &who, &f.answer);
	if (f.err == -ECONNREFUSED || f.err == -ENOENT)
		return;
	s->err = vec_push(&s->all, f);
	if (!s->err && (!o->pids.n || (!f.err && f.answer.traces)))
		s->err = vec_push(&s->matching, f);
}

static void put_trace(FILE *to, const struct found *f)
{
	uint64_t now_ns = clock_realtime_ns();
	char age[FORMAT_SIZE];

	fprintf(to, "\n  --trace %d  ", f->name.pid);
	if (f->err) {
		fputs(explain(f->err), to);
		return;
	}
	format_seconds(now_ns > f->answer.start_ns
			       ? (double)(now_ns - f->answer.start_ns) / NS_PER_SECOND
			       : 0,
		       age);
	fprintf(to, "traces %s, for %s", f->answer.targets, age);
}

/* The traces, as what can be given: a line each. malloc'ed, or NULL. */
static char *list_traces(const struct found *items, size_t n)
{
	char *text = NULL;
	size_t n_bytes = 0;
	FILE *f = open_memstream(&text, &n_bytes);

	if (!f)
		return NULL;
	for (size_t i = 0; i < n; i++)
		put_trace(f, &items[i]);
	return fclose(f) ? NULL : text;
}

static int fail_none(const struct search *s)
{
	const struct mark_options *o = s->options;
	_cleanup_free_ char *list = list_traces(s->all.items, s->all.n);

	if (o->trace)
		log_error("no trace of yours is process %llu", (unsigned long long)o->trace);
	else if (o->pids.n)
		log_error("no trace of yours traces process %d", o->pids.items[0]);
	else
		log_error("no trace of yours is running; 'seep trace' starts one");
	if (s->all.n && list)
		log_error("those that run:%s", list);
	return EXIT_RUNTIME;
}

static int fail_several(const struct search *s)
{
	_cleanup_free_ char *list = list_traces(s->matching.items, s->matching.n);

	log_error("%zu traces are running; say which:%s", s->matching.n, list ? list : "");
	return EXIT_USAGE;
}

static int set_mark(const struct search *s, const struct found *f)
{
	struct control_request r = {.verb = CONTROL_MARK};
	uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;
	const struct timespec pause = {.tv_nsec = PAUSE_MS * NS_PER_MS};
	struct control_answer a = {0};
	char time[CLOCK_RFC3339_SIZE];
	int err;

	snprintf(r.name, sizeof(r.name), "%s", s->options->name);
	while (!(err = control_ask(s->directory, &f->name, &r, &a)) && a.again &&
	       clock_monotonic_ns() < until_ns)
		nanosleep(&pause, NULL);
	if (err || !a.ok) {
		log_error("trace %d did not set the mark: %s", f->name.pid,
			  err ? explain(err) : a.error);
		return EXIT_RUNTIME;
	}
	clock_format_rfc3339(a.mark.time_ns, time);
	printf("mark %s set at %s: report %llu of trace %d, which traces %s\n", a.mark.name, time,
	       (unsigned long long)a.mark.sequence, f->name.pid, f->answer.targets);
	return EXIT_DONE;
}

static int mark(struct search *s)
{
	struct diag d = {0};

	s->directory = control_open_directory(false, &d);
	/* A hint: there is no place where one could be. */
	if (s->directory == -ENOENT && !d.hint[0])
		return fail_none(s);
	if (s->directory < 0)
		return log_diag(&d);
	if (control_each(s->directory, look_at, s) || s->err) {
		log_error("cannot look for traces: out of memory or file descriptors");
		return EXIT_RUNTIME;
	}
	if (!s->matching.n)
		return fail_none(s);
	return s->matching.n > 1 ? fail_several(s) : set_mark(s, &s->matching.items[0]);
}

int cmd_mark(int argc, char **argv)
{
	struct mark_options o = {0};
	struct search s = {.options = &o, .directory = -1};
	struct diag d = {0};
	int code = mark_options_parse(argc, argv, &o, &d);

	if (code)
		return command_settle(&command_mark, code, &d);
	code = mark(&s);
	if (s.directory >= 0)
		close(s.directory);
	free(s.all.items);
	free(s.matching.items);
	mark_options_done(&o);
	return code;
}
