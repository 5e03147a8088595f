// SPDX-License-Identifier: BSD-2-Clause
/* A server that forks for each request: lifecycle_server N [--same-pid | --hold] [--auto]. Every child allocates, frees some of
 * it, leaks the rest and ends. With --same-pid all children have the first one's pid; with --hold none ends before the server. What each did, in numbers, is printed as one
 * JSON line at the end; the server's own blocks are two of 1000 bytes from before the first fork, one of them freed by each
 * child too. */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_REQUESTS = 100000, N_AT_ONCE = 4, MAX_BLOCKS = 16 };

struct served {
	pid_t pid;
	unsigned allocations, frees, allocated_bytes, freed_bytes;
};

static struct served *served; /* shared with the children */
static unsigned *n_holding;   /* shared, too: those that have done all and stay */
static void *from_before[2];
static bool hold;

__attribute__((noipa)) static void *request_block(size_t n_bytes)
{
	return malloc(n_bytes);
}

/* Request i holds i % 16 + 1 blocks, each of another size, and frees the even ones. */
__attribute__((noipa)) static void serve(unsigned i)
{
	struct served *s = &served[i];
	void *blocks[MAX_BLOCKS];
	unsigned n = i % MAX_BLOCKS + 1;

	s->pid = getpid();
	free(from_before[0]);
	for (unsigned j = 0; j < n; j++) {
		size_t n_bytes = 100 + j * 10 + i % 7;

		blocks[j] = request_block(n_bytes);
		s->allocations++;
		s->allocated_bytes += n_bytes;
	}
	for (unsigned j = 0; j < n; j += 2) {
		free(blocks[j]);
		s->frees++;
		s->freed_bytes += 100 + j * 10 + i % 7;
	}
	if (hold) {
		__atomic_fetch_add(n_holding, 1, __ATOMIC_SEQ_CST);
		pause(); /* until the server's end */
	}
	_exit(0);
}

/* Returns the child's pid, in the child 0. wanted: the pid that it is to have, 0: any. */
static pid_t fork_as(pid_t wanted)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&wanted,
		.set_tid_size = 1,
	};

	return wanted ? (pid_t)syscall(SYS_clone3, &args, sizeof(args)) : fork();
}

/* Returns how many children had a pid that one before had, too. */
static unsigned run_same_pid(unsigned n)
{
	unsigned n_reused = 0;
	pid_t pid = 0;

	for (unsigned i = 0; i < n; i++) {
		pid_t child = fork_as(pid);

		if (child < 0 && pid && errno == EEXIST) /* somebody else has it now */
			child = fork();
		if (!child)
			serve(i);
		if (child < 0)
			exit(2);
		n_reused += child == pid;
		pid = child;
		waitpid(pid, NULL, 0);
	}
	return n_reused;
}

static void run_many(unsigned n)
{
	unsigned n_running = 0;

	for (unsigned i = 0; i < n; i++) {
		if (n_running == N_AT_ONCE && !hold) {
			wait(NULL);
			n_running--;
		}
		switch (fork()) {
		case -1:
			exit(2);
		case 0:
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(i);
		}
		n_running++;
	}
	while (!hold && wait(NULL) > 0)
		;
	while (hold && __atomic_load_n(n_holding, __ATOMIC_SEQ_CST) < n)
		usleep(1000);
}

static void print_served(unsigned n, unsigned n_reused)
{
	char line[128];
	int bytes = snprintf(line, sizeof(line), "{\"reused\":%u,\"served\":[", n_reused);

	for (unsigned i = 0; i < n; i++) {
		const struct served *s = &served[i];

		if (write(1, line, bytes) != bytes)
			exit(3);
		bytes = snprintf(line, sizeof(line), "%s[%d,%u,%u,%u,%u]", i ? "," : "", s->pid,
				 s->allocations, s->frees, s->allocated_bytes, s->freed_bytes);
	}
	if (write(1, line, bytes) != bytes || write(1, "]}\n", 3) != 3)
		exit(3);
}

/* A byte at a time: no buffer that stdio would allocate. */
static void wait_for_line(void)
{
	char c = 0;

	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, n_reused = 0;
	bool same_pid = false, automatic = false;
	char ready[64];

	for (int i = 2; i < argc; i++) {
		same_pid |= !strcmp(argv[i], "--same-pid");
		hold |= !strcmp(argv[i], "--hold");
		automatic |= !strcmp(argv[i], "--auto");
	}
	if (!n || n > MAX_REQUESTS)
		return 1;
	served = mmap(NULL, (MAX_REQUESTS + 1) * sizeof(*served), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (served == MAP_FAILED)
		return 1;
	n_holding = (unsigned *)&served[MAX_REQUESTS];
	if (!automatic) {
		int bytes = snprintf(ready, sizeof(ready), "{\"ready\":%d}\n", (int)getpid());

		if (write(1, ready, bytes) != bytes)
			return 3;
		wait_for_line();
	}
	for (unsigned i = 0; i < 2; i++)
		from_before[i] = request_block(1000);
	if (same_pid)
		n_reused = run_same_pid(n);
	else
		run_many(n);
	print_served(n, n_reused);
	wait_for_line();
	return 0;
}
