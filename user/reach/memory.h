/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_MEMORY_H
#define SEEP_REACH_MEMORY_H
/* The memory of a live process, without stopping it. */
#include <sys/types.h>

#include "base/diag.h"
#include "reach/scanner.h"

struct reach_memory {
	pid_t pid; /* or a thread of it that its memory is read by */
	int pagemap;
};

/* Returns 0, or -ESRCH or -EACCES with a diag. reach_memory_close accepts one that was not opened, with pagemap -1. */
int reach_memory_open(pid_t pid, struct reach_memory *ret, struct diag *d);
void reach_memory_close(struct reach_memory *m);

/* m is borrowed. What was used is by the kernel's word: pages that are present or swapped out. */
struct reach_reader reach_memory_reader(struct reach_memory *m);

#endif
