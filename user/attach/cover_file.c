// SPDX-License-Identifier: BSD-2-Clause
#include "attach/cover_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "attach/closer.h"
#include "attach/place.h"
#include "base/clock.h"
#include "base/vec.h"
#include "elf/image.h"
#include "plan/plan.h"
#include "process/maps.h"

#define LINGER_NS (5 * NS_PER_SECOND)
#define KEEP_NS (600 * NS_PER_SECOND)

static void file_free(struct cover_file *f)
{
	if (!f)
		return;
	probed_close_now(&f->probed);
	if (f->fd >= 0)
		close(f->fd);
	plan_destroy(f->plan);
	free(f->path);
	free(f->note);
	free(f);
}

void cover_files_close(struct cover_files *files, struct closer *closer)
{
	struct cover_file *f;
	size_t cursor = 0;

	while ((f = hashmap_next(&files->table, &cursor, NULL)))
		probed_close(&f->probed, closer);
}

void cover_files_done(struct cover_files *files)
{
	struct cover_file *f;
	size_t cursor = 0;

	while ((f = hashmap_next(&files->table, &cursor, NULL)))
		file_free(f);
	hashmap_done(&files->table);
}

uint64_t cover_file_inode_key(const struct mapping *m)
{
	return m->inode ^ (uint64_t)m->dev_major << 52 ^ (uint64_t)m->dev_minor << 40;
}

/* A file of an image is another one in each container's overlay, but all map the inode of the layer, and that is where probes
 * go. Its number shows through, the device does not. */
static bool on_overlay(int fd)
{
	struct statfs fs;

	return fd >= 0 && !fstatfs(fd, &fs) && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

/* With the time of change: the same inode can hold another program by the next exec, and a probe at the old one's offset would
 * break its code. fd: -errno when the file cannot be opened. */
static uint64_t file_key(const struct mapping *m, int fd)
{
	struct stat st = {0};
	uint64_t changed_ns, inode;

	if (fd >= 0 && fstat(fd, &st))
		st = (struct stat){0};
	changed_ns = st.st_ctim.tv_sec * NS_PER_SECOND + st.st_ctim.tv_nsec;
	inode = on_overlay(fd) ? st.st_ino ^ (uint64_t)st.st_size << 24 : cover_file_inode_key(m);
	return changed_ns * 0x9e3779b97f4a7c15ULL ^ inode;
}

static bool ends_with(const char *path, const char *tail)
{
	size_t n = strlen(path), n_tail = strlen(tail);

	return n >= n_tail && !strcmp(path + n - n_tail, tail);
}

/* Probes are placed by the descriptor. */
static int keep_open(struct cover_file *f, int fd, struct diag *d)
{
	if (f->fd >= 0 || fd < 0 || !f->plan || !f->plan->n)
		return 0;
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return f->fd < 0 ? diag_set(d, errno, "%s: %s", f->path, strerror(errno)) : 0;
}

/* Makes the file's plan; what goes wrong becomes its note. */
static int plan_file(struct cover_files *files, struct cover_file *f, int fd, struct diag *d)
{
	struct elf_image *image;
	int err = elf_image_open(fd, f->path, &image, d);

	if (err)
		return err;
	err = plan_create(image, files->prefix, &f->plan, d);
	elf_image_close(image);
	return err ? err : keep_open(f, fd, d);
}

struct cover_file *cover_files_get(struct cover_files *files, pid_t pid, const struct mapping *m,
				   int *ret_fd, struct diag *d)
{
	struct cover_file *f;
	uint64_t key;

	*ret_fd = maps_open_file(pid, m, d);
	if (*ret_fd == -EMFILE || *ret_fd == -ENFILE)
		return NULL;
	key = file_key(m, *ret_fd);
	f = hashmap_get(&files->table, key);
	if (f) {
		f->seen_ns = clock_monotonic_ns();
		return keep_open(f, *ret_fd, d) ? NULL : f;
	}
	f = calloc(1, sizeof(*f));
	if (f) {
		f->fd = -1;
		f->key = key;
		f->inode_key = cover_file_inode_key(m);
		f->path = strdup(m->path);
		f->seen_ns = clock_monotonic_ns();
	}
	if (!f || !f->path || hashmap_put(&files->table, key, f)) {
		file_free(f);
		return NULL;
	}
	if (files->object && !ends_with(m->path, files->object))
		return f;
	/* Not an ELF file is no trouble: programs map all kinds of files. */
	if (*ret_fd < 0 || (plan_file(files, f, *ret_fd, d) && d->text[0]))
		f->note = strdup(d->text);
	return f;
}

int cover_file_settle(struct cover_file *f, unsigned parts, const struct kernel *k,
		      struct closer *closer, struct diag *d)
{
	/* Without users for now: cover_files_trim decides how long that is. */
	f->kept |= f->n_users > 0;
	if (f->changed || !f->kept)
		return 0;
	return probed_set(&f->probed, k, closer, 0, f->fd, f->plan, parts, d);
}

void cover_files_trim(struct cover_files *files, struct closer *closer, uint64_t now_ns)
{
	struct {
		struct cover_file **items;
		size_t n, cap;
	} old = {0};
	struct cover_file *f;
	size_t cursor = 0;
	int err = 0;

	while (!err && (f = hashmap_next(&files->table, &cursor, NULL))) {
		uint64_t idle_ns = now_ns > f->seen_ns ? now_ns - f->seen_ns : 0;

		if (!f->n_users && f->kept && idle_ns > LINGER_NS) {
			probed_close(&f->probed, closer);
			f->kept = false;
		}
		if (!f->n_refs && f->fd >= 0 && idle_ns > LINGER_NS) {
			close(f->fd);
			f->fd = -1;
		}
		if (!f->n_refs && idle_ns > KEEP_NS)
			err = vec_push(&old, f);
	}
	for (size_t i = 0; i < old.n; i++)
		file_free(hashmap_take(&files->table, old.items[i]->key));
	free(old.items);
}
