/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_PATHS_H
#define SEEP_REACH_PATHS_H
/* Why a block is reachable: a shortest chain of pointers from a root to it. */
#include <stddef.h>
#include <stdint.h>

#include "reach/mark.h"

/* In place of an address: the word is roots->registers.items[address & ~REACH_IN_REGISTER]. */
#define REACH_IN_REGISTER (1ULL << 63)

/* The word at address points to the block; it lies in the block of the step before, that of the first one in a root. */
struct reach_step {
	uint64_t address;
	uint32_t block;
};

struct reach_path {
	struct reach_step *items;
	size_t n, cap;
};

/* The last step of ret is target's; no steps: it is not reachable. Takes 12 bytes a block. Returns 0, or the errors of reach_mark. */
int reach_path_find(const struct reach_blocks *blocks, const struct reach_roots *roots,
		    const struct reach_reader *reader, struct reach_pointers pointers,
		    uint32_t target, struct reach_progress *progress, struct reach_path *ret);

#endif
