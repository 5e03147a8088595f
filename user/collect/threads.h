/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_THREADS_H
#define SEEP_COLLECT_THREADS_H
/* The threads of a process and their registers, without stopping it. */
#include <stddef.h>
#include <sys/types.h>

#include "base/diag.h"
#include "model/threads.h"

struct thread_reader;

/* Returns 0, or -errno with a diag whose exit code is EXIT_REFUSED where the kernel or the privileges are the reason. */
int thread_reader_create(pid_t pid, struct thread_reader **ret, struct diag *d);
/* Accepts NULL. */
void thread_reader_destroy(struct thread_reader *r);
/* All threads as they are now; none when the process has ended. ret: malloc'ed. Returns 0, or -errno with a diag. */
int thread_reader_read(struct thread_reader *r, struct thread_state **ret, size_t *ret_n,
		       struct diag *d);

#endif
