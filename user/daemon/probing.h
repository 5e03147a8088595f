/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_PROBING_H
#define SEEP_DAEMON_PROBING_H
/* Makes what a process has mapped by now known to the kernel side: tables for its stacks, and probes. Part of tracing.c; any thread,
 * without the lock. */
#include <sys/types.h>

#include "daemon/tracing.h"

enum probing {
	PROBING_WHOLLY,	 /* until the tables are there */
	PROBING_QUICKLY, /* what takes long is done in the background */
	PROBING_ASKED,	 /* the same, as the kernel wants to know */
};

/* Tells the kernel what an instance has mapped by now; pid: one of its processes. */
void probing_follow_instance(struct tracing *t, instance_id instance, pid_t pid, enum probing how);
/* The same for what a process is now. */
void probing_follow(struct tracing *t, pid_t pid, enum probing how);
/* Where many come and go: from now on its allocations are counted, says stderr. */
void probing_tell(const struct tracing *t, pid_t pid, const char *comm);
/* Probes what is new in a process; one that has ended meanwhile is no loss. */
void probing_update(struct tracing *t, pid_t pid);

#endif
