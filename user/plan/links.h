/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PLAN_LINKS_H
#define SEEP_PLAN_LINKS_H
/* Where jumps through a file's procedure linkage table go, as far as the file defines the target
 * itself. */
#include <stdbool.h>
#include <stdint.h>

struct elf_image;
struct links; /* opaque */

/* Reads the relocations of the GOT from section headers; a file without or with corrupt ones has no
 * links. x86-64 only. Returns 0 or -ENOMEM. Free with links_destroy. */
int links_create(struct elf_image *image, struct links **ret);
void links_destroy(struct links *links);

/* The address of the function that the GOT slot at this address is bound to, by its own file's
 * definition.
 * Returns 0, -ENOENT (not such a slot), -EXDEV (defined elsewhere). */
int links_of_slot(const struct links *links, uint64_t slot, uint64_t *ret_address);

/* The same for a stub of the PLT at address: [endbr64] jmp *slot(%rip). -ENOENT: not a stub. */
int links_of_stub(const struct links *links, uint64_t address, uint64_t *ret_address);

/* Whether address is a stub of a function of another file that never returns: abort,
 * __stack_chk_fail, ... Code behind a call of it belongs to something else. */
bool links_stub_ends(const struct links *links, uint64_t address);

#endif
