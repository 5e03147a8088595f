/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BENCH_WALK_H
#define SEEP_BENCH_WALK_H
/* Calls that take any path through many functions, to malloc/free pairs at the bottom. */
#include <stdint.h>
#include <stdlib.h>

#define WALK_UNIT_FUNCTIONS 512
#define WALK_CALL_SITES 32 /* in each function */
#define WALK_BLOCK_BYTES 64

struct walk;

/* Calls the function that path names, from one of its own call sites that path names, too, and so
 * on n_calls times; the last one works. */
typedef void walk_function(struct walk *w, uint64_t path, unsigned n_calls);

struct walk {
	walk_function **functions;
	unsigned n_functions;
	uint64_t n_pairs; /* at the bottom */
};

/* One unit's; make_walks gives it another name for each copy of walk_unit.c. */
extern walk_function *const walk_unit_functions[WALK_UNIT_FUNCTIONS];

/* Where a path goes from here: path is a linear congruential generator, its high bits say. */
static inline walk_function *walk_next(const struct walk *w, uint64_t *path)
{
	*path = *path * 6364136223846793005 + 1442695040888963407;
	return w->functions[(*path >> 40) % w->n_functions];
}

static inline __attribute__((always_inline)) void walk_work(const struct walk *w)
{
	for (uint64_t i = 0; i < w->n_pairs; i++) {
		void *block = malloc(WALK_BLOCK_BYTES);

		__asm__ volatile("" : "+r"(block) : : "memory");
		free(block);
	}
}

#endif
