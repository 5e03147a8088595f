// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/debugfile.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "symbol/debuginfod.h"
#include "symbol/root.h"

#define CRC_MAX_BYTES (1ll << 30)

static bool crc_matches(int fd, uint32_t wanted)
{
	enum { CHUNK_BYTES = 1 << 18 };
	_cleanup_free_ unsigned char *chunk = malloc(CHUNK_BYTES);
	uint32_t crc = 0;
	off_t offset = 0;
	ssize_t n;

	if (!chunk)
		return false;
	while ((n = pread(fd, chunk, CHUNK_BYTES, offset)) > 0 && offset < CRC_MAX_BYTES) {
		crc = crc32(crc, chunk, n);
		offset += n;
	}
	return n == 0 && crc == wanted;
}

static bool matches(const struct debugfile_query *query, int fd, const char *path)
{
	struct elf_image *image;
	bool same;

	if (elf_image_open(fd, path, &image, NULL))
		return false;
	same = query->build_id[0] && !strcmp(query->build_id, elf_image_build_id(image));
	elf_image_close(image);
	return same || (!query->build_id[0] && query->link && crc_matches(fd, query->link_crc));
}

static int try_path(const struct debugfile_query *query, pid_t pid, const char *path)
{
	int fd = root_open(pid, path);

	if (fd >= 0 && !matches(query, fd, path)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* The places beneath one directory of the debug path. */
static int try_directory(const struct debugfile_query *query, pid_t pid, const char *directory,
			 int n)
{
	const char *slash = strrchr(query->path, '/');
	char path[2 * PATH_MAX];
	int fd = -ENOENT;

	if (strlen(query->build_id) > 2) {
		snprintf(path, sizeof(path), "%.*s/.build-id/%.2s/%s.debug", n, directory,
			 query->build_id, query->build_id + 2);
		fd = try_path(query, pid, path);
	}
	if (fd < 0 && query->link && slash) {
		snprintf(path, sizeof(path), "%.*s%.*s/%s", n, directory,
			 (int)(slash - query->path), query->path, query->link);
		fd = try_path(query, pid, path);
	}
	return fd;
}

/* The places beside the file itself. A link to its own name would find the stripped file. */
static int try_beside(const struct debugfile_query *query, pid_t pid)
{
	const char *slash = strrchr(query->path, '/');
	char path[2 * PATH_MAX];
	int fd = -ENOENT;

	if (!query->link || !slash)
		return -ENOENT;
	if (strcmp(slash + 1, query->link)) {
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - query->path), query->path,
			 query->link);
		fd = try_path(query, pid, path);
	}
	if (fd < 0) {
		snprintf(path, sizeof(path), "%.*s/.debug/%s", (int)(slash - query->path),
			 query->path, query->link);
		fd = try_path(query, pid, path);
	}
	return fd;
}

static int try_root(const struct debugfile_query *query, pid_t pid)
{
	const char *directory = query->debug_path;
	int fd = -ENOENT;

	while (fd < 0 && *directory) {
		size_t n = strcspn(directory, ":");

		if (n && n < PATH_MAX && directory[0] == '/')
			fd = try_directory(query, pid, directory, n);
		directory += n + (directory[n] == ':');
	}
	return fd < 0 ? try_beside(query, pid) : fd;
}

int debugfile_find(const struct debugfile_query *query, struct debuginfod *servers)
{
	struct debugfile_query safe = *query;
	int fd;

	if (safe.link && (strchr(safe.link, '/') || strlen(safe.link) > NAME_MAX))
		safe.link = NULL;
	fd = try_root(&safe, 0);
	if (fd < 0 && safe.pid)
		fd = try_root(&safe, safe.pid);
	if (fd < 0 && safe.build_id[0])
		fd = debuginfod_fetch(servers, safe.build_id);
	return fd < 0 ? -ENOENT : fd;
}
