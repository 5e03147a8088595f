/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_ESCALATE_H
#define SEEP_DAEMON_ESCALATE_H
/* From watching to tracing: whoever the watch suspects is traced for a while, few at once, worst first, and then left alone again.
 * Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/diag.h"
#include "base/hashmap.h"
#include "daemon/watch_view.h"
#include "daemon/passes.h"

struct tracing;
struct watch_output_options;

struct escalation_options {
	struct selector selector; /* who may be traced; its strings are borrowed */
	const char *hostname;	  /* borrowed */
	size_t most;		  /* traced at once */
	uint64_t for_ns;	  /* each for so long */
	uint64_t again_ns; /* and not again before so long after that, nor after it could not be traced */
};

struct escalation {
	struct escalation_options options;
	struct tracing *tracing;
	struct passes passes;
	struct hashmap attempts; /* pid -> struct attempt */
	size_t n_active;
	struct watch_view_options view_options;
	struct watch_view view;
	uint64_t start_ns, n_reports;
};

/* t is borrowed. Returns 0 or -errno with a diag; done accepts one that is zero. */
int escalation_init(struct escalation *e, const struct escalation_options *options,
		    struct tracing *t, struct diag *d);
void escalation_done(struct escalation *e);

/* Looks at all processes, ends the traces whose time is over, and begins new ones. To be called about once a second. Returns 0 or -errno
 * with a diag; that one process cannot be traced is told on stderr. */
int escalation_step(struct escalation *e, struct diag *d);

/* What the watch sees, as `seep watch` shows it; as records only of those that are not traced just now, which have records of their
 * own. time_ns: of the report that it is part of. Returns 0 or -errno. */
int escalation_report(struct escalation *e, FILE *f, bool ndjson,
		      const struct watch_output_options *output, uint64_t time_ns, bool last);

#endif
