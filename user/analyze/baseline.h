/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_BASELINE_H
#define SEEP_ANALYZE_BASELINE_H
/* What was outstanding when a mark was set, site by site, for what has changed since. */
#include <stdbool.h>

#include "base/hashmap.h"
#include "model/mark.h"

struct report;

/* Zeroed to begin with. */
struct baseline {
	bool set;
	struct mark mark;
	struct hashmap by_key; /* hash of process, stack and kind -> struct baseline_figures */
	struct baseline_figures *figures;
};

/* Makes r the report of the mark of that name, in place of the one before. Returns 0, or -ENOMEM with the baseline as it was. */
int baseline_set(struct baseline *b, const char *name, const struct report *r);
/* Fills since_mark of r's sites and processes, and r->mark, which points into b; nothing before a mark is set. What was not in the
 * mark's report began with nothing. To be called when r's sites are merged. */
void baseline_apply(const struct baseline *b, struct report *r);
void baseline_done(struct baseline *b);

#endif
