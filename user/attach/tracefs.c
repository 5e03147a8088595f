// SPDX-License-Identifier: BSD-2-Clause
#include "attach/tracefs.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"

/* A mount of its own, in no directory: gone with its descriptor. */
static int open_private(void)
{
	_cleanup_close_ int context = fsopen("tracefs", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return fd < 0 ? -errno : fd;
}

int tracefs_open(struct diag *d)
{
	static const char *const mounted[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	int fd = open_private(), reason = -fd;

	for (size_t i = 0; i < ARRAY_SIZE(mounted) && fd < 0; i++) {
		fd = open(mounted[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && faccessat(fd, "events", F_OK, 0)) { /* nothing is mounted there */
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		return fd;
	return diag_set_hint(
		d, reason, EXIT_REFUSED,
		"it needs CAP_SYS_ADMIN, or tracefs mounted at /sys/kernel/tracing and "
		"readable; only --mmap and --growth need that",
		"cannot follow system calls, tracefs cannot be opened: %s", strerror(reason));
}

static int read_id(int tracefs, const char *event, uint64_t *ret)
{
	_cleanup_close_ int fd = -1;
	char path[128], text[32], *end;
	ssize_t n;

	snprintf(path, sizeof(path), "events/%s/id", event);
	fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return end == text || errno ? -EIO : 0;
}

/* The program runs on every CPU wherever the event is. */
static int link_event(uint64_t id, int prog_fd)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_TRACEPOINT, .config = id};
	_cleanup_close_ int event =
		syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	int fd;

	if (event < 0)
		return -errno;
	fd = bpf_link_create(prog_fd, event, BPF_PERF_EVENT, NULL);
	if (fd >= 0 && ioctl(event, PERF_EVENT_IOC_ENABLE, 0)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int tracefs_attach(int tracefs, const char *event, int prog_fd, struct links *links, struct diag *d)
{
	uint64_t id = 0;
	int err = read_id(tracefs, event, &id), fd;

	if (err)
		return diag_set_hint(
			d, -err, EXIT_REFUSED,
			"--mmap and --growth need a kernel with CONFIG_FTRACE_SYSCALLS=y",
			"no tracepoint %s: %s", event, strerror(-err));
	fd = link_event(id, prog_fd);
	err = fd < 0 ? fd : 0;
	if (!err && vec_push(links, fd)) {
		close(fd);
		err = -ENOMEM;
	}
	if (err)
		return diag_set_hint(d, -err, EXIT_REFUSED,
				     "it needs CAP_PERFMON, or kernel.perf_event_paranoid below 0",
				     "tracepoint %s: cannot be attached to: %s", event,
				     strerror(-err));
	return 0;
}
