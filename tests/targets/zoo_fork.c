/* SPDX-License-Identifier: BSD-2-Clause */
/* fork, vfork, exec: each process prints a ledger of its own. Children that stay alive wait for
 * the end of a pipe that the parent holds open until its own `end`. */
#include <sys/wait.h>

#include "ledger.h"

enum { N_SHARED = 10, N_SHORT_LIVED = 5 };

static void *shared[N_SHARED];
static char self_path[4096];

SITE void zoo_fork_parent(void)
{
	for (size_t i = 0; i < N_SHARED; i++)
		shared[i] = zoo_malloc(1000 + i);
}

SITE void zoo_fork_child(size_t n)
{
	void *last = NULL;

	for (size_t i = 0; i < n; i++)
		last = zoo_malloc(50 + i);
	zoo_free(last);
}

/* The parent's blocks: the child frees its copies, the parent's stay. */
static void free_inherited(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(shared[i]);
	ledger.inherited_frees += n;
}

static void wait_for_end_of(int fd)
{
	char c;

	while (read(fd, &c, 1) < 0 && errno == EINTR)
		;
}

static void run_short_lived(void)
{
	pid_t pid = fork();

	if (!pid) {
		ledger_reset("short-lived");
		free_inherited(3);
		zoo_fork_child(4);
		ledger_print();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* Returns once the child has printed its ledger; it lives on. */
static void run_long_lived(const int gate[2])
{
	int done[2];

	if (pipe(done))
		ledger_die("pipe");
	if (!fork()) {
		close(gate[1]);
		close(done[0]);
		ledger_reset("long-lived");
		free_inherited(2);
		zoo_fork_child(8);
		ledger_print();
		close(done[1]);
		wait_for_end_of(gate[0]);
		_exit(0);
	}
	close(done[1]);
	wait_for_end_of(done[0]);
	close(done[0]);
}

/* A process that execs itself: what it held before is gone. The second life is main's
 * --after-exec. */
static void run_exec(const int gate[2])
{
	char gate_fd[16], done_fd[16];
	int done[2];

	if (pipe(done))
		ledger_die("pipe");
	snprintf(gate_fd, sizeof(gate_fd), "%d", gate[0]);
	snprintf(done_fd, sizeof(done_fd), "%d", done[1]);
	if (!fork()) {
		close(gate[1]);
		close(done[0]);
		zoo_fork_child(6);
		execl(self_path, self_path, "--after-exec", gate_fd, done_fd,
		      ledger.automatic ? "auto" : "", NULL);
		_exit(97);
	}
	close(done[1]);
	wait_for_end_of(done[0]);
	close(done[0]);
}

SITE void zoo_after_exec(void)
{
	zoo_malloc(301);
	zoo_malloc(302);
	zoo_free(zoo_malloc(303));
}

static int after_exec(char **argv)
{
	ledger_reset("after-exec");
	ledger.automatic = !strcmp(argv[4], "auto");
	zoo_after_exec();
	ledger_print();
	close(atoi(argv[3]));
	wait_for_end_of(atoi(argv[2]));
	return 0;
}

/* Runs in the parent's memory: the block is the parent's, and stays when the child execs. */
SITE void zoo_vfork_child(void)
{
	zoo_malloc(707);
}

static void run_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		zoo_vfork_child();
		execl("/bin/true", "true", NULL);
		_exit(97);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	int gate[2];

	if (argc == 5 && !strcmp(argv[1], "--after-exec"))
		return after_exec(argv);
	ledger_start(argc, argv);
	if (pipe(gate) || readlink("/proc/self/exe", self_path, sizeof(self_path) - 1) < 0)
		ledger_die("pipe or /proc/self/exe");
	zoo_fork_parent();
	for (int i = 0; i < N_SHORT_LIVED; i++)
		run_short_lived();
	run_vfork();
	run_long_lived(gate);
	run_exec(gate);
	ledger_finish();
	close(gate[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
