/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that goes through many different stacks: on a line `more` it allocates at --batch N new ones, frees and keeps one of
 * KEEP_EACH blocks; on `again` it does so at the first N of all, keeping each; each time it prints its counters. --threads N
 * allocate and free, mostly at the first --hot N stacks of theirs, else at any that had its turn, each holding HELD blocks for a while, until
 * a line `stop`; then comes the ledger. */
#include <pthread.h>

#include "ledger.h"

enum { DEPTH = 6, RADIX = 8, KEEP_EACH = 97, HELD = 50, MAX_THREADS = 8 };

static uint64_t batch = 1000, n_threads, hot = 300;
static uint64_t n_visited; /* paths so far: the threads' playground */
static int stopping;

SITE void *zoo_evict_leaf(uint64_t path)
{
	return zoo_malloc(16 + path % 200);
}

/* The path's digits are the functions on the stack. */
SITE void *turn(uint64_t path, unsigned depth);

#define TURN(n)                                                                                    \
	SITE void *turn_##n(uint64_t path, unsigned depth)                                         \
	{                                                                                          \
		return turn(path, depth + ledger_opaque(0));                                       \
	}
TURN(0)
TURN(1)
TURN(2)
TURN(3)
TURN(4)
TURN(5)
TURN(6)
TURN(7)

SITE void *turn(uint64_t path, unsigned depth)
{
	static void *(*const turns[RADIX])(uint64_t, unsigned) = {turn_0, turn_1, turn_2, turn_3,
								  turn_4, turn_5, turn_6, turn_7};
	uint64_t digit = path;

	for (unsigned i = 0; i < depth; i++)
		digit /= RADIX;
	if (depth == DEPTH)
		return zoo_evict_leaf(path);
	return turns[digit % RADIX](path, depth + 1);
}

static void *play(void *arg)
{
	uint64_t random = 0x9e3779b97f4a7c15ull * ((uintptr_t)arg + 1);
	void *held[HELD] = {NULL};

	for (uint64_t i = 0; !__atomic_load_n(&stopping, __ATOMIC_RELAXED); i++) {
		uint64_t n = __atomic_load_n(&n_visited, __ATOMIC_RELAXED);

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		if (n) {
			zoo_free(held[i % HELD]);
			/* Mostly one of few, which stay in use; now and then one that may have gone. */
			held[i % HELD] = turn((random >> 33) % (i % 200 ? hot : n), 0);
		}
		if (i % 20 == 0)
			usleep(1000);
	}
	return NULL;
}

static void print_counters(void)
{
	char line[256];

	snprintf(
		line, sizeof(line),
		"{\"allocations\":%llu,\"frees\":%llu,\"allocated_bytes\":%llu,\"freed_bytes\":%llu}\n",
		(unsigned long long)ledger.allocations, (unsigned long long)ledger.frees,
		(unsigned long long)ledger.allocated_bytes, (unsigned long long)ledger.freed_bytes);
	ledger_write(1, line, strlen(line));
}

static void visit(uint64_t first, uint64_t keep_each)
{
	for (uint64_t path = first; path < first + batch; path++) {
		void *p = turn(path, 0);

		if (path % keep_each)
			zoo_free(p);
	}
}

static void obey(void)
{
	char line[16];

	while (ledger_read_line(line, sizeof(line)) && strcmp(line, "stop")) {
		if (!strcmp(line, "more")) {
			visit(n_visited, KEEP_EACH);
			__atomic_store_n(&n_visited, n_visited + batch, __ATOMIC_RELAXED);
		} else if (!strcmp(line, "again")) {
			visit(0, 1);
		}
		print_counters();
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];

	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "--batch"))
			batch = strtoull(argv[i + 1], NULL, 10);
		if (!strcmp(argv[i], "--threads"))
			n_threads = strtoull(argv[i + 1], NULL, 10);
		if (!strcmp(argv[i], "--hot"))
			hot = strtoull(argv[i + 1], NULL, 10);
	}
	if (!batch || !hot || n_threads > MAX_THREADS)
		ledger_die("evict_stacks: nonsense option");
	ledger_start(argc, argv);
	for (uint64_t i = 0; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, play, (void *)(uintptr_t)i))
			ledger_die("pthread_create");
	obey();
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (uint64_t i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	ledger_finish();
	return 0;
}
