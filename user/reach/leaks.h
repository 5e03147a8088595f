/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_LEAKS_H
#define SEEP_REACH_LEAKS_H
/* Which unreachable block holds which. The kinds are LeakSanitizer's: a block is a direct leak when no other unreachable block
 * points to it, else an indirect one, so that of a cycle all blocks are indirect. */
#include <stdint.h>

#include "reach/scanner.h"

enum reach_leak {
	REACH_NO_LEAK,
	REACH_DIRECT,
	REACH_CYCLE, /* indirect, and a block of a cycle that no leak outside it points to: its first */
	REACH_INDIRECT, /* any other indirect one */
};

/* is_leak: by block, non-zero for those that nobody reaches. kinds: one a block. roots: by block, the direct or cycle one that holds
 * it, itself where it is one, REACH_NONE where it is no leak; of several that hold it, one. Returns 0, -ENOMEM, -ESRCH, or -ECANCELED. */
int reach_leaks(const struct reach_blocks *blocks, const struct reach_reader *reader,
		struct reach_pointers pointers, const uint8_t *is_leak, const _Atomic bool *stop,
		uint8_t *kinds, uint32_t *roots);

#endif
