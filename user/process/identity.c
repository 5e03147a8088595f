// SPDX-License-Identifier: BSD-2-Clause
#include "process/identity.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "process/heir.h"
#include "process/procfs.h"

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */
#define PF_EXITING 0x00000004
#define LOOKS 3
#define PROC_TEXT_MAX_BYTES (1UL << 20)

static bool is_zombie(const struct procfs_stat *stat)
{
	return stat->state == 'Z' || stat->state == 'X';
}

/* A main thread that ended before the others looks like a zombie; the process lives on. What has begun to end has no memory any
 * more, also while threads that have ended are still counted. */
static bool is_ending(pid_t pid, const struct procfs_stat *stat)
{
	if (!is_zombie(stat) && !(stat->flags & PF_EXITING))
		return false;
	if (stat->n_threads <= 1)
		return true;
	/* One that hands over to a new thread and ends may be passed by while the threads are listed. */
	for (int i = 0; i < LOOKS; i++)
		if (heir_find(pid) >= 0)
			return false;
	return true;
}

static uint64_t boottime_ns_of_ticks(uint64_t ticks)
{
	uint64_t hz = sysconf(_SC_CLK_TCK);

	return ticks / hz * NS_PER_SECOND + ticks % hz * NS_PER_SECOND / hz;
}

static int not_ours(pid_t pid, struct diag *d)
{
	return diag_set_hint(d, EACCES, EXIT_REFUSED, "run as root, or with CAP_SYS_PTRACE",
			     "process %d: not allowed to read /proc/%d", pid, pid);
}

/* Refuses what cannot be traced. Returns 0 or identity_read's errors. */
static int check_kind(pid_t pid, const struct procfs_stat *stat, struct diag *d)
{
	if (stat->flags & PF_KTHREAD)
		return diag_set_hint(
			d, EPERM, EXIT_REFUSED,
			"give the pid of a program; the kernel's own allocations are not traced by this version",
			"%d is a kernel thread (%s): it has no memory of its own", pid, stat->comm);
	if (is_zombie(stat) && is_ending(pid, stat))
		return diag_set(
			d, ENODATA,
			"process %d (%s) has ended already: a zombie that its parent %d has not "
			"waited for",
			pid, stat->comm, stat->parent);
	if (is_ending(pid, stat))
		return diag_set(d, ESRCH, "process %d (%s) is ending", pid, stat->comm);
	return 0;
}

/* /proc/TID exists for every thread, though it is not listed. ret_tgid: the process's pid, or pid if unknown. ret_euid: or -1.
 * ret_ns_pid: the last of NSpid, which begins with our number and ends with its own. */
static void read_status(pid_t pid, pid_t *ret_tgid, uid_t *ret_euid, pid_t *ret_ns_pid)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	unsigned euid;
	size_t n;
	int tgid;

	*ret_tgid = pid;
	*ret_euid = -1;
	*ret_ns_pid = pid;
	if (procfs_read(pid, "status", PROC_TEXT_MAX_BYTES, &text, &n))
		return;
	/* The name before them is escaped in this file and cannot begin a line. */
	line = strstr(text, "\nTgid:");
	if (line && sscanf(line, "\nTgid: %d", &tgid) == 1)
		*ret_tgid = tgid;
	line = strstr(text, "\nUid:");
	if (line && sscanf(line, "\nUid: %*u %u", &euid) == 1)
		*ret_euid = euid;
	line = strstr(text, "\nNSpid:");
	if (line) {
		const char *last = line + 1 + strcspn(line + 1, "\n");

		while (isdigit((unsigned char)last[-1]))
			last--;
		if (sscanf(last, "%d", &tgid) == 1)
			*ret_ns_pid = tgid;
	}
}

static int read_exe(pid_t pid, char *out, size_t size_bytes)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, out, size_bytes - 1);
	if (n < 0 && (errno == EACCES || errno == EPERM))
		return -EACCES;
	out[n > 0 ? n : 0] = '\0';
	return 0;
}

