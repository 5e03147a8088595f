// SPDX-License-Identifier: BSD-2-Clause
/* Malloc/free pairs at the bottom of stacks of any depth, timed by itself.
 *
 *	prints  "target PID ADDRESS_OF_MALLOC ADDRESS_OF_FREE"
 *	reads   "FRAMES STACKS PAIRS", frames from 5 on: those of malloc's callers up to _start
 *	prints  "result WALL_NS CPU_NS N_PAIRS"
 *
 * and so on to the end of its input. The pairs are shared out to so many different stacks: one is
 * hot after the first pair; 50,000 meet most of the functions' call sites (walk_unit.c) in random
 * order. The same question takes the same stacks again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "walk.h"

/* The path's first function, main, __libc_start_call_main, __libc_start_main, _start. */
#define LEAST_FRAMES 5

/* make_walks adds this array: the units' tables. */
extern walk_function *const *const walk_units[];
extern const unsigned walk_n_units;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline __attribute__((always_inline)) void run_batch(struct walk *w, unsigned n_frames,
							    uint64_t n_stacks, uint64_t n_pairs)
{
	uint64_t wall_ns = now_ns(CLOCK_MONOTONIC);
	uint64_t cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	w->n_pairs = n_pairs / n_stacks;
	for (uint64_t i = 0; i < n_stacks; i++) {
		uint64_t path = i + 1;

		walk_next(w, &path)(w, path, n_frames - LEAST_FRAMES);
	}
	wall_ns = now_ns(CLOCK_MONOTONIC) - wall_ns;
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	printf("result %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", wall_ns, cpu_ns,
	       w->n_pairs * n_stacks);
}

int main(void)
{
	struct walk w = {.n_functions = walk_n_units * WALK_UNIT_FUNCTIONS};
	uint64_t n_stacks, n_pairs;
	unsigned n_frames;

	w.functions = calloc(w.n_functions, sizeof(*w.functions));
	if (!w.functions)
		return 1;
	for (unsigned i = 0; i < w.n_functions; i++)
		w.functions[i] = walk_units[i / WALK_UNIT_FUNCTIONS][i % WALK_UNIT_FUNCTIONS];
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("target %d %p %p\n", getpid(), (void *)malloc, (void *)free);
	while (scanf("%u %" SCNu64 " %" SCNu64, &n_frames, &n_stacks, &n_pairs) == 3 &&
	       n_frames >= LEAST_FRAMES && n_stacks)
		run_batch(&w, n_frames, n_stacks, n_pairs);
	return 0;
}
