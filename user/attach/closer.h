/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_CLOSER_H
#define SEEP_ATTACH_CLOSER_H
/* Closes links in the background, many at once: each close waits for a grace period of the kernel, and a target that forks a
 * lot must not wait for it. */
#include "attach/link.h"
#include "base/diag.h"

struct closer;

/* Returns 0 or -ENOMEM with a diag. */
int closer_create(struct closer **ret, struct diag *d);
/* Waits until all is closed; accepts NULL. */
void closer_destroy(struct closer *c);
/* Takes over what links holds, which is empty afterwards. Thread-safe. */
void closer_links(struct closer *c, struct links *links);
/* Waits until all is closed. */
void closer_wait(struct closer *c);
/* CPU time that closing took so far, of threads that have ended. Thread-safe. */
uint64_t closer_cpu_ns(struct closer *c);

#endif
