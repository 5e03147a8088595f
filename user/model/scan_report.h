/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_SCAN_REPORT_H
#define SEEP_MODEL_SCAN_REPORT_H
/* What a scan found: which of the outstanding blocks of one process nobody points to any more. Plain data beside a report, whose
 * sites it refers to. */
#include <stdbool.h>
#include <stdint.h>

#include "model/report.h"

struct scan_count {
	uint64_t n, bytes;
};

/* The unreachable blocks of one site. */
struct scan_leak {
	uint32_t site;		    /* index into report.sites */
	struct scan_count direct;   /* no other unreachable block points to them */
	struct scan_count cycle;    /* the first of each cycle that nothing outside it points to */
	struct scan_count indirect; /* others: unreachable blocks point to them */
	struct scan_count
		held; /* indirect ones, of any site, that the direct and the cycles' ones of this site lead to */
	uint64_t example; /* address of one, a direct one if there is one */
};

/* Unreachable blocks from before the trace, of one size: nobody knows who allocated them. */
struct scan_walked {
	uint64_t size_bytes;
	struct scan_count direct, cycle, indirect, held; /* as of a leak */
	uint64_t example;
};

struct scan_report {
	const struct report *report;
	uint32_t process; /* index into report.processes */
	struct scan_leak *
		leaks; /* those with most to answer for first: their own root blocks and what these hold */
	size_t n_leaks;
	struct scan_count direct, cycle, indirect; /* sums over leaks */
	struct scan_count
		suppressed; /* unreachable, and not in leaks: the user does not want to see them */
	struct scan_count reachable;
	struct scan_count
		open;	/* neither: allocated, freed or met by a pointer while the scan went on */
	bool heap_walk; /* blocks from before the trace were looked for, in glibc's heap */
	unsigned n_arenas; /* that were found; 0: the process does not use glibc's malloc, or it could not be read */
	uint64_t unparsed_bytes; /* of the heap; blocks in there are roots */
	struct scan_count before,
		before_unreachable; /* blocks from before the trace; none of the counts above has them */
	struct scan_walked *
		walked; /* those that are unreachable, by size, those with most to answer for first */
	size_t n_walked;
	unsigned n_passes;
	uint64_t n_unsettled; /* blocks that the last pass reached though those before had not: some of the leaks may be in use */
	uint64_t pass_bytes;	/* read in the last pass */
	double pass_seconds;	/* which took so long */
	double stopped_seconds; /* how long the process was stopped; 0: never */
	size_t n_threads,
		n_running; /* of the process, in the last pass; running: their registers were a moment old */
	bool interior;
	bool tagged; /* pointers with other bits in them counted, too */
	bool complete; /* else the other figures are zero: the process ended, or the scan was interrupted */
};

/* Takes the sites without unreachable blocks out of leaks, and puts the others, and walked, in their order. */
void scan_report_order(struct scan_report *r);
/* Frees leaks and walked. */
void scan_report_done(struct scan_report *r);

/* What --check says at last of all processes of a command. */
struct check_sums {
	uint64_t n_checked, n_leaking; /* processes */
	uint64_t n_unchecked;	       /* that still run, or whose end could not be looked at */
	struct scan_count direct, indirect, suppressed; /* cycles are indirect */
	bool command_ended;
	int command_status; /* wait(2) */
};

#endif
