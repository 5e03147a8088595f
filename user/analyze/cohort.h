/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_COHORT_H
#define SEEP_ANALYZE_COHORT_H
/* What stays of what was allocated when: blocks by slot of birth, at two moments. Thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COHORT_SLOTS 64

/* A site's outstanding blocks by slot of birth. */
struct cohorts {
	double seconds; /* since the session began, as all times here */
	uint32_t born[COHORT_SLOTS];
};

/* Blocks that nobody frees, and that become ever more. */
struct residue {
	double from_seconds, to_seconds; /* the births that it is made of */
	double n;			 /* blocks born between, still there */
	double settled_seconds; /* what lived so long was, as far as seen, not freed any more */
	double n_watched,
		n_freed; /* of those that old at the first moment: how many there were, how many were freed by the second */
	double dispersion; /* variance of their number in a slot beside a Poisson process's; at least 1 */
	double quality; /* how sure, 0 to 1 */
};

/* Finds the longest time of births of which a part stays for good and arrives evenly until now.
 * edges: where slots begin, COHORT_SLOTS + 1; began: of the counting; none_freed: no block of the site ever was, so that fewer say as
 * much. Returns false when there is none, or when too little is known. */
bool cohort_residue(const double *edges, double began, bool none_freed, const struct cohorts *then,
		    const struct cohorts *now, struct residue *ret);

/* Blocks born before a time that were there `then` and are gone `now`, and that were, when they went, at least about so old. */
double cohort_gone(const double *edges, double began, double born_before, double age_seconds,
		   const struct cohorts *then, const struct cohorts *now);

#endif
