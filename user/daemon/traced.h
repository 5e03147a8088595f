/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_TRACED_H
#define SEEP_DAEMON_TRACED_H
/* What is known of each traced process: part of tracing.c. All callers hold the lock of `struct tracing`. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/snapshot.h"

struct address_space;
struct identity;
struct mapping;
struct tracing;

/* One instance: a process as long as it runs one program. Kept until its last report was written. */
struct traced {
	instance_id instance;
	pid_t pid;
	const char *comm, *exe, *cgroup, *container; /* interned */
	const char *container_name, *namespace_, *pod, *pod_uid;
	pid_t namespace_pid;	    /* 0: pid */
	uint64_t start_boottime_ns; /* its age is told by this: nobody sets that clock */
	uint64_t start_real_ns; /* as the clock was set when it was first seen; part of its identity, so it stays */
	uint64_t limit_bytes, rss_bytes;
	double seen_from_seconds; /* its age when tracing began */
	uint64_t covered_ns; /* CLOCK_MONOTONIC when its probes stood, 0: the launcher saw to it */
	uint64_t probed_ns; /* CLOCK_MONOTONIC when a file of it was probed last while it ran, 0: never */
	struct address_space *space;
	struct traced *
		lender; /* whose address space this one uses: the parent it was forked from. With `everything` space is NULL then */
	unsigned n_borrowers;
	uint64_t since_ns; /* CLOCK_MONOTONIC when it began its program, as long as none of its files has probes; else 0 */
	uint64_t ahead_ns; /* CLOCK_MONOTONIC when files were probed for the program that its process runs next, whose exec was not told yet */
	uint64_t n_bereft; /* times that the thread which its probes hang on ended, and calls of others may have been missed */
	bool dismissed; /* it is not what the user wants: never reported */
	bool walked; /* with `everything`: the kernel has its mappings, as it asked for them or was forked from one that had */
	uint64_t young_ns; /* CLOCK_MONOTONIC when it began its program; with `everything` 0 once its files were looked at */
	bool lent_memory; /* to a vfork child: further pids are this instance */
	bool forgotten;	  /* by all but its borrowers */
};

/* Makes the record of an instance. lender: the process it was forked from, whose mappings it began with, or NULL. NULL without memory:
 * the instance is reported without names. */
struct traced *traced_create(struct tracing *t, instance_id instance, pid_t pid,
			     struct traced *lender);
/* The record of the instance that a process is now, made on first sight: the launcher's thread may see a process before its event
 * was read. */
struct traced *traced_now(struct tracing *t, pid_t pid);
void traced_free(struct traced *p);

/* What is known of it from now on. */
void traced_describe(struct tracing *t, struct traced *p, const struct identity *id);
/* How long ago the process began. Neither clock steps nor suspends falsify it. */
double traced_age_seconds(const struct traced *p);
/* It is called what the process is called that it was forked from. */
void traced_inherit(struct traced *p, const struct traced *parent);
/* Frees it, unless others still use its mappings: then the last of them does. */
void traced_release(struct traced *p);
/* The address space to name its stacks by: its own, or its parent's; NULL: none is known. */
struct address_space *traced_space(const struct traced *p);
/* Reads the process's mappings, for names. Returns 0 or -errno. */
int traced_refresh(struct tracing *t, struct traced *p);
/* A record may be old: what it shows may have given way to another file since, or to the one before it. So /proc decides, as long
 * as the process is there. */
void traced_add_mapping(struct tracing *t, struct traced *p, const struct mapping *m);
/* No pid is it any more. */
void traced_drop_pids(struct tracing *t, const struct traced *p);

#endif
