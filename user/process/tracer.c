// SPDX-License-Identifier: BSD-2-Clause
/*
 * A task of the tree is in one of these states:
 *
 *   unborn ---- parent's fork event ----> running <--- entry point reached --- starting
 *                                            |                                    ^
 *                                            +--------------- exec ---------------+
 *
 * Starting is what lies between exec and the program's entry point (AT_ENTRY): the dynamic loader
 * maps the libraries and then runs their constructors. It is stepped from system call to system
 * call, to see each executable mapping before code runs in it, until it hits a trap at the entry
 * point, by which time constructors have long allocated. Without a loader the entry point is the
 * first instruction, and there is nothing to step through.
 * Only while starting has a task something that must not outlive us: the trap in its memory. The
 * kernel kills it if we die then (PTRACE_O_EXITKILL); at any other time our death detaches all
 * tasks and harms none.
 * The trap's SIGTRAP is forced by the kernel: a program that is exec'ed with SIGTRAP blocked or
 * ignored gets it unblocked and reset to the default, the one trace that tracing leaves.
 *
 * A new task's first stop and its parent's event come in any order; a process is reported when both
 * have. A parent that is killed in between never has an event, so that its child is an orphan, and
 * reported as such.
 */
#include "process/tracer.h"

#include <elf.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "process/breakpoint.h"
#include "process/procfs.h"

#define OPTIONS_EXEC (PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)
#define OPTIONS_FORK (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)
#define AUXV_MAX_BYTES 4096
#define SYSCALL_MAX_BYTES 256

struct task {
	pid_t tid;
	pid_t tgid;	 /* tid of the process's main thread; 0 while unborn */
	int first_stop;	 /* of an unborn task: the wait status to handle once it is born */
	bool starting;	 /* entry is set */
	bool is_mapping; /* while starting: in an mmap of a file, executable */
	bool exiting;	 /* it runs no more of the program */
	bool held;	 /* at its end, until its process's other threads are at theirs */
	struct breakpoint entry;
};

/* Its threads so far, as the program left them. Each goes on to its end at once, but for the one that ends the process: to keep them
 * until the last one comes would hang a thread that executes another program, which waits for them. Their stacks stay until the last
 * one's end. */
struct dying {
	struct launch_thread *items;
	size_t n, cap;
};

static const struct launch_hooks no_hooks;

static void report_mapped(const struct tracer *t, pid_t pid)
{
	if (t->hooks->mapped)
		t->hooks->mapped(t->arg, pid);
}

static struct task *add_task(struct tracer *t, pid_t tid, pid_t tgid)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->tid = tid;
	task->tgid = tgid;
	if (hashmap_put(&t->tasks, tid, task)) {
		free(task);
		return NULL;
	}
	return task;
}

static void forget_task(struct tracer *t, pid_t tid)
{
	struct task *task = hashmap_take(&t->tasks, tid);

	if (!task)
		return;
	t->n_starting -= task->starting;
	t->n_unborn -= !task->tgid;
	free(task);
}

static void forget_dying(struct tracer *t, pid_t pid)
{
	struct dying *d = hashmap_take(&t->dying, pid);

	if (d)
		free(d->items);
	free(d);
}

static unsigned long option_exit(const struct tracer *t)
{
	return t->hooks->ending ? PTRACE_O_TRACEEXIT : 0;
}

/* Forks are watched while starting even if nobody follows: the child inherits the trap, and must be
 * freed of it. */
static void set_options(const struct tracer *t, const struct task *task)
{
	unsigned long options = OPTIONS_EXEC | option_exit(t);

	if (t->follow || task->starting)
		options |= OPTIONS_FORK;
	if (task->starting)
		options |= PTRACE_O_EXITKILL;
	ptrace(PTRACE_SETOPTIONS, task->tid, NULL, options);
}

/* Here and below: when ptrace fails, the task was killed while it was stopped, and waitpid will
 * report its end. */
static void end_startup(struct tracer *t, struct task *task)
{
	if (!task->starting)
		return;
	breakpoint_clear(task->tid, &task->entry);
	task->starting = task->is_mapping = false;
	t->n_starting--;
	set_options(t, task);
}

static void end_startup_to_leave(struct tracer *t, struct task *task)
{
	/* A task that has run into the trap has its SIGTRAP coming: that one ends the start-up. */
	if (t->leaving && task->starting && !breakpoint_reached(task->tid, &task->entry))
		end_startup(t, task);
}

static void resume(struct tracer *t, struct task *task, int sig)
{
	end_startup_to_leave(t, task);
	ptrace(task->starting ? PTRACE_SYSCALL : PTRACE_CONT, task->tid, NULL, (long)sig);
}

