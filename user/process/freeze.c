// SPDX-License-Identifier: BSD-2-Clause
#include "process/freeze.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/vec.h"

#define PATIENCE_NS (2 * NS_PER_SECOND)
#define LOOK_AGAIN_US 200

struct frozen {
	pid_t tid;
	int sig; /* that it was about to receive, 0 none */
	bool stopped;
};

struct freeze {
	pid_t pid;
	uint64_t began_ns;
	struct {
		struct frozen *items;
		size_t n, cap;
	} threads;
};

static bool is_known(const struct freeze *f, pid_t tid)
{
	for (size_t i = 0; i < f->threads.n; i++)
		if (f->threads.items[i].tid == tid)
			return true;
	return false;
}

static int seize(struct freeze *f, pid_t tid)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return -errno;
	if (vec_push(&f->threads, (struct frozen){.tid = tid})) {
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
		return -ENOMEM;
	}
	return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ? -errno : 0;
}

/* Interrupts the threads that are not yet. Returns how many came, or -errno. One that has ended meanwhile is no error. */
static int seize_new(struct freeze *f)
{
	struct dirent *entry;
	char path[32];
	int n = 0, err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", f->pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0 || is_known(f, tid))
			continue;
		err = seize(f, tid);
		if (err == -ESRCH)
			err = 0;
		else
			n++;
	}
	closedir(dir);
	return err ? err : n;
}

/* Whether the thread has stopped or ended. */
static bool has_stopped(struct frozen *t)
{
	int status;
	pid_t got;

	if (t->stopped)
		return true;
	got = waitpid(t->tid, &status, __WALL | WNOHANG);
	if (!got)
		return false;
	t->stopped = true;
	/* A signal on its way stopped it before the interrupt did: it gets it later. */
	if (got > 0 && WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_STOP)
		t->sig = WSTOPSIG(status);
	return true;
}

static int wait_all(struct freeze *f)
{
	for (size_t i = 0; i < f->threads.n; i++)
		while (!has_stopped(&f->threads.items[i])) {
			if (clock_monotonic_ns() - f->began_ns > PATIENCE_NS)
				return -ETIMEDOUT;
			usleep(LOOK_AGAIN_US);
		}
	return 0;
}

static int explain(struct diag *d, int err, pid_t pid)
{
	switch (err) {
	case -ESRCH:
		return diag_set(d, ESRCH, "process %d has ended", pid);
	case -EPERM:
		return diag_set_hint(
			d, EPERM, EXIT_REFUSED,
			"a debugger that traces it must let it go first; or scan without --stop",
			"process %d cannot be stopped: %s", pid, strerror(EPERM));
	case -ETIMEDOUT:
		return diag_set_hint(d, ETIMEDOUT, EXIT_RUNTIME, "scan without --stop",
				     "process %d cannot be stopped: a thread of it waits in the "
				     "kernel and does not wake up",
				     pid);
	default:
		return diag_set(d, -err, "process %d cannot be stopped: %s", pid, strerror(-err));
	}
}

int freeze_create(pid_t pid, struct freeze **ret, struct diag *d)
{
	struct freeze *f = calloc(1, sizeof(*f));
	int n;

	if (!f)
		return diag_set(d, ENOMEM, "out of memory");
	f->pid = pid;
	f->began_ns = clock_monotonic_ns();
	/* A thread that runs may make another: once all stand, no more come. */
	do {
		n = seize_new(f);
		if (n >= 0) {
			int err = wait_all(f);

			n = err ? err : n;
		}
	} while (n > 0);
	if (!n && !f->threads.n)
		n = -ESRCH;
	if (n) {
		freeze_destroy(f);
		return explain(d, n, pid);
	}
	*ret = f;
	return 0;
}

/* One that has not stopped cannot be detached yet. It will: the interrupt is on its way. */
static void release(struct frozen *t)
{
	uint64_t began_ns = clock_monotonic_ns();
	int status;

	while (!has_stopped(t) && clock_monotonic_ns() - began_ns < PATIENCE_NS)
		usleep(LOOK_AGAIN_US);
	/* What was killed meanwhile waits to be collected. */
	if (ptrace(PTRACE_DETACH, t->tid, NULL, (long)t->sig))
		waitpid(t->tid, &status, __WALL | WNOHANG);
}

uint64_t freeze_destroy(struct freeze *f)
{
	uint64_t stood_ns;

	if (!f)
		return 0;
	for (size_t i = 0; i < f->threads.n; i++)
		release(&f->threads.items[i]);
	stood_ns = clock_monotonic_ns() - f->began_ns;
	free(f->threads.items);
	free(f);
	return stood_ns;
}
