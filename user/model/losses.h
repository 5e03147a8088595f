/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_LOSSES_H
#define SEEP_MODEL_LOSSES_H
/* What can be lost: the one table that names and texts of reports and of the manual come from. */
#include <stddef.h>
#include <stdint.h>

struct loss;

/* Append only. Most are counted by the kernel side, which has numbers of its own (bpf/wire.h). */
enum loss_cause {
	LOSS_LIVE_MAP_FULL,
	LOSS_LIVE_MAP_MEMORY,
	LOSS_SITES_FULL,
	LOSS_STACKS_FULL,
	LOSS_THREAD_STATE,
	LOSS_NESTING,
	LOSS_ABANDONED_CALLS,
	LOSS_MISSED_FREES,
	LOSS_RESULT_READ,
	LOSS_SITE_GONE,
	LOSS_TRACE_RING_FULL,
	LOSS_PROCESS_RING_FULL,
	LOSS_STRANGER_RING_FULL,
	LOSS_PROCESS_TABLE_FULL,
	LOSS_PROCESSES_NOT_PROBED,
	LOSS_MAPPING_RING_FULL,
	LOSS_MAPPING_GAPS,
	LOSS_MISSED_RUNS,
	LOSS_SIGNAL_STACK,
	LOSS_THREAD_ENDED,
	LOSS_KERNEL_BUSY,
	LOSS_ERROR_RING_FULL,
	LOSS_CAUSES,
};

struct loss_text {
	const char *cause; /* "live_map_full": a contract once printed */
	/* What it means for the figures and what to do about it, as a report says it behind the count: one sentence without a
	 * capital or a full stop. */
	const char *sentence;
	const char *why;    /* what brings it about, in whole sentences */
	const char *remedy; /* what to do, in whole sentences */
};

/* Any cause below LOSS_CAUSES. */
const struct loss_text *loss_text(enum loss_cause cause);
/* NULL for a cause that this version does not know. */
const struct loss_text *loss_find(const char *cause);

/* Adds count to the cause in a malloc'ed list, which it may enlarge; a name that is borrowed, and may be another version's. Returns 0
 * or -ENOMEM. */
int losses_add(struct loss **list, size_t *n, const char *cause, uint64_t count);
/* The same for what user space counts itself; nothing where count is 0. */
int losses_count(struct loss **list, size_t *n, enum loss_cause cause, uint64_t count);

#endif
