/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_RESIDENT_H
#define SEEP_PROCESS_RESIDENT_H
/* What of each of a process's mappings is in memory, by /proc/PID/smaps. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

enum resident_kind {
	RESIDENT_PLAIN, /* anonymous, or [heap] */
	RESIDENT_STACK, /* of the first thread; others' are plain */
	RESIDENT_FILE,
	RESIDENT_SHARED, /* tmpfs, memfd, System V, shared and anonymous */
};

struct resident_mapping {
	uint64_t start, end;
	enum resident_kind kind;
	uint64_t rss_bytes, anonymous_bytes; /* of rss: pages of the process's own */
	uint64_t swap_bytes;
	bool executable;
	bool thread_stack; /* of a thread that is not the first: see resident_find_stacks */
};

struct resident {
	struct resident_mapping *items; /* by address */
	size_t n, cap;
};

/* The kernel walks the page tables for it: about 0.1 s for 100 GB. Returns 0, or -errno with a diag: -ESRCH, -EACCES, -EINVAL for what is no
 * smaps file. Free with resident_done. */
int resident_read(pid_t pid, struct resident *ret, struct diag *d);
/* The same of a file's text, NUL-terminated, which is cut to pieces. */
int resident_parse(char *text, struct resident *ret, struct diag *d);
/* Marks the mappings in which threads have their stacks; of threads that run just now it is not known where. Returns how many threads
 * were found, the first one included; 0 where they cannot be read. */
size_t resident_find_stacks(pid_t pid, struct resident *r);
void resident_done(struct resident *r);

#endif
