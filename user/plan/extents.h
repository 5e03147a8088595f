/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PLAN_EXTENTS_H
#define SEEP_PLAN_EXTENTS_H
/* Where the functions of a file lie, by its symbol tables. */
#include <stdint.h>

struct elf_image;
struct extents; /* opaque; 16 bytes a function */

/* Symbols of unlikely size are left out, and a defect of the tables only hides what is behind it.
 * Returns 0 or -ENOMEM. Free with extents_destroy. */
int extents_create(struct elf_image *image, struct extents **ret);
void extents_destroy(struct extents *extents);

/* The function around an address. Returns 0 or -ENOENT. Thread-safe. */
int extents_find(const struct extents *extents, uint64_t address, uint64_t *ret_start,
		 uint64_t *ret_size_bytes);

#endif
