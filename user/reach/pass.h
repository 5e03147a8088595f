/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_PASS_H
#define SEEP_REACH_PASS_H
/* One look at all memory of a process. */
#include <stddef.h>
#include <sys/types.h>

#include "base/diag.h"
#include "model/threads.h"
#include "reach/mark.h"

/* Finds the roots of pid as it is now, and marks what they reach as reach_mark does. Returns its errors, or those of maps_read, with
 * a diag. */
int reach_pass(pid_t pid, const struct reach_blocks *blocks, const struct thread_state *threads,
	       size_t n_threads, const struct reach_reader *reader,
	       const struct reach_options *options, struct reach_progress *progress, uint8_t *marks,
	       struct diag *d);

#endif