static int read_entry(pid_t pid, uint64_t *ret_entry)
{
	_cleanup_free_ char *text = NULL;
	const Elf64_auxv_t *aux;
	size_t n;
	int err = procfs_read(pid, "auxv", AUXV_MAX_BYTES, &text, &n);

	if (err)
		return err;
	aux = (const Elf64_auxv_t *)text;
	for (size_t i = 0; i < n / sizeof(*aux) && aux[i].a_type != AT_NULL; i++)
		if (aux[i].a_type == AT_ENTRY) {
			*ret_entry = aux[i].a_un.a_val;
			return 0;
		}
	return -ENODATA;
}

/* At the exec stop. A 32-bit program just runs: nobody probes it. */
static void begin_startup(struct tracer *t, struct task *task)
{
	uint64_t entry, ip;

	if (breakpoint_get_ip(task->tid, &ip) || read_entry(task->tid, &entry) || ip == entry ||
	    breakpoint_set(task->tid, entry, &task->entry))
		return;
	task->starting = true;
	t->n_starting++;
	set_options(t, task);
}

static void handle_exec(struct tracer *t, struct task *task)
{
	unsigned long former;

	/* A thread that exec's takes over the main thread's tid, and its own is gone without a
	 * word. */
	if (!ptrace(PTRACE_GETEVENTMSG, task->tid, NULL, &former) && (pid_t)former != task->tid)
		forget_task(t, former);
	forget_dying(t, task->tid);
	task->exiting = false; /* as the main thread that another thread's exec ended it may be */
	if (task->starting) {
		task->starting = task->is_mapping = false;
		t->n_starting--;
		set_options(t, task);
	}
	if (task->tid == t->command)
		t->execed = true;
	if (t->hooks->execed)
		t->hooks->execed(t->arg, task->tid);
	report_mapped(t, task->tid);
	if (!t->leaving)
		begin_startup(t, task);
	resume(t, task, 0);
}

static void handle_syscall(struct tracer *t, struct task *task)
{
	struct __ptrace_syscall_info info = {0};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) > 0) {
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			task->is_mapping = info.entry.nr == SYS_mmap &&
					   (info.entry.args[2] & PROT_EXEC) &&
					   !(info.entry.args[3] & MAP_ANONYMOUS);
		} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
			if (task->is_mapping && !info.exit.is_error)
				report_mapped(t, task->tgid);
			task->is_mapping = false;
		}
	}
	resume(t, task, 0);
}

static void handle_signal(struct tracer *t, struct task *task, int sig)
{
	siginfo_t info;

	/* A positive si_code: from the kernel, not from kill(2). */
	if (task->starting && sig == SIGTRAP && breakpoint_reached(task->tid, &task->entry) &&
	    !ptrace(PTRACE_GETSIGINFO, task->tid, NULL, &info) && info.si_code > 0) {
		breakpoint_rewind(task->tid, &task->entry);
		end_startup(t, task);
		sig = 0;
	}
	resume(t, task, sig);
}

/* The stop that PTRACE_SEIZE adds: of a new task, of one that we interrupted, of a group-stop (job
 * control), and of the end of one. A task in a group-stop must stay in it, yet see the SIGCONT. */
static void handle_event_stop(struct tracer *t, struct task *task, int sig)
{
	end_startup_to_leave(t, task);
	if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
		ptrace(PTRACE_LISTEN, task->tid, NULL, NULL);
	else
		resume(t, task, 0);
}

static bool is_main_thread(pid_t tid)
{
	return !syscall(SYS_tgkill, tid, tid, 0);
}

/* The event does not tell: clone(CLONE_VM | SIGCHLD) is a "fork", and vfork need not share
 * (CLONE_VFORK alone). */
static bool shares_memory(pid_t parent, pid_t child, int event)
{
	long order = syscall(SYS_kcmp, parent, child, KCMP_VM, 0, 0);

	return order < 0 ? event == PTRACE_EVENT_VFORK : order == 0;
}

/* The task is stopped, and tgid and starting are set: reports and resumes it, or lets it go. */
static void let_live(struct tracer *t, struct task *task, pid_t parent, bool shares)
{
	if (t->follow) {
		set_options(t, task);
		if (task->tgid == task->tid && t->hooks->forked)
			t->hooks->forked(t->arg, parent, task->tid, shares);
		handle_event_stop(t, task, WSTOPSIG(task->first_stop));
	} else {
		end_startup(t, task);
		ptrace(PTRACE_DETACH, task->tid, NULL, NULL);
		forget_task(t, task->tid);
	}
}

