/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_TALLY_H
#define SEEP_DAEMON_TALLY_H
/* Sums over all processes that a trace has had, which never fall: a process that has ended stays in them, and an estimate that is
 * corrected downwards takes nothing back. Processes that are alike share a group; who finds no room for a group of its own is of the
 * first one, [other]. Not thread-safe. */
#include <stddef.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "base/strings.h"
#include "model/metrics.h"

#define TALLY_GROUPS 200 /* with the first */
#define TALLY_CAUSES 64	 /* of losses; more are summed up in one */

struct tally_causes {
	struct loss items[TALLY_CAUSES];
	size_t n;
};

struct tally {
	struct strings strings;	  /* of groups and causes */
	struct hashmap processes; /* instance -> what is counted of it already */
	struct hashmap by_labels; /* of groups -> number + 1 */
	struct metrics_group groups[TALLY_GROUPS];
	size_t n_groups;
	struct tally_causes losses, truncated;
	struct tally_causes session; /* what is counted already of a report's own losses */
	uint64_t n_reports;
};

void tally_init(struct tally *t);
void tally_done(struct tally *t);

/* Adds what is new in a report. ret_group_of: for each of its processes the number of its group. Returns 0 or -ENOMEM: then a part of
 * it may be missing. */
int tally_add(struct tally *t, const struct report *r, uint32_t *ret_group_of);

#endif
