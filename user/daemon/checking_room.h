/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_CHECKING_ROOM_H
#define SEEP_DAEMON_CHECKING_ROOM_H
/* What checking.c finds and checking_report.c reports. */
#include <pthread.h>

#include "base/hashmap.h"
#include "daemon/checking.h"
#include "model/snapshot.h"
#include "reach/leaks.h"

/* Unreachable blocks that are alike. */
struct checked_leak {
	uint64_t stack;
	uint64_t root_stack; /* of the direct block, or the cycle's first, that leads to them */
	enum reach_leak kind;
	struct scan_count count;
	uint64_t example; /* address of one */
};

/* One process, at its end. */
struct checked {
	instance_id instance;
	struct checked_leak *items;
	size_t n, cap;
	struct scan_count reachable;
	uint64_t pass_bytes, pass_ns, stopped_ns;
	size_t n_threads;
};

struct checking {
	struct tracing *tracing;
	pthread_mutex_t lock;	/* for what follows */
	struct hashmap checked; /* instance -> struct checked, until it is reported */
	/* Of the thread that reports. */
	struct check_sums sums;
};

/* Accepts NULL. */
void checked_free(struct checked *p);

#endif