static void give_birth(struct tracer *t, const struct task *parent, struct task *child, int event)
{
	bool is_thread = !is_main_thread(child->tid);
	bool shares = is_thread || shares_memory(parent->tid, child->tid, event);

	child->tgid = is_thread ? parent->tgid : child->tid;
	t->n_unborn--;
	if (parent->starting && !shares) {
		child->starting = true;
		child->entry = parent->entry;
		t->n_starting++;
	}
	let_live(t, child, parent->tgid, shares);
}

static struct task *add_unborn(struct tracer *t, pid_t tid, int first_stop)
{
	struct task *task = add_task(t, tid, 0);

	if (!task) {
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
		return NULL;
	}
	task->first_stop = first_stop;
	t->n_unborn++;
	return task;
}

/* Waits for the first stop of a new task, which comes by itself, before its first instruction.
 * Returns NULL if the task is killed before. */
static struct task *await_newborn(struct tracer *t, pid_t tid)
{
	pid_t waited;
	int status;

	do
		waited = waitpid(tid, &status, __WALL | __WNOTHREAD);
	while (waited < 0 && errno == EINTR);
	return waited == tid && WIFSTOPPED(status) ? add_unborn(t, tid, status) : NULL;
}

static void handle_fork(struct tracer *t, struct task *parent, int event)
{
	struct task *child;
	unsigned long tid;

	if (!ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &tid)) {
		child = hashmap_get(&t->tasks, tid);
		if (!child)
			child = await_newborn(t, tid);
		if (child && !child->tgid)
			give_birth(t, parent, child, event);
	}
	resume(t, parent, 0);
}

/* Whether nobody's fork event will introduce the unborn process. CLONE_PARENT makes a child of the
 * command ours. */
static bool is_orphan(const struct tracer *t, const struct task *task, pid_t *ret_parent)
{
	struct procfs_stat stat;

	if (!is_main_thread(task->tid) || procfs_read_stat(task->tid, &stat))
		return false;
	*ret_parent = stat.parent;
	return !hashmap_get(&t->tasks, stat.parent == getpid() ? t->command : stat.parent);
}

static void settle_orphans(struct tracer *t)
{
	size_t cursor = 0;
	struct task *task;

	while (t->n_unborn && (task = hashmap_next(&t->tasks, &cursor, NULL))) {
		pid_t parent;

		if (task->tgid || !is_orphan(t, task, &parent))
			continue;
		task->tgid = task->tid;
		t->n_unborn--;
		let_live(t, task, parent, false);
		cursor = 0; /* the table may have changed */
	}
}

static bool is_last(const struct tracer *t, const struct task *task)
{
	const struct task *other;
	size_t cursor = 0;

	while ((other = hashmap_next(&t->tasks, &cursor, NULL)))
		if (other != task && other->tgid == task->tgid && !other->exiting)
			return false;
	return true;
}

/* Returns the process's threads that ended until now, this one as the last; NULL without memory. */
static const struct dying *add_dying(struct tracer *t, const struct task *task,
				     const struct user_regs_struct *registers)
{
	struct dying *d = hashmap_get(&t->dying, task->tgid);

	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d || hashmap_put(&t->dying, task->tgid, d)) {
			free(d);
			return NULL;
		}
	}
	return vec_push(d, (struct launch_thread){task->tid, *registers}) ? NULL : d;
}

/* A thread at its end goes on. last: with it ends its process. A thread that called exit(2) while others run on is done with its stack. */
static void finish(struct tracer *t, struct task *task, bool last)
{
	struct user_regs_struct registers;
	const struct dying *d = NULL;

	task->held = false;
	if (task->tgid && !ptrace(PTRACE_GETREGS, task->tid, NULL, &registers) &&
	    (last || registers.orig_rax != SYS_exit))
		d = add_dying(t, task, &registers);
	if (d && last && t->hooks->ending)
		t->hooks->ending(t->arg, task->tgid, d->items, d->n);
	resume(t, task, 0);
}

static struct task *find_held(const struct tracer *t, pid_t pid)
{
	struct task *task;
	size_t cursor = 0;

	while ((task = hashmap_next(&t->tasks, &cursor, NULL)))
		if (task->tgid == pid && task->held)
			return task;
	return NULL;
}

/* A thread of the process is at its end, or gone: those that wait for that go on when it was the last. */
static void finish_held(struct tracer *t, pid_t pid)
{
	struct task *held = pid ? find_held(t, pid) : NULL, *next;

	if (!held || !is_last(t, held))
		return;
	for (; held; held = next) {
		held->held = false;
		next = find_held(t, pid);
		finish(t, held, !next);
	}
}

