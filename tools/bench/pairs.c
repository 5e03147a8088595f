// SPDX-License-Identifier: BSD-2-Clause
/* The program that is traced: malloc/free pairs on demand, timed by itself.
 *
 *	prints  "target PID ADDRESS_OF_MALLOC ADDRESS_OF_FREE"
 *	reads   "THREADS PAIRS_PER_THREAD"
 *	prints  "result WALL_NS CPU_NS", of all threads together
 *
 * and so on to the end of its input. */
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES 64

struct batch {
	uint64_t n_pairs;
	pthread_barrier_t edge; /* all threads stand here before the pairs and after them */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run_pairs(uint64_t n)
{
	while (n--) {
		void *block = malloc(BLOCK_BYTES);

		__asm__ volatile("" : "+r"(block) : : "memory");
		free(block);
	}
}

static void *thread_main(void *arg)
{
	struct batch *batch = arg;

	pthread_barrier_wait(&batch->edge);
	run_pairs(batch->n_pairs);
	pthread_barrier_wait(&batch->edge);
	return NULL;
}

/* Threads beyond the first one only wait here for the work, they neither begin nor end in it. */
static void run_batch(unsigned n_threads, uint64_t n_pairs)
{
	struct batch batch = {.n_pairs = n_pairs};
	pthread_t threads[n_threads];
	uint64_t wall_ns, cpu_ns;

	pthread_barrier_init(&batch.edge, NULL, n_threads);
	for (unsigned i = 1; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, thread_main, &batch))
			abort();
	pthread_barrier_wait(&batch.edge);
	wall_ns = now_ns(CLOCK_MONOTONIC);
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	run_pairs(n_pairs);
	pthread_barrier_wait(&batch.edge);
	wall_ns = now_ns(CLOCK_MONOTONIC) - wall_ns;
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	for (unsigned i = 1; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&batch.edge);
	printf("result %" PRIu64 " %" PRIu64 "\n", wall_ns, cpu_ns);
}

int main(void)
{
	unsigned n_threads;
	uint64_t n_pairs;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("target %d %p %p\n", getpid(), (void *)malloc, (void *)free);
	while (scanf("%u %" SCNu64, &n_threads, &n_pairs) == 2 && n_threads)
		run_batch(n_threads, n_pairs);
	return 0;
}
