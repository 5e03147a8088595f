// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strings.h"
#include "process/maps.h"
#include "symbol/root.h"

static int key_of(int fd, struct file_key *ret)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = (struct file_key){
		.device = st.st_dev,
		.inode = st.st_ino,
		.mtime_ns = st.st_mtim.tv_sec * NS_PER_SECOND + st.st_mtim.tv_nsec,
		.size_bytes = st.st_size,
	};
	return 0;
}

static uint64_t hash_of(const struct file_key *key)
{
	return hash_bytes(0, key, sizeof(*key));
}

void files_init(struct files *files, size_t max_open)
{
	struct rlimit limit;

	*files = (struct files){.max_open = max_open};
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / 2 < max_open)
		files->max_open = limit.rlim_cur / 2;
}

static void file_free(struct files *files, struct file *file)
{
	if (file->fd >= 0) {
		close(file->fd);
		files->n_open--;
	}
	free(file->path);
	free(file);
}

void files_done(struct files *files)
{
	struct file *file, *next;
	size_t cursor = 0;

	while ((file = hashmap_next(&files->by_key, &cursor, NULL)))
		for (; file; file = next) {
			next = file->next;
			file_free(files, file);
		}
	hashmap_done(&files->by_key);
}

struct file *file_hold(struct file *file)
{
	file->refs++;
	return file;
}

void files_put(struct files *files, struct file *file)
{
	struct file *head, **link;
	uint64_t hash;

	if (!file || --file->refs)
		return;
	hash = hash_of(&file->key);
	head = hashmap_take(&files->by_key, hash);
	for (link = &head; *link != file; link = &(*link)->next)
		;
	*link = file->next;
	if (head)
		hashmap_put(&files->by_key, hash,
			    head); /* cannot fail: its slot was just given back */
	file_free(files, file);
}

static struct file *find(const struct files *files, const struct file_key *key)
{
	struct file *file = hashmap_get(&files->by_key, hash_of(key));

	while (file && memcmp(&file->key, key, sizeof(*key)))
		file = file->next;
	return file;
}

static struct file *file_new(struct files *files, const struct file_key *key, pid_t pid,
			     const char *path)
{
	struct file *file = calloc(1, sizeof(*file));
	uint64_t hash = hash_of(key);

	if (!file)
		return NULL;
	*file = (struct file){.key = *key, .refs = 1, .fd = -1, .pid = pid, .path = strdup(path)};
	file->next = hashmap_get(&files->by_key, hash);
	if (!file->path || hashmap_put(&files->by_key, hash, file)) {
		free(file->path);
		free(file);
		return NULL;
	}
	return file;
}

int files_adopt(struct files *files, int fd, pid_t pid, const char *path, struct file **ret)
{
	struct file_key key;
	struct file *file;
	int err = key_of(fd, &key);

	if (err)
		goto out;
	file = find(files, &key);
	if (file) {
		*ret = file_hold(file);
		goto out;
	}
	file = file_new(files, &key, pid, path);
	if (!file) {
		err = -ENOMEM;
		goto out;
	}
	if (files->n_open < files->max_open) {
		files->n_open++;
		file->fd = fd;
		fd = -1;
	}
	*ret = file;
out:
	if (fd >= 0)
		close(fd);
	return err;
}

int files_get(struct files *files, pid_t pid, const struct mapping *mapping, struct file **ret)
{
	int fd = maps_open_file(pid, mapping, NULL);

	return fd < 0 ? fd : files_adopt(files, fd, pid, mapping->path, ret);
}

int file_open(const struct file *file)
{
	const pid_t roots[] = {file->pid, 0};
	int fd;

	if (file->fd >= 0) {
		fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? -errno : fd;
	}
	for (size_t i = 0; i < 2; i++) {
		struct file_key key;

		fd = root_open(roots[i], file->path);
		if (fd < 0)
			continue;
		if (!key_of(fd, &key) && !memcmp(&key, &file->key, sizeof(key)))
			return fd;
		close(fd);
	}
	return -ENOENT;
}