static void handle_end(struct tracer *t, pid_t tid, int status)
{
	const struct task *task = hashmap_get(&t->tasks, tid);
	pid_t pid = task ? task->tgid : 0;

	if (task && pid == tid && t->hooks->ended)
		t->hooks->ended(t->arg, tid, status);
	forget_dying(t, tid);
	forget_task(t, tid);
	finish_held(t, pid);
	settle_orphans(t);
}

/* Whether a thread of the process is in execve(2) or execveat(2), and may wait there for the others' end. */
static bool is_executing(const struct tracer *t, pid_t pid)
{
	const struct task *task;
	size_t cursor = 0;

	while ((task = hashmap_next(&t->tasks, &cursor, NULL))) {
		_cleanup_free_ char *text = NULL;
		size_t n;
		long nr;

		if (task->tgid != pid || task->exiting)
			continue;
		if (procfs_read(task->tid, "syscall", SYSCALL_MAX_BYTES, &text, &n))
			continue;
		nr = n ? strtol(text, NULL, 10) : 0;
		if (nr == SYS_execve || nr == SYS_execveat)
			return true;
	}
	return false;
}

/* Whether the thread ends its process, and is no thread that another one's exec has ended. Another thread that ends by itself at the same
 * time is killed before it stops, so that the last stop may be this one. */
static bool ends_process(const struct tracer *t, const struct task *task)
{
	struct user_regs_struct registers;

	return !ptrace(PTRACE_GETREGS, task->tid, NULL, &registers) &&
	       registers.orig_rax == SYS_exit_group && !is_executing(t, task->tgid);
}

/* The stop at PTRACE_EVENT_EXIT. */
static void handle_exit(struct tracer *t, struct task *task)
{
	task->exiting = true;
	if (is_last(t, task)) {
		finish(t, task, !find_held(t, task->tgid));
		finish_held(t, task->tgid);
		return;
	}
	task->held = t->hooks->ending && task->tgid && ends_process(t, task);
	if (!task->held)
		finish(t, task, false);
}

static void handle_stop(struct tracer *t, struct task *task, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	switch (event) {
	case 0:
		if (sig == (SIGTRAP | 0x80))
			handle_syscall(t, task);
		else
			handle_signal(t, task, sig);
		break;
	case PTRACE_EVENT_EXEC:
		handle_exec(t, task);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		handle_fork(t, task, event);
		break;
	case PTRACE_EVENT_STOP:
		handle_event_stop(t, task, sig);
		break;
	case PTRACE_EVENT_EXIT:
		handle_exit(t, task);
		break;
	default:
		resume(t, task, 0);
	}
}

void tracer_handle(struct tracer *t, pid_t tid, int status)
{
	struct task *task = hashmap_get(&t->tasks, tid);

	if (!WIFSTOPPED(status)) {
		handle_end(t, tid, status);
	} else if (task) {
		handle_stop(t, task, status);
	} else if (add_unborn(t, tid, status)) {
		settle_orphans(t);
	}
}

int tracer_seize(struct tracer *t)
{
	if (!add_task(t, t->command, t->command))
		return -ENOMEM;
	if (ptrace(PTRACE_SEIZE, t->command, NULL,
		   OPTIONS_EXEC | option_exit(t) | (t->follow ? OPTIONS_FORK : 0)))
		return -errno;
	return 0;
}

void tracer_leave(struct tracer *t)
{
	struct task *task;
	size_t cursor = 0;

	t->leaving = true;
	t->hooks = &no_hooks;
	while ((task = hashmap_next(&t->tasks, &cursor, NULL))) {
		if (task->starting)
			ptrace(PTRACE_INTERRUPT, task->tid, NULL, NULL);
		if (task->held)
			finish(t, task, false);
	}
}

bool tracer_may_end(const struct tracer *t)
{
	bool command_waits = !t->execed && hashmap_get(&t->tasks, t->command);

	return t->leaving && !t->n_starting && !command_waits;
}

void tracer_done(struct tracer *t)
{
	struct dying *dying;
	size_t cursor = 0;
	void *task;

	while ((task = hashmap_next(&t->tasks, &cursor, NULL)))
		free(task);
	hashmap_done(&t->tasks);
	cursor = 0;
	while ((dying = hashmap_next(&t->dying, &cursor, NULL))) {
		free(dying->items);
		free(dying);
	}
	hashmap_done(&t->dying);
}
