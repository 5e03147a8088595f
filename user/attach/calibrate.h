/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_CALIBRATE_H
#define SEEP_ATTACH_CALIBRATE_H
/* What a hit of our probes costs on this machine, measured on a process of our own. */
#include "attach/link.h"
#include "base/diag.h"

struct plan_probe;

/* Nanoseconds that a call takes longer for being probed: medians, on one thread, under a stack of a
 * few frames. */
struct calibration_hit {
	double free_ns;		     /* a free that finds its block: one probe */
	double allocate_ns;	     /* an allocation recorded with its stack: entry and return */
	double allocate_exits_ns;    /* the same, with the end seen at a ret instruction */
	double skipped_ns;	     /* an allocation that a sampling or size option leaves out */
	double floor_ns;	     /* an empty program at the entry */
	double floor_with_return_ns; /* at the entry and at the return */
};

struct calibration {
	enum link_kind link; /* what was measured */
	struct calibration_hit emulated, stepped;
};

/* Loads our programs, places them in a child of ours by place_plan(), times its calls with and
 * without them, and removes everything: nearly all that tracing needs is tried on the way, and
 * nobody else's process is touched. link: 0: the best that works. Takes half a second, two with
 * perf links. ret is untouched on error. Returns 0, or -errno with a diag: kernel_open()'s
 * (EXIT_REFUSED), or what went wrong after that. Not thread-safe (it forks). */
int calibrate(enum link_kind link, struct calibration *ret, struct diag *d);

/* What a call costs that passes this probe, by its instruction and its end. */
double calibration_cost_ns(const struct calibration *c, const struct plan_probe *probe);

#endif
