// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NAME_SIZE 32

static const char *const kinds[] = {
	[CONTROL_TRACE] = "trace",
	[CONTROL_SERVE] = "serve",
};

/* Returns 0, or -ENOENT with a diag: there is no place for it. */
static int find_directory(char out[PATH_MAX], struct diag *d)
{
	const char *set = secure_getenv("SEEP_RUN_DIR"), *xdg = secure_getenv("XDG_RUNTIME_DIR");
	int n;

	if (set && *set)
		n = snprintf(out, PATH_MAX, "%s", set);
	else if (!geteuid())
		n = snprintf(out, PATH_MAX, "/run/seep");
	else if (xdg && *xdg == '/')
		n = snprintf(out, PATH_MAX, "%s/seep", xdg);
	else
		return diag_set_hint(d, ENOENT, EXIT_RUNTIME, "set XDG_RUNTIME_DIR",
				     "no directory for seep's sockets: XDG_RUNTIME_DIR is not set");
	return n < PATH_MAX ? 0
			    : diag_set(d, ENAMETOOLONG, "the path of seep's sockets is too long");
}

int control_open_directory(bool make, struct diag *d)
{
	char path[PATH_MAX];
	struct stat st;
	int err = find_directory(path, d), fd;

	if (err)
		return err;
	if (make && mkdir(path, 0700) && errno != EEXIST) {
		err = errno;
		return diag_set(d, err, "%s: cannot be made: %s", path, strerror(err));
	}
	fd = open(path, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err = errno;
		return diag_set(d, err, "%s: %s", path, strerror(err));
	}
	if (!fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 077))
		return fd;
	close(fd);
	return diag_set_hint(d, EPERM, EXIT_RUNTIME, "remove it, or make it yours with mode 0700",
			     "%s: others than its owner may go there, or it is not yours", path);
}

bool control_parse_name(const char *file, struct control_name *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i]);
		const char *digits = file + n + 1;
		unsigned long pid;
		char *end;

		if (strncmp(file, kinds[i], n) || file[n] != '-' || *digits < '1' || *digits > '9')
			continue;
		errno = 0;
		pid = strtoul(digits, &end, 10);
		if (errno || pid > INT_MAX || strcmp(end, ".sock"))
			return false;
		*ret = (struct control_name){.kind = i, .pid = pid};
		return true;
	}
	return false;
}

static void print_name(const struct control_name *name, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%s-%d.sock", kinds[name->kind], name->pid);
}

/* sun_path has 108 bytes, paths may have more: ours begins at the descriptor. */
void control_address(int directory, const struct control_name *name, struct sockaddr_un *ret)
{
	char file[NAME_SIZE];

	print_name(name, file);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", directory, file);
}

int control_connect(int directory, const struct control_name *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;
	struct ucred peer;
	socklen_t n = sizeof(peer);
	struct sockaddr_un address;

	if (fd < 0)
		return -errno;
	control_address(directory, name, &address);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n))
		err = -errno;
	else if (peer.uid && peer.uid != geteuid())
		err = -EPERM;
	if (!err)
		return fd;
	close(fd);
	return err;
}

void control_remove(int directory, const struct control_name *name)
{
	char file[NAME_SIZE];

	print_name(name, file);
	unlinkat(directory, file, 0);
}

int control_each(int directory, void (*each)(void *arg, const struct control_name *name), void *arg)
{
	int copy = openat(directory, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	struct control_name name;

	if (!dir) {
		int err = -errno;

		if (copy >= 0)
			close(copy);
		return err;
	}
	while ((entry = readdir(dir))) {
		int fd;

		if (!control_parse_name(entry->d_name, &name))
			continue;
		fd = control_connect(directory, &name);
		if (fd == -ECONNREFUSED)
			control_remove(directory, &name);
		else if (each && fd != -ENOENT)
			each(arg, &name);
		if (fd >= 0)
			close(fd);
	}
	closedir(dir);
	return 0;
}
