/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_METRICS_H
#define SEEP_MODEL_METRICS_H
/* What a running trace has to say as metrics: its last report, and sums since it began, which never fall. All borrowed. */
#include <stddef.h>
#include <stdint.h>

#include "model/report.h"

/* Processes that are alike. NULL: has none. */
struct metrics_labels {
	const char *namespace_, *pod, *container, *comm;
};

/* What they did since the trace began, those that have ended included. */
struct metrics_group {
	struct metrics_labels labels;
	uint64_t allocated_bytes, freed_bytes, allocations, frees;
	uint64_t n_stacks;
};

struct metrics {
	const struct session *session;
	const struct report *report; /* of those that are traced now */
	const uint32_t *group_of;    /* by process of the report */
	/* The first is of all that have no other: [other]. */
	const struct metrics_group *groups;
	size_t n_groups;
	const struct loss *losses, *truncated; /* sums of all processes */
	size_t n_losses, n_truncated;
	uint64_t n_reports, n_sites_omitted;
	uint64_t resident_bytes; /* of seep itself; 0: not known */
	double cpu_seconds;	 /* of seep itself */
};

#endif
