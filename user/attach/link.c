// SPDX-License-Identifier: BSD-2-Clause
#include "attach/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"

/* enum bpf_attach_type of newer headers. */
#define ATTACH_TYPE_UPROBE_MULTI 48
#define ATTACH_TYPE_UPROBE_SESSION 57
#define UPROBE_MULTI_RETURN 1u

/* bpf(2)'s link_create with its uprobe_multi member, linux/bpf.h of 6.6 and later. */
struct link_create_multi {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t n, multi_flags, pid, pad;
};
_Static_assert(sizeof(struct link_create_multi) == 64, "link_create_multi");

/* link_create with its perf_event member (5.15, 82e6b1eee6a8). */
struct link_create_perf {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t cookie;
};

static const struct {
	enum link_kind kind;
	const char *name;
	int attach_type;
} kinds[] = {
	{LINK_SESSION, "session", ATTACH_TYPE_UPROBE_SESSION},
	{LINK_MULTI, "multi", ATTACH_TYPE_UPROBE_MULTI},
	{LINK_PERF, "perf", 0},
};

const char *link_kind_name(enum link_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "none";
}

enum link_kind link_kind_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return kinds[i].kind;
	return 0;
}

int link_attach_type(enum link_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].attach_type;
	return 0;
}

static int place_multi(enum link_kind kind, int prog_fd, const char *path, pid_t pid,
		       const struct link_probe *probes, size_t n, int at_return)
{
	struct link_create_multi attr = {
		.prog_fd = prog_fd,
		.attach_type = link_attach_type(kind),
		.path = (uintptr_t)path,
		.n = n,
		.multi_flags = at_return ? UPROBE_MULTI_RETURN : 0,
		.pid = pid,
	};
	_cleanup_free_ uint64_t *offsets = calloc(n, sizeof(*offsets));
	_cleanup_free_ uint64_t *cookies = calloc(n, sizeof(*cookies));
	int fd;

	if (!offsets || !cookies)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		offsets[i] = probes[i].offset;
		cookies[i] = probes[i].cookie;
	}
	attr.offsets = (uintptr_t)offsets;
	attr.cookies = (uintptr_t)cookies;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

static int read_number(const char *path, const char *format, int *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	return fscanf(f, format, ret) == 1 ? 0 : -EIO;
}

#define UPROBE_PMU "/sys/bus/event_source/devices/uprobe/"

static int open_perf_event(const char *path, pid_t pid, uint64_t offset, int at_return,
			   int disabled)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .disabled = disabled};
	int type, bit, fd, err;

	err = read_number(UPROBE_PMU "type", "%d", &type);
	if (!err)
		err = read_number(UPROBE_PMU "format/retprobe", "config:%d", &bit);
	if (err)
		return err;
	attr.type = type;
	attr.config = at_return ? 1ULL << bit : 0;
	attr.config1 = (uintptr_t)path;
	attr.config2 = offset;
	/* For all processes there must be a CPU; the program runs on the others, too. */
	fd = syscall(SYS_perf_event_open, &attr, pid ? pid : -1, pid ? -1 : 0, -1,
		     PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A link on the event; the event's descriptor is not needed after that. */
static int place_perf(int prog_fd, const char *path, pid_t pid, const struct link_probe *probe,
		      int at_return)
{
	_cleanup_close_ int event = open_perf_event(path, pid, probe->offset, at_return, 0);
	struct link_create_perf attr = {
		.prog_fd = prog_fd,
		.attach_type = BPF_PERF_EVENT,
		.cookie = probe->cookie,
	};
	int fd;

	if (event < 0)
		return event;
	attr.target_fd = event;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	if (fd < 0)
		return -errno;
	if (ioctl(event, PERF_EVENT_IOC_ENABLE, 0)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int keep(struct links *links, int fd)
{
	if (fd < 0)
		return fd;
	if (vec_push(links, fd)) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

int link_place(enum link_kind kind, int prog_fd, int fd, pid_t pid, const struct link_probe *probes,
	       size_t n, int at_return, struct links *links, struct diag *d)
{
	char path[64], who[32] = "all processes";
	int err = 0;

	if (!n)
		return 0;
	if (pid)
		snprintf(who, sizeof(who), "process %d", pid);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (kind != LINK_PERF)
		err = keep(links, place_multi(kind, prog_fd, path, pid, probes, n, at_return));
	for (size_t i = 0; kind == LINK_PERF && i < n && !err; i++)
		err = keep(links, place_perf(prog_fd, path, pid, &probes[i], at_return));
	if (err == -EMFILE)
		return diag_set_hint(d, EMFILE, EXIT_RUNTIME,
				     "raise the limit of open files (ulimit -n)",
				     "%s: too many open files for the probes", who);
	if (err)
		return diag_set(d, -err, "%s: cannot place %s probes: %s", who,
				link_kind_name(kind), strerror(-err));
	return 0;
}

int link_hold(int fd, pid_t tid, uint64_t offset, struct links *links, struct diag *d)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = keep(links, open_perf_event(path, tid, offset, 0, 1));
	if (err)
		diag_set(d, -err, "thread %d: cannot keep probes in place: %s", tid,
			 strerror(-err));
	return err;
}

void links_done(struct links *links)
{
	for (size_t i = 0; i < links->n; i++)
		close(links->items[i]);
	free(links->items);
	*links = (struct links){0};
}
