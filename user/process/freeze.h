/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_FREEZE_H
#define SEEP_PROCESS_FREEZE_H
/* Stops all threads of a process for a moment, by ptrace(2). All calls from one thread. When that thread or seep ends, however
 * that comes, the kernel lets the process run on. */
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

struct freeze;

/* Returns once every thread of pid has stopped: 0; -ESRCH; -EPERM (it is traced by another, or the privileges are missing);
 * -ETIMEDOUT when one does not stop within 2 seconds, as in an uninterruptible wait; -ENOMEM; each with a diag, and with nothing
 * stopped any more. */
int freeze_create(pid_t pid, struct freeze **ret, struct diag *d);
/* Lets it run on, with the signals that came meanwhile. Returns for how long the first of its threads stood, in nanoseconds. Accepts
 * NULL. */
uint64_t freeze_destroy(struct freeze *f);

#endif
