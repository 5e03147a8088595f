/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_TRACER_H
#define SEEP_PROCESS_TRACER_H
/* What launch.c's thread does with the stops of its tracees. Every call from the one thread that
 * traces. */
#include <stdbool.h>
#include <sys/types.h>

#include "base/hashmap.h"
#include "process/launch.h"

struct tracer {
	pid_t command;
	bool follow;
	const struct launch_hooks *hooks;
	void *arg;
	struct hashmap tasks; /* tid -> struct task, owned */
	struct hashmap dying; /* pid -> struct dying, owned: processes whose threads end together */
	size_t n_starting;    /* tasks between exec and the program's entry point */
	size_t n_unborn;      /* tasks whose parent's fork event has not come */
	bool execed;	      /* the command did */
	bool leaving;
};

/* Seizes the command, a child of the calling thread. The other members of t are set up by the
 * caller.
 * Returns 0, -ENOMEM, or -errno of ptrace(2), -EPERM when it is not allowed. */
int tracer_seize(struct tracer *t);

/* Handles what waitpid(-1, &status, __WALL | __WNOTHREAD) returned, calls the hooks and resumes the
 * task. */
void tracer_handle(struct tracer *t, pid_t tid, int status);

/* Prepares for the end of the thread, at which the kernel detaches all tracees: no hooks any more;
 * tasks that are starting up are interrupted, so that handling their next stop frees them of what
 * is only there while we are. */
void tracer_leave(struct tracer *t);

/* After tracer_leave: whether the thread may end now without harm to any tracee. */
bool tracer_may_end(const struct tracer *t);

/* Frees the table. */
void tracer_done(struct tracer *t);

#endif
