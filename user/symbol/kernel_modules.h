/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_KERNEL_MODULES_H
#define SEEP_SYMBOL_KERNEL_MODULES_H
/* The kernel and its modules as files: where each begins, and its build-id. */
#include <stddef.h>
#include <stdint.h>

#include "base/strings.h"

#define KERNEL_ITSELF "vmlinux" /* the name of what is no module */

struct kernel_module {
	const char *name;     /* "vmlinux", "nf_tables", "[bpf]" */
	const char *build_id; /* hex, or NULL */
	uint64_t base;	      /* address, 0: not known */
};

struct kernel_modules {
	const char *root; /* as in kernel_symbols_create() */
	struct {
		struct kernel_base {
			char name[64];
			uint64_t base;
		} * items;
		size_t n, cap;
	} bases;
	struct {
		struct kernel_module **items; /* those asked for */
		size_t n, cap;
	} known;
};

/* Where they begin now. m is zero, or was read before. kernel_base: of the kernel itself, 0: not known. Returns 0 or -ENOMEM. */
int kernel_modules_read(struct kernel_modules *m, const char *root, uint64_t kernel_base);
void kernel_modules_done(struct kernel_modules *m);
/* One by name; it stays until the end, strings are of the pool. NULL without memory. */
const struct kernel_module *kernel_modules_get(struct kernel_modules *m, struct strings *pool,
					       const char *name);

#endif
