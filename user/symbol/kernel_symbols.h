/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_KERNEL_SYMBOLS_H
#define SEEP_SYMBOL_KERNEL_SYMBOLS_H
/* The kernel's own code by name: /proc/kallsyms, as the kernel and its modules are now. One thread at a time. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "model/report.h"

struct kernel_symbols;

/* Reads them. root: what stands before /proc and /sys, "" but in tests; borrowed. Where the kernel hides its addresses
 * (kernel.kptr_restrict) nothing has a name: kernel_symbols_hidden(). Returns 0 or -errno with a diag. */
int kernel_symbols_create(const char *root, struct kernel_symbols **ret, struct diag *d);
/* Accepts NULL. */
void kernel_symbols_destroy(struct kernel_symbols *k);
bool kernel_symbols_hidden(const struct kernel_symbols *k);

/* The code of a function of the kernel itself, [start, end), also under a name that a compiler has made of its name (NAME.isra.0).
 * Returns false if there is none. */
bool kernel_symbols_find(const struct kernel_symbols *k, const char *name, uint64_t *ret_start,
			 uint64_t *ret_end);

/* Frames of a stack of n addresses, leaf first, as a program at a tracepoint or a function takes it: without those of the tracing
 * itself, and no more than `most`; leaf, unless NULL, is a name that goes before them, of module "[slab]". Modules are "vmlinux", a module's name, or in brackets what is generated; offsets count from
 * where each of these begins. Symbols are read again for an address that has no name, once between two calls of
 * kernel_symbols_renew(). ret_frames is malloc'ed, its strings are k's. ret_cut: there were more. Returns 0 or -ENOMEM. */
int kernel_symbols_stack(struct kernel_symbols *k, const char *leaf, const uint64_t *addresses,
			 size_t n, size_t most, struct frame **ret_frames, size_t *ret_n,
			 bool *ret_cut);
void kernel_symbols_renew(struct kernel_symbols *k);

#endif
