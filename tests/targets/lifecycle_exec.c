// SPDX-License-Identifier: BSD-2-Clause
/* A process that runs itself again and again: lifecycle_exec LIVES [CRASH]. Life k allocates k blocks of 100 + k bytes in
 * take_k() and executes the next one, every other time from a thread that is not the first, and every third time from a vfork
 * child that takes one block more in its parent's memory. The last one ends by itself, or by the signal CRASH. Waits for a line on
 * stdin first, in the first life. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char **arguments;

__attribute__((noipa)) static void take_block(size_t n_bytes)
{
	void *p = malloc(n_bytes);

	__asm__ volatile("" : : "r"(p) : "memory");
}

static void *run_next(void *unused)
{
	(void)unused;
	execv("/proc/self/exe", arguments);
	_exit(96);
}

__attribute__((noipa)) static void crash(int signal)
{
	kill(getpid(), signal);
	for (;;)
		pause();
}

/* The child's block is the parent's, and stays. */
static void vfork_once(void)
{
	pid_t pid = vfork();

	if (!pid) {
		take_block(777);
		execl("/bin/true", "true", NULL);
		_exit(97);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	unsigned n_lives = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned life = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
	char number[16], ready[64], c = 0;
	pthread_t thread;

	if (!n_lives)
		return 1;
	if (life == 1) {
		int bytes = snprintf(ready, sizeof(ready), "{\"ready\":%d}\n", (int)getpid());

		if (write(1, ready, bytes) != bytes)
			return 3;
		while (read(0, &c, 1) == 1 && c != '\n')
			;
	}
	for (unsigned i = 0; i < life; i++)
		take_block(100 + life);
	if (life % 3 == 0)
		vfork_once();
	if (life == n_lives) {
		if (argc > 2 && atoi(argv[2]))
			crash(atoi(argv[2]));
		return 0;
	}
	snprintf(number, sizeof(number), "%u", life + 1);
	arguments = (char *[]){argv[0], argv[1], argc > 2 ? argv[2] : "0", number, NULL};
	if (life % 2 == 0 && !pthread_create(&thread, NULL, run_next, NULL))
		pthread_join(thread, NULL);
	run_next(NULL);
}
