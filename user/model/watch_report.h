/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_WATCH_REPORT_H
#define SEEP_MODEL_WATCH_REPORT_H
/* How the memory of the processes of a host grows, as of one moment. Plain data; strings are borrowed from whoever built it,
 * NULL where unknown. Sizes are bytes, durations seconds, ratios 0 to 1; NAN: not known. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_LINE_VALUES 16

/* One process, or one cgroup of the memory controller: then pid is 0, and comm and exe are NULL. */
struct watch_row {
	bool is_cgroup;
	bool suspect;
	uint32_t pid;
	uint64_t start_ns; /* CLOCK_REALTIME */
	const char *comm, *exe, *cgroup, *container;
	uint64_t anon_bytes, file_bytes, shmem_bytes; /* resident; of a cgroup: of its processes */
	uint64_t swap_bytes, page_table_bytes;
	uint64_t current_bytes; /* what is charged to the cgroup */
	uint64_t limit_bytes;	/* of its cgroups, the tightest; 0: none */
	size_t n_processes;	/* of the cgroup */
	double memory_pressure_ratio; /* of the cgroup: time lately that some of its tasks waited for memory */
	double growth_bytes_per_second, growth_low_bytes_per_second, growth_high_bytes_per_second;
	double confidence;
	const char *verdict; /* DESIGN.md's list */
	double growing_since_seconds, seconds_to_limit;
	double line[WATCH_LINE_VALUES]; /* the memory over time, oldest first; NAN: no value */
};

struct watch_host {
	size_t n_processes; /* kernel threads excepted */
	uint64_t memory_bytes, available_bytes;
	uint64_t swap_bytes, swap_free_bytes;
	double memory_pressure_ratio;
};

/* What watching itself took. A pass is one look at all processes. */
struct watch_cost {
	double period_seconds;	     /* from pass to pass, as wanted */
	uint64_t n_passes, n_missed; /* missed: that could not be taken in time */
	double pass_cpu_seconds;     /* of one pass: the mean since the report before */
	double cpu_ratio; /* CPU time of all that seep did since the report before, over that time */
};

struct watch_report {
	uint64_t time_ns; /* CLOCK_REALTIME */
	double elapsed_seconds;
	uint64_t sequence; /* 1, 2, ... */
	bool final;
	struct watch_host host;
	struct watch_cost cost;
	struct watch_row *processes; /* suspects first */
	size_t n_processes;
	struct watch_row *cgroups; /* the same */
	size_t n_cgroups;
	size_t n_suspects;		  /* of both; all of them are there */
	size_t n_early;			  /* processes seen for too short a time to say anything */
	size_t n_more, n_more_cgroups;	  /* that would be there but for the limit on rows */
	double suspects_bytes_per_second; /* growth of the suspected processes together */
};

/* What does not change from report to report. */
struct watch_session {
	const char *version, *kernel, *hostname;
	uint64_t start_ns; /* CLOCK_REALTIME */
	double interval_seconds;
	const char *const *targets; /* "pid 123", "comm nginx*"; none: the host */
	size_t n_targets;
};

struct watch_end {
	uint64_t time_ns;
	const char *why; /* "interrupted", "count reached", ... */
	double duration_seconds;
	uint64_t n_passes, n_missed;
	double cpu_seconds; /* of all that seep did meanwhile */
};

#endif
