/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_TRACER_H
#define SEEP_DAEMON_TRACER_H
/* One trace, from attaching to its last report, as something that a loop can wait for: processes are followed, reports taken when
 * they are due, and handed to a writer in a thread of their own. Functions are for the loop's thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "daemon/reporter.h"

struct check_sums;
struct collector_event;
struct escalation;
struct mark;
struct session;
struct trace_options;
struct tracer;

struct tracer_options {
	const struct trace_options *trace; /* borrowed for the tracer's life */
	struct report_writer writer;
	bool blocks;	/* -a: the writer wants each outstanding block */
	bool last_only; /* reports are taken at the end only */
	/* Text that goes before a report, malloc'ed, while the trace escalates; NULL: none. Returns 0 or -errno. */
	int (*preface)(void *arg, struct escalation *e, uint64_t time_ns, bool last, char **ret,
		       size_t *ret_n);
	/* -t: as tracing.on_call. */
	bool (*on_call)(void *arg, const struct collector_event *event);
	void *arg; /* of both */
};

/* Attaches, and starts the command if there is one. Signals are blocked by now. Returns 0 or -errno with a diag. */
int tracer_create(const struct tracer_options *options, struct tracer **ret, struct diag *d);
/* Detaches; a command goes on running. What is being written is waited for. Accepts NULL. */
void tracer_destroy(struct tracer *t);

/* Readable when there is something to do. */
int tracer_fd(const struct tracer *t);
/* Handles what waits. Returns 0, or -errno with a diag: then there is no more to come (without a text: who reads the reports has
 * left). */
int tracer_step(struct tracer *t, struct diag *d);
/* Ends it in good order, with a last report: with --check when the command has ended, too. why: as in struct session_end, static. number:
 * the signal that its command is to have, too; 0: none. */
void tracer_end(struct tracer *t, const char *why, int number);
/* Whether the last report has been written. */
bool tracer_is_over(const struct tracer *t);
/* Whether anything was lost, as of the last report. */
bool tracer_has_lost(const struct tracer *t);
/* Once it is over, with --check: what was found; else NULL. */
const struct check_sums *tracer_check(const struct tracer *t);

/* Takes a report now, of that name: what later ones say since is since it. Returns 0; -EAGAIN: another report is being written,
 * try again; or -errno; with a diag. */
int tracer_mark(struct tracer *t, const char *name, struct mark *ret, struct diag *d);
/* Whether that process is traced now. */
bool tracer_traces(struct tracer *t, pid_t pid);
/* What is traced; of the tracer's life. */
const struct session *tracer_session(const struct tracer *t);

/* As reporter_say(). */
bool tracer_say(struct tracer *t, const char *text, size_t n);

#endif
