/* SPDX-License-Identifier: BSD-2-Clause */
/* Other stacks than the main one: threads, their cleanup handlers when they are cancelled and their keys' destructors, clone()
 * with a stack from mmap, and coroutines that swapcontext switches between. */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <threads.h>
#include <ucontext.h>

#include "stack.h"

enum { THREADS = 8, SWITCHES = 20, STACK_BYTES = 1 << 18 };

static pthread_key_t key;
static ucontext_t back, coroutines[2];

STACK_FN long descend(long depth)
{
	long got = depth > 0 ? descend(depth - 1) : 0;

	stack_malloc(80 + (size_t)depth);
	return got + depth;
}

STACK_FN void at_thread_end(void *arg)
{
	(void)arg;
	stack_malloc(71);
}

STACK_FN void *thread_main(void *arg)
{
	pthread_setspecific(key, arg);
	for (int i = 0; i < 5; i++)
		descend((long)arg);
	return NULL;
}

STACK_FN int c11_main(void *arg)
{
	return (int)descend((long)arg);
}

STACK_FN void at_cancel(void *arg)
{
	(void)arg;
	stack_malloc(72);
}

STACK_FN void *cancelled_main(void *arg)
{
	pthread_cleanup_push(at_cancel, arg);
	descend(2);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

STACK_FN void threads(void)
{
	pthread_t ids[THREADS], cancelled;
	thrd_t c11;

	pthread_key_create(&key, at_thread_end);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&ids[i], NULL, thread_main, (void *)(i + 1));
	pthread_create(&cancelled, NULL, cancelled_main, NULL);
	thrd_create(&c11, c11_main, (void *)3);
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	thrd_join(c11, NULL);
	pthread_cancel(cancelled);
	pthread_join(cancelled, NULL);
}

/* Who attaches to a process that runs already may miss its vfork children's blocks, and says so. */
STACK_FN int clone_main(void *arg)
{
	long depth = (long)arg;
	int got = depth > 0 ? clone_main((void *)(depth - 1)) : 0;

	stack_malloc(60 + (size_t)depth);
	return got;
}

/* The child has our memory and thread data, so we wait (CLONE_VFORK) until it has ended. */
STACK_FN void clones(void)
{
	char *stack = (char *)stack_map(STACK_BYTES);

	for (long i = 1; i < 6; i++) {
		pid_t child = clone(clone_main, stack + STACK_BYTES,
				    CLONE_VM | CLONE_VFORK | CLONE_FS | CLONE_FILES | SIGCHLD,
				    (void *)i);

		if (child < 0 || waitpid(child, NULL, 0) != child)
			ledger_die("clone");
	}
}

STACK_FN void yield(int me)
{
	swapcontext(&coroutines[me], &coroutines[!me]);
}

STACK_FN void coroutine(int me)
{
	for (int i = 0; i < SWITCHES; i++) {
		descend(i % 6);
		yield(me);
	}
}

STACK_FN void coroutines_by_turns(void)
{
	for (int i = 0; i < 2; i++) {
		getcontext(&coroutines[i]);
		coroutines[i].uc_stack.ss_sp = stack_map(STACK_BYTES);
		coroutines[i].uc_stack.ss_size = STACK_BYTES;
		coroutines[i].uc_link = &back;
		makecontext(&coroutines[i], (void (*)(void))coroutine, 1, i);
	}
	swapcontext(&back, &coroutines[0]);
}

int main(int argc, char **argv)
{
	stack_start(argc, argv);
	threads();
	clones();
	coroutines_by_turns();
	stack_finish();
	return 0;
}
