/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_BREAKPOINT_H
#define SEEP_PROCESS_BREAKPOINT_H
/* A trap instruction in a stopped, ptraced task's memory. All calls from its tracer. x86-64 and
 * arm64. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct breakpoint {
	uint64_t address;
	uint32_t original; /* the bytes that the trap replaced, as far as it is long */
};

/* The instruction pointer. Returns 0, -ENOTSUP (a 32-bit task), or -errno of ptrace(2), as all of
 * these do. */
int breakpoint_get_ip(pid_t tid, uint64_t *ret_ip);

/* Writes the trap. ret is for the calls below. */
int breakpoint_set(pid_t tid, uint64_t address, struct breakpoint *ret);

/* Restores the instruction; leaves it alone if it is not the trap any more. */
int breakpoint_clear(pid_t tid, const struct breakpoint *b);

/* Whether the task is where the trap leaves it: it has just run into it, or is about to. */
bool breakpoint_reached(pid_t tid, const struct breakpoint *b);

/* Moves the task back from the trap to the instruction that was there. */
int breakpoint_rewind(pid_t tid, const struct breakpoint *b);

#endif
