/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_LAUNCHED_H
#define SEEP_DAEMON_LAUNCHED_H
/* The command that a trace itself starts: -c, or after --. */
#include <stdbool.h>

#include "base/diag.h"

struct launch;
struct trace_options;
struct tracing;

/* Zeroed. */
struct launched {
	struct launch *launch; /* NULL: there is none */
	struct tracing *tracing;
	char *words; /* -c: the string that argv's words lie in */
	char **argv; /* -c: what is executed */
	bool ended, quiet;
	int wait_status; /* once it has ended */
};

/* Forks it, held before its first instruction. Before anything else is opened: the command inherits neither our descriptors nor the
 * limits that we raise. t is borrowed, not yet open. Returns 0 or -errno with a diag. */
int launched_hold(struct launched *l, const struct trace_options *options, struct tracing *t,
		  struct diag *d);
/* Begins to trace it, and lets it execute. Returns 0 or -errno with a diag. */
int launched_start(struct launched *l, struct diag *d);

/* Whether there is one, and it has not ended. */
bool launched_runs(const struct launched *l);
/* Readable when it has ended; -1: it does not run. */
int launched_fd(const struct launched *l);
/* Tells how it ended. Returns 0, or -errno with a diag when it could not be executed. */
int launched_on_end(struct launched *l, struct diag *d);
/* Does nothing unless it runs. */
void launched_signal(struct launched *l, int number);

/* What still runs goes on running, untraced; it was killed if it was not yet started. Accepts one that is zero. */
void launched_release(struct launched *l);

#endif
