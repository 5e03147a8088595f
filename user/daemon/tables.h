/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_TABLES_H
#define SEEP_DAEMON_TABLES_H
/* Makes the unwind tables that take long in a thread of its own, so that the processes of big files hold up no others. Until they are
 * there, a process's probes stand already and its stacks say `mapping not yet known`. */
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/hashmap.h"
#include "model/snapshot.h"

struct unwinder;

/* Zeroed. */
struct tables {
	struct unwinder *unwinder;
	bool quiet;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t wake;
	bool leaving;
	struct hashmap wanted; /* instance -> its pid, as a pointer */
};

/* u is borrowed until tables_stop. quiet: trouble is not told on stderr. Returns 0 or -errno. */
int tables_start(struct tables *t, struct unwinder *u, bool quiet);
/* An instance, one of whose processes is pid, wants tables. Any thread. */
void tables_want(struct tables *t, instance_id instance, pid_t pid);
/* Whether it wants them, and nobody works on that yet. Any thread. */
bool tables_is_wanted(struct tables *t, instance_id instance);
/* Waits for the table that is being made. Accepts one that was never started. */
void tables_stop(struct tables *t);

#endif
