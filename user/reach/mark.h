/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_MARK_H
#define SEEP_REACH_MARK_H
/* Which blocks can be reached from the roots: the words of memory that is in no block, and registers. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reach/scanner.h"

/* Memory that is looked at for pointers, blocks in it excepted. */
struct reach_piece {
	uint64_t start, end; /* at most REACH_PIECE_BYTES */
};

struct reach_roots {
	struct {
		struct reach_piece *items;
		size_t n, cap;
	} pieces;
	struct {
		uint64_t *items;
		size_t n, cap;
	} registers;
};

struct reach_options {
	struct reach_pointers pointers;
	unsigned n_threads; /* at least 1 */
	bool again; /* marks have been made a moment ago: blocks reached then are looked at once more, in the order of memory */
	bool stands; /* the process does not run meanwhile */
};

/* How far it is; may be read at any time. */
struct reach_progress {
	_Atomic uint64_t n_bytes;
	_Atomic bool stop; /* set by whoever wants it to end early */
};

/* marks: one byte a block, 0 before, or what a call before left; becomes 1 where the block is reachable. Where pointers move, a
 * block taken off the head of a list hides all that follows, if the list was looked at before and the block is only after. With
 * `again` a block is missed only if the very word that points to it moves the wrong way in the time of one sweep. Returns 0; -ENOMEM; -ESRCH: the process is gone;
 * -ECANCELED: it was stopped; or -errno of pthread_create(3) when not even one thread can be started. */
int reach_mark(const struct reach_blocks *blocks, const struct reach_roots *roots,
	       const struct reach_reader *reader, const struct reach_options *options,
	       struct reach_progress *progress, uint8_t *marks);

#endif
