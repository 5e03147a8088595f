// SPDX-License-Identifier: BSD-2-Clause
/* Makes the kernel hold memory, as it is told, a line each, and answers "{}" when that is done:
 *	sockets N   as many inodes of sockets, of a slab cache of their own
 *	events N    as many contexts of eventfd(2), by kmalloc
 *	pages N     as many pages, in a pipe
 *	mounts N    as many mounts, with per-CPU memory each (after "private")
 *	private     a mount namespace of its own
 *	drop        gives everything back */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 20000
#define PAGE_BYTES 4096

static int fds[MOST];
static int n_fds;
static int n_mounts;

static void answer(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(1);
}

static void keep(int fd)
{
	if (fd < 0 || n_fds == MOST) {
		fprintf(stderr, "kernel_hold: %s\n", strerror(errno));
		_exit(1);
	}
	fds[n_fds++] = fd;
}

static void open_sockets(int n)
{
	while (n-- > 0)
		keep(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static void open_events(int n)
{
	while (n-- > 0)
		keep(eventfd(0, EFD_CLOEXEC));
}

static void fill_pipe(int n)
{
	static const char page[PAGE_BYTES];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) || fcntl(ends[1], F_SETPIPE_SZ, n * PAGE_BYTES) < n * PAGE_BYTES)
		_exit(1);
	keep(ends[0]);
	keep(ends[1]);
	while (n-- > 0)
		if (write(ends[1], page, sizeof(page)) != sizeof(page))
			_exit(1);
}

static void mount_some(int n)
{
	for (; n > 0; n--, n_mounts++)
		if (mount("none", "/mnt", "tmpfs", 0, NULL))
			_exit(1);
}

static void go_private(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		_exit(1);
}

static void drop(void)
{
	while (n_fds > 0)
		close(fds[--n_fds]);
	for (; n_mounts > 0; n_mounts--)
		umount("/mnt");
}

int main(void)
{
	const struct rlimit files = {MOST + 64, MOST + 64};
	char line[64], ready[64];

	setrlimit(RLIMIT_NOFILE, &files);
	snprintf(ready, sizeof(ready), "{\"ready\":%d}\n", (int)getpid());
	answer(ready);
	while (fgets(line, sizeof(line), stdin)) {
		char word[16] = "";
		int n = 0;

		sscanf(line, "%15s %d", word, &n);
		if (!strcmp(word, "sockets"))
			open_sockets(n);
		else if (!strcmp(word, "events"))
			open_events(n);
		else if (!strcmp(word, "pages"))
			fill_pipe(n);
		else if (!strcmp(word, "mounts"))
			mount_some(n);
		else if (!strcmp(word, "private"))
			go_private();
		else if (!strcmp(word, "drop"))
			drop();
		answer("{}\n");
	}
	return 0;
}
