/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_JUDGING_H
#define SEEP_DAEMON_JUDGING_H
/* Verdicts of the sites and processes of a live trace, with their evidence in words. */
#include <stdbool.h>
#include <stdint.h>

#include "analyze/cohort.h"
#include "base/hashmap.h"
#include "daemon/judged_sites.h"
#include "daemon/notes.h"
#include "model/report.h"
#include "model/snapshot.h"

/* Zeroed, then judging_begin(). */
struct judging {
	uint64_t session_ns; /* births count from it, CLOCK_MONOTONIC */
	double edges[COHORT_SLOTS + 1];
	uint64_t reading;
	bool pages; /* touched pages are followed: they are all of the memory */
	struct judged_sites sites;
	struct hashmap processes; /* by instance; private to judging.c */
};

void judging_begin(struct judging *j, uint64_t session_ns);
void judging_done(struct judging *j);

/* To be called for each reading: before its sites and processes. */
void judging_start(struct judging *j);
/* Notes how a process is traced, for the sites that follow. p: its record. */
void judging_process(struct judging *j, const struct snapshot *s,
		     const struct snapshot_process *from, const struct process_report *p);
/* Remembers a site's counters and births. fingerprint: of its frames, 0: not known. */
void judging_site(struct judging *j, const struct snapshot *s, const struct snapshot_site *from,
		  uint64_t fingerprint);
/* Forgets sites and processes that this reading did not have. */
void judging_end(struct judging *j, const struct snapshot *s);
/* What the history of a site of this reading says: verdict, confidence, evidence and, where it grows, growth_bytes_per_second, that only
 * once of stacks which are one site. Texts belong to texts. */
void judging_fill(struct judging *j, const struct snapshot_site *from, struct site *to,
		  struct note_list *texts);

/* Out of the judged sites and the resident memory, the verdicts of the processes. */
void judging_sum(struct judging *j, struct report *r, struct note_list *texts);

#endif
