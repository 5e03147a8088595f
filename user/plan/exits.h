/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PLAN_EXITS_H
#define SEEP_PLAN_EXITS_H
/* Where a call of a function can end: its own ret instructions and those of what it jumps to.
 *
 * A return probe swaps the return address on the stack for a trampoline that no unwind table
 * describes, so an exception that passes through the function ends the program. Probes on the ret
 * instructions leave the stack alone; a call that ends by an exception simply passes none. */
#include <stddef.h>
#include <stdint.h>

struct elf_image;
struct extents;
struct links;
struct plan_exit;

/* The exits of the function at address, sorted by offset, each once. A ret found here may also end
 * calls that came another way (a function that is jumped to is called too): who probes it has to
 * know its own calls by their stack pointer. Functions that the symbol tables know are decoded
 * whole, others along their jumps.
 * ret_why: with -ENODATA a constant string that says why not all of them can be told.
 * Returns 0, -ENODATA, -ENOMEM. Free *ret with free(). */
int exits_find(struct elf_image *image, const struct links *links, const struct extents *extents,
	       uint64_t address, uint64_t size_bytes, struct plan_exit **ret, size_t *ret_n,
	       const char **ret_why);

#endif
