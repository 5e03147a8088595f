// SPDX-License-Identifier: BSD-2-Clause
/* lifecycle_storm N: N short lives, four at a time, of every kind that processes have: forks, programs, chains of programs, vforks, threads that
 * end or execute before or after their process's first one, orphans, and some that are killed in the midst of a call. Each
 * allocates, and leaks some of it. Ready at once; after a line on stdin it works, prints {"lives":N} when all have ended, and
 * stays until stdin is closed. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { N_AT_ONCE = 4, N_BLOCKS = 8, KILL_AFTER_US = 3000, N_THREADS = 3 };

static char *self;

__attribute__((noipa)) static void *storm_block(size_t n_bytes)
{
	return malloc(n_bytes);
}

static void take_some(void)
{
	for (unsigned i = 0; i < N_BLOCKS; i++) {
		void *block = storm_block(64 + i);

		if (i % 2)
			free(block);
	}
}

static char **arguments_of(const char *what)
{
	static char *arguments[3];

	arguments[0] = self;
	arguments[1] = (char *)what;
	return arguments;
}

static void run_program(const char *what)
{
	execve(self, arguments_of(what), environ);
	_exit(9);
}

static void *churn(void *unused)
{
	(void)unused;
	for (;;)
		free(storm_block(100));
	return NULL;
}

static void *execute(void *what)
{
	take_some();
	run_program(what);
	return NULL;
}

static void *take_and_end(void *unused)
{
	(void)unused;
	take_some();
	return NULL;
}

static void *outlive(void *unused)
{
	(void)unused;
	usleep(500);
	take_some();
	return NULL;
}

/* All threads of it end at once, and which one is the last is chance. */
static void live_with_threads(void)
{
	pthread_t thread;

	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_create(&thread, NULL, i % 2 ? outlive : take_and_end, NULL);
	take_some();
	pthread_exit(NULL);
}

static void live_by_thread(void *(*what)(void *), const char *argument)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, what, (void *)argument))
		pthread_join(thread, NULL);
}

static void spawn(const char *what)
{
	pid_t pid;

	if (!posix_spawn(&pid, self, NULL, NULL, arguments_of(what), environ))
		waitpid(pid, NULL, 0);
}

/* The child's memory is ours, and it ends, or executes, when we are gone or about to be. */
static void lend_memory(unsigned kind)
{
	pid_t pid = vfork();

	if (!pid && kind % 2)
		_exit(0);
	if (!pid) {
		kill(getppid(), SIGKILL);
		run_program("leaf");
	}
}

static void live(unsigned i)
{
	take_some();
	switch (i % 11) {
	case 0:
		run_program("leaf");
		break;
	case 1:
		run_program("chain3");
		break;
	case 2:
		spawn("leaf");
		break;
	case 3:
		live_with_threads();
		break;
	case 4:
		live_by_thread(execute, "chain1");
		break;
	case 5:
	case 6:
		churn(NULL); /* until it is killed */
		break;
	case 7:
		live_by_thread(churn, NULL);
		break;
	case 8:
		lend_memory(i / 11);
		break;
	case 9: /* an orphan */
		if (!fork())
			take_some();
		break;
	case 10:
		run_program("churn"); /* killed while it begins, or later */
		break;
	}
	_exit(0);
}

static void storm(unsigned n)
{
	unsigned n_running = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned kind = i % 11;
		pid_t pid;

		if (n_running == N_AT_ONCE) {
			wait(NULL);
			n_running--;
		}
		pid = fork();
		if (pid < 0)
			exit(2);
		if (!pid)
			live(i);
		n_running++;
		if ((kind >= 5 && kind <= 7) || kind == 10) {
			usleep(i * 7919U % KILL_AFTER_US);
			kill(pid, SIGKILL);
		}
	}
	/* Orphans are ours, too. */
	while (wait(NULL) > 0)
		;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	char line[64], c;

	self = argv[0];
	take_some();
	if (argc > 1 && !strcmp(argv[1], "leaf"))
		return 0;
	if (argc > 1 && !strcmp(argv[1], "churn"))
		churn(NULL);
	if (argc > 1 && !strncmp(argv[1], "chain", 5))
		run_program(argv[1][5] == '3' ? "chain2" : argv[1][5] == '2' ? "chain1" : "leaf");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (write(1, line, snprintf(line, sizeof(line), "{\"ready\":%d}\n", getpid())) < 0)
		return 3;
	while (read(0, &c, 1) == 1 && c != '\n')
		;
	storm(n);
	if (write(1, line, snprintf(line, sizeof(line), "{\"lives\":%u}\n", n)) < 0)
		return 3;
	while (read(0, &c, 1) == 1)
		;
	return 0;
}
