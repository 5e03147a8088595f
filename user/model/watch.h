/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_WATCH_H
#define SEEP_MODEL_WATCH_H
/* The memory of every process of the host at one moment, by the kernel's own counters. Plain data. Sizes are bytes. */
#include <stddef.h>
#include <stdint.h>

struct watch_process {
	uint32_t pid;
	uint32_t uid;		    /* effective */
	uint64_t start_boottime_ns; /* of its first thread: pid and this are its identity */
	uint64_t program;	    /* changes when it executes another program */
	char comm[16];		    /* not NUL-terminated when full */
	uint64_t anon_bytes, file_bytes, shmem_bytes; /* resident */
	uint64_t swap_bytes, page_table_bytes;
	uint64_t cpu_ns; /* of all its threads, living and ended, since its start; less of one that
				ends during the pass */
	uint32_t parent_pid; /* 0: none that we see */
	uint32_t cgroup;     /* index into watch_pass.cgroups, or WATCH_NO_CGROUP */
};
#define WATCH_NO_CGROUP UINT32_MAX

/* A cgroup of the memory controller (v1 or v2) that has processes. */
struct watch_cgroup {
	uint64_t id;		      /* of its directory's inode */
	uint64_t current_bytes;	      /* of the root cgroup: what the others hold */
	uint64_t limit_bytes;	      /* that with the least room left up to the root, 0: none */
	uint64_t limit_current_bytes; /* what counts against that limit */
};

struct watch_pass {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	struct watch_process *processes;
	size_t n_processes;
	struct watch_cgroup *cgroups;
	size_t n_cgroups;
	uint64_t cost_ns; /* CPU time that taking it took, kernel and user */
};

#endif
