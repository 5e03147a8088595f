// SPDX-License-Identifier: BSD-2-Clause
/* What container runtimes keep in their files, in part chosen by whoever made an image or a pod. The first byte chooses whose file
 * it is; all files together are asked for one container's names. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/container.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static char root[] = "/tmp/fuzz_container.XXXXXX";

static const struct {
	char kind;
	const char *path;
} files[] = {
	{'d', "/var/lib/docker/containers/" ID "/config.v2.json"},
	{'c', "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json"},
	{'o', "/run/containers/storage/overlay-containers/" ID "/userdata/config.json"},
	{'p', "/var/lib/containers/storage/overlay-containers/containers.json"},
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static void remove_root(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The file's path below root, with its directories. */
static void path_of(size_t file, char out[512])
{
	snprintf(out, 512, "%s%s", root, files[file].path);
	for (char *slash = out + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(out, 0700) && errno != EEXIST)
			abort();
		*slash = '/';
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (!mkdtemp(root) || atexit(remove_root))
		abort();
	return 0;
}

static void write_file(const char *path, const uint8_t *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
}

/* Of bounded length, in whole characters of UTF-8, which JSON must be. */
static void check(const char name[CONTAINER_NAME_SIZE])
{
	size_t n = strnlen(name, CONTAINER_NAME_SIZE), n_behind = 0;

	if (n == CONTAINER_NAME_SIZE)
		abort();
	while (n && (name[n - 1] & 0xc0) == 0x80) {
		n--;
		n_behind++;
	}
	if (n_behind > 3 || (n_behind && (!n || !(name[n - 1] & 0x40))) ||
	    (!n_behind && n && (name[n - 1] & 0x80)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct containers c = {.root = root};
	struct container_names names;
	char path[512];
	size_t i = 0;

	while (i < ARRAY_SIZE(files) && (!n_bytes || files[i].kind != data[0]))
		i++;
	if (i == ARRAY_SIZE(files))
		return 0;
	path_of(i, path);
	write_file(path, data + 1, n_bytes - 1);
	containers_find(&c, ID, &names);
	check(names.name);
	check(names.pod);
	check(names.namespace_);
	containers_done(&c);
	unlink(path);
	return 0;
}
