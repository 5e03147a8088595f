/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_TRACE_SESSION_H
#define SEEP_DAEMON_TRACE_SESSION_H
/* What a trace's reports say of the trace itself. */
#include <sys/utsname.h>

#include "base/diag.h"
#include "model/report.h"

struct trace_options;
struct tracing;

/* Zeroed; stays where it is, as the session points into it. */
struct trace_session {
	struct session session;
	const char **targets;
	const char *capabilities[2];
	struct utsname host;
};

/* t: open; strings are its, or options'. Returns 0 or -ENOMEM with a diag. */
int trace_session_init(struct trace_session *s, const struct trace_options *options,
		       struct tracing *t, struct diag *d);
/* Accepts one that is zero. */
void trace_session_done(struct trace_session *s);

#endif
