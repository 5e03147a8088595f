/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_FOLLOW_H
#define SEEP_DAEMON_FOLLOW_H
/* Which processes of a host are traced, by a selector: those that match at the start, and those that come to match, told by the
 * kernel when they execute a program, take another name or move to another cgroup. One that is traced stays so until it executes a
 * program that does not match. Not thread-safe. */
#include <stdint.h>

#include "base/diag.h"
#include "base/hashmap.h"
#include "process/select.h"

struct tracing;

struct follow {
	struct tracing *tracing; /* NULL: nothing is followed */
	const struct selector *selector;
	struct hashmap strangers; /* pid -> struct stranger: to be judged */
	uint64_t n_lost;	  /* events, as of the last look through /proc */
	uint64_t n_attached;
	uint64_t n_vanished; /* ended before they could be judged, or while they were attached to */
};

/* Begins to trace all that match; more come by follow_settle. selector and t are borrowed and stay. Returns 0 or -errno with
 * a diag; that none matches is no error. */
int follow_start(struct follow *f, const struct selector *selector, struct tracing *t,
		 struct diag *d);
/* After each tracing_drain: begins to trace those that match by now. Returns as follow_start. */
int follow_settle(struct follow *f, struct diag *d);
/* Before a report: what no event tells, a change of user. Returns as follow_start. */
int follow_recheck(struct follow *f, struct diag *d);
/* Accepts one that was never started. */
void follow_done(struct follow *f);

#endif
