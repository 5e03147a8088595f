/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_ONE_SESSION_H
#define SEEP_CLI_ONE_SESSION_H
/* What is said once of a trace of one process. */
#include <sys/types.h>
#include <sys/utsname.h>

#include "model/report.h"

struct trace_options;
struct tracing;

struct one_session {
	struct session session; /* refers to the others */
	struct utsname host;
	char target[32], link[32];
	const char *targets[1], *capabilities[2];
};

/* The trace is open; the session begins now. */
void one_session_fill(struct one_session *s, pid_t pid, const struct trace_options *o,
		      const struct tracing *t);

#endif
