// SPDX-License-Identifier: BSD-2-Clause
/* One hard case for the accounting per run, by name; prints how many blocks it holds in the end. Nothing else allocates. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define SITE __attribute__((noinline, noclone))
#define N_BLOCKS 1000
#define STACK_BYTES 65536

static void *volatile kept; /* the compiler must not leave calls out */

/* A small block, which -z leaves out, and then a function with a big frame: words of the first call's stay in it unwritten. */
static SITE void parse(void)
{
	volatile char buffer[16384];

	buffer[0] = 1;
	kept = malloc(1000);
	if (buffer[0] != 1)
		abort();
}

static int run_gap(void)
{
	for (int i = 0; i < N_BLOCKS; i++) {
		kept = malloc(8);
		parse();
	}
	return N_BLOCKS;
}

/* Compiled to jumps: malloc returns to the caller's caller. */
static SITE __attribute__((optimize("optimize-sibling-calls"))) void *make(int large)
{
	return large ? malloc(1000) : malloc(8);
}

static int run_tail(void)
{
	for (int i = 0; i < N_BLOCKS; i++) {
		kept = make(0);
		kept = make(1);
	}
	return N_BLOCKS;
}

static ucontext_t scheduler, coroutines[4];

static void coroutine(void)
{
	for (int i = 0; i < N_BLOCKS; i++) {
		kept = malloc(1000);
		swapcontext(&coroutines[i % 4], &scheduler);
	}
}

/* Four stacks in one thread, in no order of addresses, and calls on the thread's own in between. */
static int run_coroutines(void)
{
	for (int c = 0; c < 4; c++) {
		getcontext(&coroutines[c]);
		coroutines[c].uc_stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		coroutines[c].uc_stack.ss_size = STACK_BYTES;
		coroutines[c].uc_link = &scheduler;
		makecontext(&coroutines[c], coroutine, 0);
	}
	for (int i = 0; i < 100; i++)
		for (int c = 0; c < 4; c++) {
			kept = malloc(8);
			/* coroutine() saves itself where it was resumed from. */
			swapcontext(&scheduler, &coroutines[c]);
		}
	return 400;
}

#ifdef OWN_MALLOC
/* The program's own malloc: a signal strikes in it, and the handler jumps away. */
extern void *__libc_malloc(size_t size_bytes);
static int armed;
static sigjmp_buf away;

SITE void *malloc(size_t size_bytes)
{
	if (armed) {
		armed = 0;
		raise(SIGUSR1);
	}
	kept = __libc_malloc(size_bytes);
	return kept;
}

static void jump_away(int signal_number)
{
	(void)signal_number;
	siglongjmp(away, 1);
}

static SITE void left_call(void)
{
	armed = 1;
	kept = malloc(5);
}

static SITE void overwrite_stack(void)
{
	volatile char bytes[60000];

	memset((char *)bytes, 1, sizeof(bytes));
}

static SITE void deep_calls(int depth)
{
	volatile char frame[200];

	frame[0] = 1;
	if (depth) {
		deep_calls(depth - frame[0]);
		return;
	}
	for (int i = 0; i < N_BLOCKS; i++)
		kept = malloc(100);
}

static int run_left(void)
{
	signal(SIGUSR1, jump_away);
	if (!sigsetjmp(away, 1))
		left_call();
	overwrite_stack();
	deep_calls(20);
	return N_BLOCKS;
}

#endif

/* A child in the same memory that outlives its parent. */
static int outlive(void *arg)
{
	(void)arg;
	usleep(300000);
	for (int i = 0; i < N_BLOCKS; i++)
		kept = malloc(50);
	_exit(0);
}

static int run_clone(void)
{
	char *stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 10; i++)
		kept = malloc(50);
	clone(outlive, stack + STACK_BYTES, CLONE_VM | SIGCHLD, NULL);
	return N_BLOCKS + 10;
}

static void *use_heap(void *arg)
{
	for (size_t size = 24; size < 400; size += 80) {
		kept = malloc(size);
		free(kept);
	}
	return arg;
}

/* When a thread ends glibc frees, for itself, what the thread has long freed. */
static int run_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 10; i++) {
		pthread_create(&thread, NULL, use_heap, NULL);
		pthread_join(thread, NULL);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} cases[] = {
	{"gap", run_gap},     {"tail", run_tail},	{"coroutines", run_coroutines},
#ifdef OWN_MALLOC
	{"left", run_left},
#endif
	{"clone", run_clone}, {"threads", run_threads},
};

int main(int argc, char **argv)
{
	char line[32];

	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(cases[i].name, argv[1])) {
			snprintf(line, sizeof(line), "%d\n", cases[i].run());
			return write(STDOUT_FILENO, line, strlen(line)) < 0;
		}
	return 2;
}
