/* SPDX-License-Identifier: BSD-2-Clause */
/* Many processes at once, each with mappings of its own: children that go on as they are, and children that execute other
 * programs of the zoo, from beside this one. */
#include <sys/wait.h>

#include "stack.h"

enum { SAME = 6, ROUNDS = 3, PAUSE_US = 150000 };

static const char *const programs[] = {"stack_c_gcc_O2", "stack_c_clang_Os", "stack_c_static",
				       "stack_c_static_pie", "stack_deep"};

STACK_FN void descend(int depth)
{
	if (depth > 0)
		descend(depth - 1);
	stack_malloc(90 + (size_t)depth);
}

/* Probes reach a child with a delay: the later rounds find them there. */
STACK_FN void child_main(int number)
{
	stack_reset("child");
	for (int i = 0; i < ROUNDS; i++) {
		descend(number);
		usleep(PAUSE_US);
	}
	stack_print();
	_exit(0);
}

STACK_FN void execute(const char *program)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	if (n < 0)
		ledger_die("/proc/self/exe");
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, program);
	execl(path, path, "--child", NULL);
	ledger_die(path);
}

int main(int argc, char **argv)
{
	int n_programs = sizeof(programs) / sizeof(*programs), lock, i, status;

	stack_start(argc, argv);
	lock = memfd_create("turn", 0);
	if (lock < 0 || dup2(lock, STACK_LOCK_FD) < 0)
		ledger_die("memfd_create");
	for (i = 0; i < SAME + n_programs; i++) {
		pid_t child = fork();

		if (child < 0)
			ledger_die("fork");
		if (!child && i < SAME)
			child_main(i);
		if (!child)
			execute(programs[i - SAME]);
		descend(i);
	}
	while (wait(&status) > 0)
		if (status)
			ledger_die("stack_fork: a child failed");
	stack_finish();
	return 0;
}
