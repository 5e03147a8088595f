/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_KERNEL_HEAP_H
#define SEEP_DAEMON_KERNEL_HEAP_H
/* --kernel: the kernel's own allocations, traced as one process of id 0. */
#include "attach/kernel_heap.h"
#include "base/diag.h"

struct named_stack;
struct naming;
struct trace_options;
struct tracing;

/* Reads the kernel's symbols into t, and fills what its programs are told. Returns 0, or -errno with a diag (-ESRCH: one of the given
 * processes is not there). */
int kernel_heap_options_from(struct tracing *t, const struct trace_options *o,
			     struct kernel_heap_options *ret, struct diag *d);
/* Begins to trace it. Returns 0 or -errno with a diag. */
int kernel_heap_begin(struct tracing *t, struct diag *d);
/* Names a stack, n addresses of one or more: that of a slab cache, or 0, and return addresses, leaf first. n->frames stays empty without memory. */
void kernel_heap_name(struct tracing *t, const uint64_t *addresses, size_t n_addresses,
		      struct named_stack *n);

#endif
