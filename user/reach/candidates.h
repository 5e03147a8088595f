/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_CANDIDATES_H
#define SEEP_REACH_CANDIDATES_H
/* Blocks that no pass has reached so far. While the process runs, a pointer may move from what is yet to be read to what was read:
 * one pass may miss it, several in a row do so for a block only that is out of use. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reach/blocks.h"

struct reach_candidate {
	uint64_t start, birth_ns;
};

struct reach_candidates {
	struct reach_candidate *items; /* by start */
	size_t n, cap;
	unsigned n_passes;
	bool moving;	   /* some pass so far had such: */
	size_t n_returned; /* that the last pass reached though the ones before had not: where it is not 0, more of them may be in use */
};

/* After a pass: those stay that are there still and were not reached; marks are reach_mark's. In the first pass all that were not
 * reached come in. Returns 0 or -ENOMEM. */
int reach_candidates_pass(struct reach_candidates *c, const struct reach_blocks *blocks,
			  const uint8_t *marks);
bool reach_candidates_has(const struct reach_candidates *c, uint64_t start, uint64_t birth_ns);
void reach_candidates_done(struct reach_candidates *c);

#endif
