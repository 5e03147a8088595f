// SPDX-License-Identifier: BSD-2-Clause
/*
 * The caller's thread and the tracer thread, which is the only one that may use ptrace on the tree
 * and so does the fork and the waiting, share little: the results, written before `state` changes,
 * and the flag `leaving`.
 * The command waits for one byte on a socket, whose end of file tells it that we are gone; if the
 * execution fails, it sends the errno back.
 */
#include "process/launch.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/procfs.h"
#include "process/tracer.h"

#define WAKE_SIGNAL SIGURG
#define WAKE_INTERVAL_NS 5000000L

enum launch_state {
	LAUNCH_RUNNING,
	LAUNCH_ENDED,  /* wait_status is set */
	LAUNCH_FAILED, /* exec_errno is set */
};

struct launch {
	char *const *argv;
	pid_t pid;
	int pidfd, event, go; /* file descriptors, -1: not open */
	int child_end;	      /* of go's socket; only while starting */
	pthread_t thread;
	pid_t thread_id;
	bool has_thread;
	atomic_bool was_let_go; /* what the caller did before is seen by the hooks */
	sem_t seized;		/* posted when start_error is set, and pid */
	int start_error;
	struct diag start_diag;
	int wait_status, exec_errno;
	_Atomic int state;
	atomic_bool leaving;
	struct tracer tracer;
};

static void wake(int sig)
{
	(void)sig;
}

/* In the child. Of a process with threads: only what is safe in a signal handler. */
static void __attribute__((noreturn)) become_command(const struct launch *l)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	sigset_t none;
	char byte;
	int err;

	close(l->go);
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &by_default, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	while ((err = read(l->child_end, &byte, 1)) < 0 && errno == EINTR)
		;
	if (err != 1)
		_exit(127);
	execvp(l->argv[0], l->argv);
	err = errno;
	send(l->child_end, &err, sizeof(err), MSG_NOSIGNAL);
	_exit(127);
}

/* Says why the kernel did not let us trace our own child. */
static int refused(pid_t pid, struct diag *d)
{
	_cleanup_free_ char *status = NULL;
	_cleanup_fclose_ FILE *yama = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	const char *line;
	int tracer = 0, scope = 0;
	size_t n;

	if (!procfs_read(pid, "status", 1 << 16, &status, &n)) {
		line = strstr(status, "\nTracerPid:");
		if (line && sscanf(line, "\nTracerPid: %d", &tracer) == 1 && tracer)
			return diag_set_hint(
				d, EPERM, EXIT_REFUSED,
				"run seep without strace or a debugger around it",
				"the command cannot be traced: process %d traces it already",
				tracer);
	}
	if (yama && fscanf(yama, "%d", &scope) == 1 && scope >= 2)
		return diag_set_hint(
			d, EPERM, EXIT_REFUSED,
			scope == 2
				? "run as root, or with CAP_SYS_PTRACE"
				: "it lasts until a reboot; start the command by itself and use -p PID",
			"the command cannot be traced: kernel.yama.ptrace_scope is %d", scope);
	return diag_set_hint(
		d, EPERM, EXIT_REFUSED,
		"in a container, add CAP_SYS_PTRACE; or start the command by itself and use -p PID",
		"the command cannot be traced: ptrace is refused, by a seccomp filter or a security module");
}

static int start_command(struct launch *l)
{
	int err;

	l->pid = fork();
	if (!l->pid)
		become_command(l);
	if (l->pid < 0)
		return diag_set(&l->start_diag, errno, "cannot fork: %s", strerror(errno));
	close(l->child_end);
	l->child_end = -1;
	l->tracer.command = l->pid;
	l->pidfd = syscall(SYS_pidfd_open, l->pid, 0);
	if (l->pidfd < 0)
		err = diag_set(&l->start_diag, errno, "pidfd_open: %s", strerror(errno));
	else
		err = tracer_seize(&l->tracer);
	if (err == -EPERM)
		err = refused(l->pid, &l->start_diag);
	else if (err && !l->start_diag.text[0])
		diag_set(&l->start_diag, -err, "ptrace: %s", strerror(-err));
	if (err) {
		kill(l->pid, SIGKILL);
		waitpid(l->pid, NULL, 0);
	}
	return err;
}

static void publish_end(struct launch *l, int wait_status)
{
	bool failed = recv(l->go, &l->exec_errno, sizeof(l->exec_errno), MSG_DONTWAIT) ==
		      sizeof(l->exec_errno);

	l->wait_status = wait_status;
	atomic_store(&l->state, failed ? LAUNCH_FAILED : LAUNCH_ENDED);
	eventfd_write(l->event, 1);
}

