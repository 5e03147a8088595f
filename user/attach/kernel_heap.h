/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_KERNEL_HEAP_H
#define SEEP_ATTACH_KERNEL_HEAP_H
/* Tracing of the kernel's own allocations: which of bpf/kernel_heap.bpf.c's programs this kernel can run, and their settings. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

#define KERNEL_HEAP_PIDS 8   /* as bpf/wire.h's */
#define KERNEL_HEAP_INNER 16 /* the same */

struct kernel_heap_options {
	bool percpu;	/* per-CPU memory instead of slab objects and pages */
	bool all_pages; /* pages of processes and of the page cache, too */
	/* Only what these processes allocate; none: what anybody does. starts_ns: CLOCK_BOOTTIME, exact to 10 ms. */
	size_t n_pids;
	pid_t pids[KERNEL_HEAP_PIDS];
	uint64_t starts_ns[KERNEL_HEAP_PIDS];
	/* Functions whose pages hold objects that are told by themselves. */
	size_t n_inner;
	struct kernel_heap_range {
		uint64_t start, bytes;
	} inner[KERNEL_HEAP_INNER];
	struct kernel_heap_range
		interrupt; /* the function that runs soft interrupts; of 0 bytes: not known */
};

struct seep_bpf;

/* Chooses, sizes and configures, before the load: nothing else of the object is loaded but what reads and keeps its maps. Returns 0 or
 * -errno with a diag: EXIT_REFUSED where this kernel's tracepoints are not those that are known. */
int kernel_heap_prepare(struct seep_bpf *o, const struct kernel_heap_options *options,
			struct diag *d);
/* After the load. Returns 0 or -errno; ret_bulk: whether allocating and freeing in bulk are seen. */
int kernel_heap_attach(struct seep_bpf *o, bool *ret_bulk);

#endif
