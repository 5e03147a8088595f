/* SPDX-License-Identifier: BSD-2-Clause */
/* -fsplit-stack: a thread with a small stack runs over into segments from elsewhere, in every few frames. */
#include <pthread.h>

#include "stack.h"

enum { DEPTH = 40, THREAD_BYTES = 1 << 17 };

STACK_FN int deep(int depth)
{
	char room[12000];
	int got;

	__asm__ volatile("" : : "r"(room) : "memory");
	got = depth > 0 ? deep(depth - 1) : 0;
	if (depth % 4 == 0)
		stack_malloc(120 + (size_t)depth);
	__asm__ volatile("" : : "r"(room) : "memory");
	return got + depth;
}

STACK_FN void *thread_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < DEPTH; i++)
		deep(i);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_attr_t small;
	pthread_t id;

	stack_start(argc, argv);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, THREAD_BYTES);
	if (pthread_create(&id, &small, thread_main, NULL) || pthread_join(id, NULL))
		ledger_die("pthread_create");
	stack_finish();
	return 0;
}