static void *trace(void *arg)
{
	struct launch *l = arg;
	sigset_t all_but_wake;

	sigfillset(&all_but_wake);
	sigdelset(&all_but_wake, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all_but_wake, NULL);
	l->thread_id = gettid();
	l->start_error = start_command(l);
	sem_post(&l->seized);
	if (l->start_error)
		return NULL;
	while (!tracer_may_end(&l->tracer)) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | __WNOTHREAD);

		if (atomic_load(&l->leaving) && !l->tracer.leaving)
			tracer_leave(&l->tracer);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			break; /* ECHILD: all have ended */
		(void)atomic_load(&l->was_let_go);
		tracer_handle(&l->tracer, tid, status);
		if (tid == l->pid && !WIFSTOPPED(status))
			publish_end(l, status);
	}
	return NULL;
}

/* Everything of the caller's side; the thread does the rest. Returns 0 or -errno. */
static int open_all(struct launch *l)
{
	/* Without SA_RESTART: it shall interrupt waitpid. */
	struct sigaction action = {.sa_handler = wake};
	int ends[2], err;

	l->event = eventfd(0, EFD_CLOEXEC);
	if (l->event < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	l->go = ends[0];
	l->child_end = ends[1];
	if (sigaction(WAKE_SIGNAL, &action, NULL))
		return -errno;
	err = pthread_create(&l->thread, NULL, trace, l);
	l->has_thread = !err;
	return -err;
}

int launch_create(char *const argv[], bool follow, const struct launch_hooks *hooks, void *arg,
		  struct launch **ret, struct diag *d)
{
	struct launch *l;
	int err;

	if (!argv[0] || !argv[0][0])
		return diag_set(d, EINVAL, "no command to run");
	l = calloc(1, sizeof(*l));
	if (!l)
		return diag_set(d, ENOMEM, "%s: out of memory", argv[0]);
	l->argv = argv;
	l->pidfd = l->event = l->go = l->child_end = -1;
	l->tracer = (struct tracer){.follow = follow, .hooks = hooks, .arg = arg};
	sem_init(&l->seized, 0, 0);
	err = open_all(l);
	if (err) {
		diag_set(d, -err, "%s: cannot be started: %s", argv[0], strerror(-err));
		goto out;
	}
	while (sem_wait(&l->seized))
		;
	err = l->start_error;
	if (err && d)
		*d = l->start_diag;
out:
	if (err)
		launch_destroy(l);
	else
		*ret = l;
	return err;
}

pid_t launch_pid(const struct launch *l)
{
	return l->pid;
}

int launch_go(struct launch *l)
{
	atomic_store(&l->was_let_go, true);
	return send(l->go, "", 1, MSG_NOSIGNAL) == 1 ? 0 : -ESRCH;
}

int launch_eventfd(const struct launch *l)
{
	return l->event;
}

int launch_status(const struct launch *l, int *ret_wait_status, struct diag *d)
{
	const char *name = l->argv[0];

	switch (atomic_load(&l->state)) {
	case LAUNCH_RUNNING:
		return -EAGAIN;
	case LAUNCH_ENDED:
		*ret_wait_status = l->wait_status;
		return 0;
	}
	switch (l->exec_errno) {
	case ENOENT:
		if (strchr(name, '/') && !access(name, F_OK))
			return diag_set(d, ENOENT,
					"%s: its interpreter, as named in the file, does not exist",
					name);
		return diag_set(d, ENOENT, "%s: command not found", name);
	case EACCES:
		return diag_set(d, EACCES, "%s: permission denied, or not an executable file",
				name);
	default:
		return diag_set(d, l->exec_errno, "%s: cannot be executed: %s", name,
				strerror(l->exec_errno));
	}
}

int launch_signal(struct launch *l, int sig)
{
	return syscall(SYS_pidfd_send_signal, l->pidfd, sig, NULL, 0) ? -errno : 0;
}

/* The signal may come just before waitpid, and would be lost: it is sent until the thread has
 * ended. */
static void end_thread(struct launch *l)
{
	char path[64];
	struct timespec deadline;

	atomic_store(&l->leaving, true);
	do {
		pthread_kill(l->thread, WAKE_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &deadline);
		deadline.tv_nsec += WAKE_INTERVAL_NS;
		if (deadline.tv_nsec >= 1000000000L) {
			deadline.tv_sec++;
			deadline.tv_nsec -= 1000000000L;
		}
	} while (pthread_timedjoin_np(l->thread, NULL, &deadline));
	/* Joining returns before the kernel has detached what the thread traced; out of /proc it is only after that. */
	snprintf(path, sizeof(path), "/proc/self/task/%d", l->thread_id);
	while (!access(path, F_OK))
		usleep(100);
}

void launch_destroy(struct launch *l)
{
	int fds[4];

	if (!l)
		return;
	if (l->has_thread && !l->start_error && !l->was_let_go)
		launch_signal(l, SIGKILL);
	if (l->has_thread)
		end_thread(l);
	tracer_done(&l->tracer);
	memcpy(fds, (int[]){l->pidfd, l->event, l->go, l->child_end}, sizeof(fds));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	sem_destroy(&l->seized);
	free(l);
}
