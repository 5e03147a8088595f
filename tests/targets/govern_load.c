/* SPDX-License-Identifier: BSD-2-Clause */
/* The governor test's target: pairs of malloc and free at a steady rate, a few blocks held for a moment, and a slow leak. Options:
 * --work NS of computing per pair, --held N blocks at a time, --leak-every N pairs, --size BYTES. Prints {"ready":PID}; `go`
 * starts it; `count` has it print what it did so far; `rest` and `go` again stop and start it; the end of stdin ends it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_HELD = 1 << 16 };

static struct {
	uint64_t work_ns, held, leak_every, size;
} options = {.held = 16, .size = 100};

static _Atomic uint64_t n_pairs, n_leaked, running;
static void *held[MAX_HELD];

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* By loops, not by the clock: what probes cost must not look like work done. */
static uint64_t loops_per_us;

__attribute__((noipa)) static void compute(uint64_t loops)
{
	for (volatile uint64_t i = 0; i < loops; i++)
		;
}

static void calibrate(void)
{
	uint64_t best = 1;

	for (int i = 0; i < 20; i++) {
		uint64_t start = clock_ns(CLOCK_MONOTONIC), took;

		compute(100000);
		took = clock_ns(CLOCK_MONOTONIC) - start;
		if (100000 * 1000 / took > best)
			best = 100000 * 1000 / took;
	}
	loops_per_us = best;
}

__attribute__((noipa)) void *load_held(size_t n)
{
	return malloc(n);
}

__attribute__((noipa)) void *load_leaked(size_t n)
{
	return malloc(n);
}

static void *work(void *arg)
{
	uint64_t i = 0;

	for (;;) {
		void **slot = &held[i % options.held];

		if (!atomic_load_explicit(&running, memory_order_relaxed)) {
			usleep(1000);
			continue;
		}
		free(*slot);
		*slot = load_held(options.size);
		if (options.leak_every && i % options.leak_every == 0) {
			__asm__ volatile("" ::"r"(load_leaked(options.size)));
			n_leaked++;
		}
		if (options.work_ns)
			compute(options.work_ns * loops_per_us / 1000);
		i++;
		atomic_store_explicit(&n_pairs, i, memory_order_relaxed);
	}
	return arg;
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 10);

		if (!strcmp(argv[i], "--work"))
			options.work_ns = value;
		else if (!strcmp(argv[i], "--held"))
			options.held = value > 0 && value <= MAX_HELD ? value : 1;
		else if (!strcmp(argv[i], "--leak-every"))
			options.leak_every = value;
		else if (!strcmp(argv[i], "--size"))
			options.size = value;
	}
}

int main(int argc, char **argv)
{
	static char line[64], out[1024];
	pthread_t thread;

	parse(argc, argv);
	calibrate();
	setvbuf(stdout, out, _IOLBF, sizeof(out));
	/* stdio has its buffers before anything is counted. */
	setvbuf(stdin, NULL, _IONBF, 0);
	if (pthread_create(&thread, NULL, work, NULL))
		return 1;
	printf("{\"ready\":%d}\n", getpid());
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "go\n"))
			running = 1;
		else if (!strcmp(line, "rest\n"))
			running = 0;
		else
			printf("{\"pairs\":%llu,\"leaked\":%llu,\"size\":%llu,\"held\":%llu,\"cpu_ns\":%llu,"
			       "\"wall_ns\":%llu}\n",
			       (unsigned long long)n_pairs, (unsigned long long)n_leaked,
			       (unsigned long long)options.size, (unsigned long long)options.held,
			       (unsigned long long)clock_ns(CLOCK_PROCESS_CPUTIME_ID),
			       (unsigned long long)clock_ns(CLOCK_MONOTONIC));
	}
	return 0;
}
