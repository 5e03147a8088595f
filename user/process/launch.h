/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_LAUNCH_H
#define SEEP_PROCESS_LAUNCH_H
/* Starts a command held before its first instruction and follows what it becomes, so that probes
 * stand in every process of the tree before it allocates. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/diag.h"

struct launch;

/* A thread at its end. */
struct launch_thread {
	pid_t tid;
	struct user_regs_struct registers; /* of the program, as it was stopped for good */
};

/* Called in the tracer thread, one at a time, and the process in question waits for the return: be
 * quick. None may call launch_destroy. Any may be NULL. */
struct launch_hooks {
	/* pid is stopped and has executable mappings that it had not before: it just exec'ed, or
	 * its loader mapped another file at start-up. What is attached now is there before any code
	 * of that file runs. A later dlopen is not reported. */
	void (*mapped)(void *arg, pid_t pid);
	/* pid just exec'ed and is stopped before its first instruction; mapped follows. */
	void (*execed)(void *arg, pid_t pid);
	/* parent made the process child, which is stopped before its first instruction.
	 * shares_memory: by vfork, or clone with CLONE_VM. parent may have ended already, and is 1
	 * or a subreaper if it was killed right in fork. Not called without follow. */
	void (*forked)(void *arg, pid_t parent, pid_t child, bool shares_memory);
	/* A process of the tree, not just a thread, ended; wait_status as of waitpid(2). */
	void (*ended)(void *arg, pid_t pid, int wait_status);
	/* A process ends, however that came, and its memory is still there: threads[n - 1], the last
	 * one, is stopped and can be read by its tid; pid itself may have no memory any more. The
	 * others are those that the end of the process ended, not those that ended by themselves
	 * before. May come again for the same process, when it turns out that a thread was being
	 * born. Without this hook threads end without a stop. */
	void (*ending)(void *arg, pid_t pid, const struct launch_thread *threads, size_t n);
};

/* Forks a process that waits for launch_go and then executes argv, searched for in PATH, with our
 * standard streams and environment, default signal dispositions and an empty signal mask.
 * follow: the command's descendants are followed, too; otherwise only the command, through all that
 * it execs.
 * hooks and what argv points to must live until launch_destroy; arg is handed to the hooks.
 * The calling process gets a handler for SIGURG that does nothing (it wakes the tracer thread) and
 * must not wait for children of other threads (__WNOTHREAD).
 * Returns 0; -EPERM when tracing is refused, with a diag that names the reason; -EINVAL for an
 * empty argv; -errno. */
int launch_create(char *const argv[], bool follow, const struct launch_hooks *hooks, void *arg,
		  struct launch **ret, struct diag *d);

/* The command's pid; it stays the same until the command ended. */
pid_t launch_pid(const struct launch *l);

/* Lets the command execute; hooks are called from now on. Returns 0, or -ESRCH if the process was
 * killed meanwhile. */
int launch_go(struct launch *l);

/* Readable once the command has ended or could not be executed, after the hook `ended`. l owns it. */
int launch_eventfd(const struct launch *l);

/* How the command ended. Returns 0 with its wait status; -EAGAIN while it runs; or the error of the
 * failed execution (-ENOENT, -EACCES, ...) with a diag. Any thread. */
int launch_status(const struct launch *l, int *ret_wait_status, struct diag *d);

/* Sends sig to the command. Returns 0, or -ESRCH when it has ended. Any thread. */
int launch_signal(struct launch *l, int sig);

/* Ends the tracing and the thread. What still runs goes on running undisturbed; a command that was
 * not let go yet is killed. Waits for a hook that is being called. Accepts NULL. */
void launch_destroy(struct launch *l);

#endif
