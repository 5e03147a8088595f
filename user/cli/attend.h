/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_ATTEND_H
#define SEEP_CLI_ATTEND_H
/* One traced process, attended: its events are handled while time passes or a scan goes on, signals are heard, progress is shown on a
 * terminal. For commands about one process. All in one thread. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "cli/signals.h"

struct scanning;
struct tracing;

struct attend {
	struct tracing *tracing; /* these two borrowed */
	struct scanning
		*scanning; /* told to stop when the user does not want to wait; NULL: no scan */
	pid_t pid;
	struct signals signals;
	int passed;	 /* an eventfd, readable when a pass has ended */
	bool hurry;	 /* SIGINT came once: on with what is next */
	const char *end; /* why all is to end before its time, or NULL */
	bool shows_progress;
	char shown[80];	  /* of it, on the terminal now */
	uint64_t goal_ns; /* what progress counts down to; 0: the end of each wait */
};

/* clang-format off */
#define ATTEND_INIT {.signals = SIGNALS_INIT, .passed = -1}
/* clang-format on */

/* Before any thread starts: blocks SIGINT, SIGTERM and SIGHUP, so that they come here. Returns 0 or -errno with a diag. */
int attend_open(struct attend *a, struct diag *d);
void attend_close(struct attend *a);

/* Lets the trace go on until a time, CLOCK_MONOTONIC. Ends early when the process does or a signal asks for it; with doing (what the
 * progress says, such as "tracing"; NULL: nothing) also when the user is in a hurry. Returns whether it came to its end. */
bool attend_until(struct attend *a, uint64_t time_ns, const char *doing);

struct attend_passes {
	bool once;	   /* else until the scan is settled */
	uint64_t pause_ns; /* between them */
	bool stop;	   /* the process stands meanwhile */
	/* One pass, called in a thread of its own. Returns 0 or -errno with a diag. */
	int (*pass)(void *arg, struct diag *d);
	void *arg;
};

/* Passes of the scan, while the trace goes on. Returns 0, -ESRCH with a diag when the process has ended, -ECANCELED, or an error of a
 * pass. */
int attend_passes(struct attend *a, const struct attend_passes *passes, struct diag *d);

#endif
