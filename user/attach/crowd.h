/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_CROWD_H
#define SEEP_ATTACH_CROWD_H
/* The members of the crowd: all processes, where all are traced, but those that are governed by themselves: the young, the quiet, and
 * those that end before anybody looks at them. The kernel side adds up their hits, and their CPU time when they end; that of the living is added
 * here. Private to the governor, under its lock. */
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

struct crowd;
struct kernel;

/* k is borrowed: kernel_crowd() of it is not NULL. Returns 0 or -ENOMEM with a diag. */
int crowd_create(struct kernel *k, struct crowd **ret, struct diag *d);
/* Accepts NULL. */
void crowd_destroy(struct crowd *c);

/* Adds the CPU time of members to the crowd's: of those that were hit in the last watch_ns, and of those that began after the last window,
 * if it goes by windows. leaves() is called for those that have lived for a while and are hit noticeably: it may make them leave. */
void crowd_scan(struct crowd *c, uint64_t now_ns, uint64_t watch_ns,
		void (*leaves)(void *arg, uint32_t instance, pid_t pid), void *arg);
/* A window begins. */
void crowd_opened(struct crowd *c, uint64_t now_ns);
/* Adds WIRE_GOVERNED_* to the flags of the crowd, of those to come and of all members. */
void crowd_flag(struct crowd *c, unsigned flags);

#endif
