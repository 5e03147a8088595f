/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_PASSES_H
#define SEEP_DAEMON_PASSES_H
/* Looks at every process of the host, one after the other: their trends, and what the looks cost. Not thread-safe. */
#include <stdbool.h>
#include <stdint.h>

#include "analyze/watcher.h"
#include "base/diag.h"
#include "model/watch_report.h"

struct watch_pass;
struct watch_reader;

/* Zeroed. */
struct passes {
	struct watch_reader *reader;
	struct watcher *watcher;
	const struct watch_pass *last; /* NULL: there was none yet */
	uint64_t n, n_missed;	       /* so far; missed is what the caller says */
	uint64_t n_new, cpu_ns;	       /* since the cost was last asked for */
};

/* Returns 0 or -errno with a diag; passes_done accepts what is half-open, or zero. */
int passes_open(struct passes *p, struct diag *d);
void passes_done(struct passes *p);

/* Whether another look keeps to what looks may cost (collect/watch.h). */
bool passes_due(const struct passes *p);
/* Looks. Returns 0 or -errno with a diag. */
int passes_take(struct passes *p, struct diag *d);

/* What the looks since the last call cost; period_ns: between two of them. cpu_ratio is theirs alone. */
void passes_cost(struct passes *p, uint64_t period_ns, struct watch_cost *ret);

#endif
