/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_JUDGING_TRIAGE_H
#define SEEP_DAEMON_JUDGING_TRIAGE_H
/* The verdict of a triage, out of what its parts know: a scan proves, the call sites know why, the memory knows what they do not see. */
#include <stddef.h>

#include "model/triage.h"

struct scan_root;

#define TRIAGE_TEXT_SIZE 512

/* Fills verdict, confidence, evidence and kept of t, whose memory, scan and final are filled. report: t's own. What its stacks' births
 * make a leak though the scan found all of it reachable is `growing`: the process and its sites in report are made to say so, too.
 * text: room for evidence, which lives as long as the triage. */
void judging_triage(struct triage_report *t, struct report *report, char text[TRIAGE_TEXT_SIZE]);

#endif