static bool same_namespace(pid_t pid, const char *kind)
{
	char theirs[64], ours[64];
	struct stat a, b;

	snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", pid, kind);
	snprintf(ours, sizeof(ours), "/proc/self/ns/%s", kind);
	return !stat(theirs, &a) && !stat(ours, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Stays empty and unlimited where /proc does not tell. */
static int read_cgroup(pid_t pid, struct identity *id)
{
	_cleanup_free_ char *text = NULL, *mountinfo = NULL;
	_cleanup_free_ struct cgroup *c = malloc(sizeof(*c));
	size_t n;

	if (!c)
		return -ENOMEM;
	if (procfs_read(pid, "cgroup", PROC_TEXT_MAX_BYTES, &text, &n))
		return 0;
	cgroup_parse(text, c);
	snprintf(id->cgroup, sizeof(id->cgroup), "%s", cgroup_path(c));
	snprintf(id->memory_cgroup, sizeof(id->memory_cgroup), "%s", c->memory_v1);
	snprintf(id->container, sizeof(id->container), "%s", c->container);
	snprintf(id->pod_uid, sizeof(id->pod_uid), "%s", c->pod_uid);
	if (!procfs_read(getpid(), "mountinfo", 16 * PROC_TEXT_MAX_BYTES, &mountinfo, &n))
		id->limit_bytes = cgroup_limit(c, mountinfo);
	return 0;
}

int identity_cgroup_usage(pid_t pid, struct cgroup_usage *ret)
{
	_cleanup_free_ char *text = NULL, *mountinfo = NULL;
	_cleanup_free_ struct cgroup *c = malloc(sizeof(*c));
	size_t n;

	if (!c || procfs_read(pid, "cgroup", PROC_TEXT_MAX_BYTES, &text, &n) ||
	    procfs_read(getpid(), "mountinfo", 16 * PROC_TEXT_MAX_BYTES, &mountinfo, &n))
		return -ENOENT;
	cgroup_parse(text, c);
	return cgroup_usage(c, mountinfo, ret);
}

int identity_read(pid_t pid, struct identity *ret, struct diag *d)
{
	_cleanup_free_ struct identity *id = calloc(1, sizeof(*id));
	struct procfs_stat stat;
	uint64_t still_ticks;
	pid_t tgid, heir;
	int err;

	if (!id)
		return diag_set(d, ENOMEM, "process %d: out of memory", pid);
	err = procfs_read_stat(pid, &stat);
	if (err == -ESRCH)
		return diag_set(d, ESRCH, "no process has the pid %d", pid);
	if (err == -EACCES)
		return not_ours(pid, d);
	if (err)
		return diag_set(d, -err, "process %d: cannot read /proc/%d/stat: %s", pid, pid,
				strerror(-err));
	err = check_kind(pid, &stat, d);
	if (err)
		return err;
	read_status(pid, &tgid, &id->euid, &id->ns_pid);
	if (tgid != pid)
		return diag_set_hint(d, ESRCH, EXIT_RUNTIME,
				     "trace the process: a heap belongs to all its threads",
				     "%d is a thread of process %d", pid, tgid);
	id->pid = pid;
	id->start_ticks = stat.start_ticks;
	id->start_boottime_ns = boottime_ns_of_ticks(stat.start_ticks);
	id->start_real_ns = clock_realtime_ns() - clock_boottime_ns() + id->start_boottime_ns;
	memcpy(id->comm, stat.comm, sizeof(id->comm));
	/* Of a zombie /proc says no more than its name. */
	heir = is_zombie(&stat) ? heir_reader(pid) : pid;
	if (read_exe(heir, id->exe, sizeof(id->exe)))
		return not_ours(pid, d);
	if (read_cgroup(pid, id))
		return diag_set(d, ENOMEM, "process %d: out of memory", pid);
	id->own_mount_ns = same_namespace(heir, "mnt");
	id->own_pid_ns = same_namespace(heir, "pid");
	/* Nothing of the above may come from the next process with this pid. */
	if (identity_start_ticks(pid, &still_ticks) || still_ticks != id->start_ticks)
		return diag_set(d, ESRCH, "process %d has ended", pid);
	*ret = *id;
	return 0;
}

int identity_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	struct procfs_stat stat;

	if (procfs_read_stat(pid, &stat))
		return -ESRCH;
	*ret_ticks = stat.start_ticks;
	return 0;
}

bool identity_alive(const struct identity *id)
{
	struct procfs_stat stat;

	if (procfs_read_stat(id->pid, &stat) || stat.start_ticks != id->start_ticks)
		return false;
	return !is_ending(id->pid, &stat);
}

int identity_rss(pid_t pid, uint64_t *ret_bytes)
{
	_cleanup_free_ char *text = NULL;
	uint64_t n_pages;
	size_t n;

	if (procfs_read(heir_reader(pid), "statm", PROC_TEXT_MAX_BYTES, &text, &n) ||
	    sscanf(text, "%*u %" SCNu64, &n_pages) != 1)
		return -ESRCH;
	*ret_bytes = n_pages * sysconf(_SC_PAGESIZE);
	return 0;
}
