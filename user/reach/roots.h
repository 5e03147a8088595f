/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_ROOTS_H
#define SEEP_REACH_ROOTS_H
/* Where pointers count that are in no block: registers, stacks from their threads' stack pointers upward, data and bss of files,
 * thread-local storage, and all other memory that the process has mapped and touched. */
#include <stdbool.h>
#include <stddef.h>

#include "model/threads.h"
#include "reach/mark.h"

struct mapping;
struct maps;

/* Bytes below a stack pointer that are in use all the same: the x86-64 ABI's red zone; of a thread that runs it was read a moment
 * ago. */
#define REACH_RED_ZONE 128
#define REACH_RUNNING_SLACK (64 << 10)

/* The memory of m that may hold pointers: [*ret_start, *ret_end), empty for what is not looked at, such as code and devices. Of a
 * stack only what is in use, where the mapping before m tells that m is one. before: NULL for none. */
void reach_root_bounds(const struct mapping *m, const struct mapping *before,
		       const struct thread_state *threads, size_t n_threads, uint64_t *ret_start,
		       uint64_t *ret_end);

/* All roots of a process. stands: nothing of it runs, so that stacks of threads that ended are known, and left out. Returns 0 or -ENOMEM. */
int reach_roots_find(const struct maps *maps, const struct thread_state *threads, size_t n_threads,
		     const struct reach_reader *reader, bool stands, struct reach_roots *ret);
/* Accepts an empty one. */
void reach_roots_done(struct reach_roots *r);

#endif
