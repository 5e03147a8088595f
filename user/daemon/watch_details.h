/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_WATCH_DETAILS_H
#define SEEP_DAEMON_WATCH_DETAILS_H
/* What /proc says about the processes and cgroups that a report of `seep watch` shows: read when first shown, not before, as it
 * costs more than all the rest of watching. Not thread-safe. */
#include <stdbool.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "model/watch.h"
#include "process/select.h"

/* Of a process, or of a cgroup by way of one of its processes. Strings are NULL where unknown and live until details_settle() finds
 * that nobody asked for it since the last time. */
struct details {
	uint32_t pid;
	uint64_t start_boottime_ns, program, cgroup_id;
	char comm[17];
	uint64_t start_ns; /* CLOCK_REALTIME */
	char *exe, *cgroup, *container;
	char *memory_cgroup; /* path of its cgroup in the memory controller's hierarchy */
	char *pressure_path; /* of that cgroup, or NULL */
	bool selected;	     /* matches the selector */
	bool asked;	     /* since the last details_settle() */
};

/* Zeroed but for the selector, which is borrowed. */
struct details_cache {
	const struct selector *selector;
	struct hashmap by_key;
};

/* Of process p, whose cgroup has cgroup_id (0: none). Read anew when it has executed another program, changed its name or its
 * cgroup. What has ended meanwhile is known by pid and start time only and is not selected, if there is a selector. Returns NULL without memory. */
const struct details *details_get(struct details_cache *c, const struct watch_process *p,
				  uint64_t cgroup_id);
/* Forgets what was not asked for since the last call. */
void details_settle(struct details_cache *c);
void details_done(struct details_cache *c);

#endif
