/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_TRIAGE_EVIDENCE_H
#define SEEP_CLI_TRIAGE_EVIDENCE_H
/* The folder that a triage leaves behind, for those who come after the process was restarted: report.txt (the screen, in full),
 * capture.seep (all reports, with names), stacks.folded, heap.pprof. Each is as complete as the triage when it ends, however it ends. */
#include <sys/types.h>

#include "base/diag.h"
#include "model/triage.h"

struct capture_writer;

struct triage_evidence {
	char path[256]; /* "": none */
	struct capture_writer *capture;
	int err; /* the first write that failed, 0: none */
};

/* Makes the folder (0700) seep-triage-PID-TIME in parent and begins the capture. Returns 0 or -errno with a diag. */
int triage_evidence_open(struct triage_evidence *e, const char *parent, pid_t pid,
			 const struct session *session, struct diag *d);
/* A report for the capture. */
void triage_evidence_add(struct triage_evidence *e, const struct session *session,
			 const struct report *r);
/* What is known so far, in place of what was written before. */
void triage_evidence_write(struct triage_evidence *e, const struct triage_report *t);
/* Returns 0, or the first error with a diag. Accepts one that was not opened. */
int triage_evidence_close(struct triage_evidence *e, const struct session *session,
			  const struct session_end *end, struct diag *d);

#endif
