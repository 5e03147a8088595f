/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_TRIAGE_H
#define SEEP_MODEL_TRIAGE_H
/* What is known of one process whose memory grows, or not, as of one moment. Plain data; all is borrowed. */
#include <stdbool.h>
#include <stddef.h>

#include "model/report.h"

struct scan_report;
struct scan_root;

#define TRIAGE_LINE_VALUES 16
#define TRIAGE_TOP 3

/* The memory of the process while it was looked at, by the kernel's figures. Bytes a second; NAN: not known. */
struct triage_memory {
	double growth_bytes_per_second, growth_low_bytes_per_second, growth_high_bytes_per_second;
	double growing_since_seconds; /* for how long; 0: it does not grow */
	double seconds_to_limit;
	/* Charged to its cgroup: all, and of it page cache; the latter also as it was at the start. 0: not known. */
	uint64_t cgroup_bytes, cgroup_cache_bytes, cgroup_cache_before_bytes;
	const char *verdict; /* by its size alone */
	double confidence;
	double line[TRIAGE_LINE_VALUES]; /* over time, oldest first; NAN: no value */
};

struct triage_report {
	const struct session *session;
	const struct report *report;
	uint32_t process; /* index into report->processes */
	bool final;	  /* else a first look */
	bool ended;	  /* the process has, meanwhile */
	/* Of the two that can tell: the process's record by its sites, or its memory. */
	const char *verdict, *evidence;
	double confidence;
	struct triage_memory memory;
	const struct scan_report *scan; /* NULL: see scan_missing */
	bool kept; /* it grows, and by the scan all that the growing stacks allocated is reachable */
	const struct scan_root
		*kept_by; /* where the pointers to a block of top[0] begin; NULL: not known */
	const char *
		scan_missing; /* why there is no scan, a sentence without its full stop; NULL: it is to come */
	uint32_t top[TRIAGE_TOP];  /* indices into report->sites: those to look at first */
	size_t n_top, n_sites;	   /* n_sites: with outstanding allocations, in all */
	const char *evidence_path; /* of the folder, NULL: none */
};

#endif
