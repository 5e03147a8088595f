/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_THREADS_H
#define SEEP_MODEL_THREADS_H
/* The threads of one process at one moment. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREAD_REGISTERS 16 /* those that can hold a pointer, as thread_register_names has them */

struct thread_state {
	uint32_t tid;
	bool running; /* it runs or is about to: its registers are those of its last entry into the kernel */
	uint64_t stack_pointer;
	uint64_t registers[THREAD_REGISTERS];
	uint64_t robust_list; /* process/robust_list.h's, 0: not known */
};

/* "rbx"; NULL for those that this machine does not have. */
extern const char *const thread_register_names[THREAD_REGISTERS];

#endif
