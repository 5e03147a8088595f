/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that free each other's blocks and end in every way a thread can; with
 * --no-system-call-death, in every way that jemalloc survives. */
#include <pthread.h>
#include <sys/syscall.h>

#include "ledger.h"

enum { N_THREADS = 4, N_BLOCKS = 300 };

static void *blocks[N_THREADS][N_BLOCKS];
static pthread_barrier_t all_made;

SITE void zoo_thread_make(unsigned self)
{
	for (unsigned i = 0; i < N_BLOCKS; i++)
		blocks[self][i] = zoo_malloc(16 + (self * N_BLOCKS + i) % 500);
}

/* A third of the own blocks, a third of the neighbour's. */
SITE void zoo_thread_free(unsigned self)
{
	unsigned next = (self + 1) % N_THREADS;

	for (unsigned i = 0; i < N_BLOCKS; i += 3)
		zoo_free(blocks[self][i]);
	for (unsigned i = 1; i < N_BLOCKS; i += 3)
		zoo_free(blocks[next][i]);
}

static void *worker(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;

	zoo_thread_make(self);
	pthread_barrier_wait(&all_made);
	zoo_thread_free(self);
	return NULL;
}

SITE void leave(void)
{
	pthread_exit(NULL);
}

SITE void zoo_dies_by_pthread_exit(unsigned depth)
{
	zoo_malloc(30 + depth);
	if (depth)
		zoo_dies_by_pthread_exit(depth - 1);
	leave();
}

static void *exiting(void *arg)
{
	(void)arg;
	zoo_dies_by_pthread_exit(5);
	return NULL;
}

SITE void zoo_dies_cancelled(void)
{
	for (;;) {
		zoo_free(zoo_malloc(41));
		pthread_testcancel();
	}
}

static void *cancelled(void *arg)
{
	zoo_malloc(*(size_t *)arg);
	zoo_dies_cancelled();
	return NULL;
}

/* The kernel ends the thread; libc is not told, and no destructor runs. */
SITE void zoo_dies_by_system_call(void)
{
	zoo_malloc(52);
	syscall(SYS_exit, 0);
}

static void *dying(void *arg)
{
	(void)arg;
	zoo_dies_by_system_call();
	return NULL;
}

static pthread_t start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg))
		ledger_die("pthread_create");
	return thread;
}

int main(int argc, char **argv)
{
	static size_t cancelled_bytes = 61;
	int system_call_death = argc < 2 || strcmp(argv[1], "--no-system-call-death");
	pthread_t threads[N_THREADS];

	ledger_start(argc, argv);
	pthread_barrier_init(&all_made, NULL, N_THREADS);
	for (unsigned i = 0; i < N_THREADS; i++)
		threads[i] = start(worker, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 10; i++) {
		pthread_t thread = start(cancelled, &cancelled_bytes);

		pthread_join(start(exiting, NULL), NULL);
		if (system_call_death)
			pthread_join(start(dying, NULL), NULL);
		pthread_cancel(thread);
		pthread_join(thread, NULL);
	}
	ledger_finish();
	return 0;
}
