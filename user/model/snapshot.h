/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_SNAPSHOT_H
#define SEEP_MODEL_SNAPSHOT_H
/* What the kernel side knows at one moment, before names and judgement. Times are CLOCK_MONOTONIC nanoseconds. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/free_error.h"
#include "model/report.h"

#define SNAPSHOT_SLOTS 64 /* of births: collect/birth.h says which times they are */

/* Which process: never used twice in a session; a new one at fork and at exec (bpf/wire.h). */
typedef uint32_t instance_id;

struct snapshot_process {
	instance_id instance, parent;
	uint32_t pid;
	uint64_t start_boottime_ns;  /* of the process, CLOCK_BOOTTIME */
	uint64_t began_ns, ended_ns; /* traced since; 0: alive */
	const char *ended;	     /* "exit", "exec", "released", NULL */
	bool oom_killed;	     /* the kernel chose it to die for want of memory */
	uint64_t limit_hits,
		limit_hit_ns; /* times its cgroups were at their memory limits; the last, 0: unknown */
	int exit_status;
	bool forked; /* began as a copy of its parent's memory */
	uint64_t inherited_frees, unknown_frees;
	uint32_t n_borrowers; /* children that worked in its memory (vfork, CLONE_VM) */
	struct loss *losses;  /* non-zero ones */
	size_t n_losses;
	struct loss *truncated; /* stacks that ended early, by reason; non-zero ones */
	size_t n_truncated;
};

/* Numbers are weighted estimates when sampling. */
struct snapshot_site {
	instance_id instance;
	uint64_t stack; /* id for collector_stack, 0: not kept */
	enum site_kind kind;
	uint64_t allocated_bytes, freed_bytes;
	double allocations, frees;
	uint64_t n_stacks; /* taken: the allocations, when sampling the sampled ones */
	uint64_t n_sampled; /* outstanding blocks that the estimate rests on; when exact: the count */
	uint32_t births;    /* one more than the index of its births, 0: nothing is outstanding */
	double oldest_ns,
		median_ns; /* ages: upper bounds, a quarter of the time since the trace began at most; < 0 none */
};

struct snapshot_block {
	instance_id instance;
	enum site_kind kind;
	bool further_part; /* of an allocation that another block was the first part of */
	uint64_t address, size_bytes, time_ns, stack;
	double weight;
};

/* free_error.h's, by ids of stacks for collector_stack; 0: none. */
struct snapshot_error {
	instance_id instance;
	enum free_error_type type;
	uint64_t count, address, block_address, size_bytes;
	uint64_t time_ns, freed_ns;
	uint32_t tid, freed_tid;
	unsigned allocated_with, freed_with; /* enum free_error_families, 0: not told */
	uint64_t stack, allocation, freed;
};

struct snapshot {
	uint64_t time_ns;
	struct {
		struct snapshot_process *items;
		size_t n, cap;
	} processes;
	struct {
		struct snapshot_site *items;
		size_t n, cap;
	} sites;
	struct {
		/* Outstanding blocks (when sampling: samples) by slot of birth. */
		struct snapshot_births {
			uint32_t born[SNAPSHOT_SLOTS];
		} * items;
		size_t n, cap;
	} births;
	struct {
		struct snapshot_error *items;
		size_t n, cap;
	} errors;
	struct loss *losses; /* of no process */
	size_t n_losses;
};

/* Frees what it holds; accepts an empty one. */
void snapshot_done(struct snapshot *s);

#endif
