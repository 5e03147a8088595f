// SPDX-License-Identifier: BSD-2-Clause
/* A command that loses a block and what that leads to, and then ends in the way that its argument says.
 *
 * lose() leaves a block of 104 bytes that nothing points to, and one of 56 that only the first points to; the names that begin with
 * `hold` allocate what is still held at the end. What functions leave behind on the stack is overwritten. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITE __attribute__((noipa)) static

static void *volatile held;
static volatile int n_waiting;

SITE void *volatile *take(size_t size)
{
	void *volatile *block = calloc(1, size);

	if (!block)
		abort();
	return block;
}

SITE void lose_both(void)
{
	void *volatile *block = take(104);

	*block = (void *)take(56);
}

SITE void clear_stack(void)
{
	volatile char below[64 << 10];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

SITE void lose(void)
{
	lose_both();
	clear_stack();
}

SITE void *hold_on_stack(void *arg)
{
	void *volatile block = (void *)take(72);

	__atomic_add_fetch(&n_waiting, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return block ? arg : NULL;
}

/* In no memory: the thread runs, and has it in a register. */
SITE void *hold_in_register(void *arg)
{
	register void *block __asm__("r12") = (void *)take(88);

	__atomic_add_fetch(&n_waiting, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("" : "+r"(block));
	return arg;
}

SITE void start_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, hold_on_stack, NULL) ||
		    pthread_create(&thread, NULL, hold_in_register, NULL))
			abort();
	while (__atomic_load_n(&n_waiting, __ATOMIC_SEQ_CST) < 4)
		usleep(1000);
}

static void lose_at_exit(void)
{
	lose();
}

static void free_at_exit(void)
{
	free(held);
	held = NULL;
}

static void execute(void)
{
	execl("/bin/true", "true", NULL);
	_exit(9);
}

static void start_child(void)
{
	pid_t child = fork();

	if (!child) {
		lose();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	child = vfork();
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
}

/* The first thread leaves the others alone, who lose once more and end it all. */
SITE void *end_all(void *arg)
{
	(void)arg;
	usleep(100000);
	lose();
	exit(0);
}

static void leave_to_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, end_all, NULL))
		abort();
	pthread_exit(NULL);
}

static void be_traced(void)
{
	if (!ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(9);
	lose();
}

static void wait_for_signal(void)
{
	lose();
	printf("ready\n");
	fflush(stdout);
	pause();
}

static void ignore_interrupt(void)
{
	signal(SIGINT, SIG_IGN);
	wait_for_signal();
}

#define N_RACES 40
#define N_RACERS 3
static volatile int is_over;

static void *end_when_over(void *arg)
{
	while (!is_over)
		;
	return arg;
}

/* Children whose threads end by themselves while the process ends. */
static void race(void)
{
	pthread_t thread;

	for (int i = 0; i < N_RACES; i++) {
		pid_t child = fork();

		if (!child) {
			lose();
			for (int j = 0; j < N_RACERS; j++)
				if (pthread_create(&thread, NULL, end_when_over, NULL))
					abort();
			usleep(1000);
			is_over = 1;
			for (volatile int j = 0; j < i * 2000; j++)
				;
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

/* Until the kernel takes somebody's life for it. */
static void take_all_memory(void)
{
	size_t n = 1 << 20;

	lose();
	for (;;) {
		char *p = malloc(n);

		if (p)
			memset(p, 1, n);
	}
}

/* Each loses once, but for where a comment says otherwise. */
static void end(const char *how)
{
	if (!strcmp(how, "nothing")) /* never */
		held = (void *)take(64);
	else if (!strcmp(how, "atexit"))
		atexit(lose_at_exit);
	else if (!strcmp(how, "atexit-frees")) { /* never */
		held = (void *)take(64);
		atexit(free_at_exit);
	} else if (!strcmp(how, "fork")) /* twice */
		start_child();
	else if (!strcmp(how, "exec")) /* what is lost goes with the program */
		execute();
	else if (!strcmp(how, "thread-exec")) {
		start_threads();
		execute();
	} else if (!strcmp(how, "threads"))
		start_threads();
	else if (!strcmp(how, "race")) /* 41 times */
		race();
	else if (!strcmp(how, "last-thread")) /* twice */
		leave_to_thread();
	else if (!strcmp(how, "daemon")) { /* twice */
		if (daemon(1, 1))
			_exit(9);
		usleep(300000);
		lose();
	} else if (!strcmp(how, "traced")) /* twice */
		be_traced();
	else if (!strcmp(how, "_exit"))
		_exit(3);
	else if (!strcmp(how, "abort"))
		abort();
	else if (!strcmp(how, "segv"))
		raise(SIGSEGV);
	else if (!strcmp(how, "kill"))
		raise(SIGKILL);
	else if (!strcmp(how, "oom"))
		take_all_memory();
	else if (!strcmp(how, "wait")) /* twice */
		wait_for_signal();
	else if (!strcmp(how, "ignore")) /* twice */
		ignore_interrupt();
	else if (strcmp(how, "return"))
		_exit(9);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";

	if (strncmp(how, "nothing", 7) && strcmp(how, "atexit") && strcmp(how, "atexit-frees"))
		lose();
	end(how);
	return argc > 2 ? atoi(argv[2]) : 0;
}
