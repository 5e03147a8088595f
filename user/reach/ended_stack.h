/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_ENDED_STACK_H
#define SEEP_REACH_ENDED_STACK_H
/* Stacks that glibc keeps for the next thread: what their last thread left there is no pointer of the program's. */
#include <stddef.h>
#include <stdint.h>

#include "reach/scanner.h"

struct mapping;
struct thread_state;

/* Where the descriptor of the thread lies whose stack m was and who has ended: what is below is out of use, while the descriptor is
 * glibc's for the next thread, and holds its dtv. 0: m is no such stack. It is one where a descriptor is at its top, and of no thread in
 * threads the stack pointer or the descriptor is in it. threads: all that live, of a process that stands. A descriptor is known by its
 * first and third words, which hold its own address (tcb and self of tcbhead_t, sysdeps/x86_64/nptl/tls.h of glibc; the first is part
 * of the x86-64 psABI's thread-local storage). */
uint64_t reach_ended_stack(const struct mapping *m, const struct thread_state *threads,
			   size_t n_threads, const struct reach_reader *reader);

#endif
