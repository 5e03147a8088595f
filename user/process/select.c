// SPDX-License-Identifier: BSD-2-Clause
#include "process/select.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/container.h"
#include "process/procfs.h"

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */
#define COMM_MAX 15	      /* TASK_COMM_LEN without its NUL */
#define ID_DIGITS 64
#define ID_DIGITS_LEAST 4
#define PASSWD_BYTES 16384
#define CGROUP_MOUNT "/sys/fs/cgroup"
#define DELETED " (deleted)"

static bool all_digits(const char *text, int (*is_digit)(int c))
{
	for (const char *c = text; *c; c++)
		if (!is_digit((unsigned char)*c))
			return false;
	return *text;
}

static int unknown_user(const char *user, struct diag *d)
{
	return diag_set_hint(d, EINVAL, EXIT_USAGE, NULL, "--user %s: there is no such user", user);
}

static int resolve_user(struct selector *s, struct diag *d)
{
	_cleanup_free_ char *buffer = malloc(PASSWD_BYTES);
	struct passwd entry, *found = NULL;

	if (all_digits(s->user, isdigit)) {
		unsigned long uid;

		errno = 0;
		uid = strtoul(s->user, NULL, 10);
		/* The largest one means "none" to the kernel. */
		if (errno || uid >= UINT32_MAX)
			return unknown_user(s->user, d);
		s->uid = uid;
		return 0;
	}
	if (!buffer || getpwnam_r(s->user, &entry, buffer, PASSWD_BYTES, &found) || !found)
		return unknown_user(s->user, d);
	s->uid = entry.pw_uid;
	return 0;
}

static bool may_begin_id(const char *wanted)
{
	size_t n = strlen(wanted);

	return n >= ID_DIGITS_LEAST && n <= ID_DIGITS && all_digits(wanted, isxdigit);
}

static bool begins_id(const char *wanted, const char *container)
{
	return may_begin_id(wanted) && strlen(container) == ID_DIGITS &&
	       all_digits(container, isxdigit) && !strncasecmp(wanted, container, strlen(wanted));
}

static bool is_called(const struct selector *s, const char *container)
{
	struct container_names names;

	if (!s->names || !*container)
		return false;
	containers_find(s->names, container, &names);
	return container_is_called(&names, s->container);
}

/* By name only in full: a name may be the beginning of another one. */
static bool container_matches(const struct selector *s, const char *container)
{
	return !strcmp(s->container, container) ||
	       (!s->only_named && begins_id(s->container, container)) || is_called(s, container);
}

static int stop(void *arg, const struct identity *id)
{
	(void)arg, (void)id;
	return 1;
}

static bool is_name_now(const struct selector *s)
{
	struct containers names = {.root = s->names ? s->names->root : NULL};
	const struct selector named = {
		.container = s->container, .names = &names, .only_named = true};
	struct diag unused = {0};
	bool found = selector_each(&named, stop, NULL, &unused) > 0;

	containers_done(&names);
	return found;
}

int selector_check(struct selector *s, struct diag *d)
{
	if (s->container && strlen(s->container) < ID_DIGITS && may_begin_id(s->container))
		s->only_named = is_name_now(s);
	return s->user ? resolve_user(s, d) : 0;
}

bool selector_is_empty(const struct selector *s)
{
	return !s->comm_glob && !s->exe_glob && !s->cgroup && !s->container && !s->user &&
	       !s->everything;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The kernel cuts a name after 15 characters; the whole one is the executable's, if it begins like that. */
static bool comm_matches(const char *glob, const struct identity *id)
{
	const char *name = last_part(id->exe);

	if (!fnmatch(glob, id->comm, 0))
		return true;
	return strlen(id->comm) == COMM_MAX && !strncmp(name, id->comm, COMM_MAX) &&
	       !fnmatch(glob, name, 0);
}

static bool exe_matches(const char *glob, const char *exe)
{
	char path[sizeof(((struct identity *)0)->exe)];
	size_t n = strlen(exe), n_deleted = strlen(DELETED);

	/* A program that was replaced while it runs is still that program. */
	if (n > n_deleted && !strcmp(exe + n - n_deleted, DELETED))
		n -= n_deleted;
	snprintf(path, sizeof(path), "%.*s", (int)n, exe);
	return *path && !fnmatch(glob, strchr(glob, '/') ? path : last_part(path), 0);
}

/* Whether path is that of n characters or below it. */
static bool is_below(const char *path, const char *top, size_t n)
{
	return !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

/* Skips the name of a version 1 hierarchy's mount: /memory/system.slice -> /system.slice. */
static const char *skip_controller(const char *path)
{
	static const char *const names[] = {
		"unified",  "memory",  "systemd", "cpu,cpuacct", "cpuacct", "cpu",
		"cpuset",   "blkio",   "pids",	  "devices",	 "freezer", "net_cls,net_prio",
		"net_prio", "net_cls", "hugetlb", "perf_event",	 "rdma",    "misc",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (!strncmp(path + 1, names[i], n) && (!path[1 + n] || path[1 + n] == '/'))
			return path + 1 + n;
	}
	return path;
}

static bool cgroup_matches(const char *wanted, const struct identity *id)
{
	char top[PATH_MAX];
	const char *below = top;
	size_t n;

	snprintf(top, sizeof(top), "%s%s", *wanted == '/' ? "" : "/", wanted);
	n = strlen(CGROUP_MOUNT);
	if (is_below(top, CGROUP_MOUNT, n))
		below = skip_controller(top + n);
	n = strlen(below);
	while (n && below[n - 1] == '/')
		n--;
	return is_below(id->cgroup, below, n) ||
	       (*id->memory_cgroup && is_below(id->memory_cgroup, below, n));
}

bool selector_matches(const struct selector *s, const struct identity *id)
{
	return id->pid != getpid() && (!s->comm_glob || comm_matches(s->comm_glob, id)) &&
	       (!s->exe_glob || exe_matches(s->exe_glob, id->exe)) &&
	       (!s->cgroup || cgroup_matches(s->cgroup, id)) &&
	       (!s->container || container_matches(s, id->container)) &&
	       (!s->user || id->euid == s->uid);
}

/* Spares most processes of a host the many files of identity_read. */
static bool may_match(const struct selector *s, pid_t pid)
{
	struct procfs_stat stat;

	if (procfs_read_stat(pid, &stat) || stat.flags & PF_KTHREAD)
		return false;
	return !s->comm_glob || strlen(stat.comm) == COMM_MAX ||
	       !fnmatch(s->comm_glob, stat.comm, 0);
}

int selector_each(const struct selector *s, int (*visit)(void *arg, const struct identity *id),
		  void *arg, struct diag *d)
{
	_cleanup_free_ struct identity *id = malloc(sizeof(*id));
	struct dirent *entry;
	DIR *proc;
	int result = 0;

	if (!id)
		return diag_set(d, ENOMEM, "out of memory");
	proc = opendir("/proc");
	if (!proc)
		return diag_set(d, errno, "cannot list processes: /proc: %s", strerror(errno));
	while (!result && (entry = readdir(proc))) {
		struct diag skipped = {0};
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || !may_match(s, pid) || identity_read(pid, id, &skipped))
			continue;
		if (selector_matches(s, id))
			result = visit(arg, id);
	}
	closedir(proc);
	return result;
}
