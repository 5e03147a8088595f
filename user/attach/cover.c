// SPDX-License-Identifier: BSD-2-Clause
#include "attach/cover.h"

#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/closer.h"
#include "attach/place.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "elf/image.h"
#include "plan/plan.h"
#include "process/maps.h"

#define MAX_NOTES 4

/* One file, whoever maps it, as long as nobody changes it. */
struct file {
	uint64_t inode_key;
	char *path;
	struct plan *plan; /* NULL: it cannot be planned, see note */
	char *note;
};

struct covered_file {
	const struct file *file;
	struct links links;
};

struct covered {
	pid_t pid;
	uint32_t leader; /* kernel_instance()'s when the links were made */
	struct covered_file *items;
	size_t n, cap;
	const struct file *noted[MAX_NOTES];
	size_t n_noted;
};

struct cover {
	pthread_mutex_t lock;
	struct kernel *kernel;
	struct closer *closer;
	char *object, *prefix;
	struct hashmap files;	  /* device and inode -> struct file */
	struct hashmap processes; /* pid -> struct covered */
};

int cover_create(struct kernel *k, const struct cover_options *options, struct cover **ret,
		 struct diag *d)
{
	struct cover *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return diag_set(d, ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	c->kernel = k;
	c->object = options->object ? strdup(options->object) : NULL;
	c->prefix = options->prefix ? strdup(options->prefix) : NULL;
	err = closer_create(&c->closer, d);
	if (err) {
		cover_destroy(c);
		return err;
	}
	*ret = c;
	return 0;
}

static void covered_release(struct cover *c, struct covered *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		closer_links(c->closer, &p->items[i].links);
	free(p->items);
	free(p);
}

static void file_free(struct file *f)
{
	if (!f)
		return;
	plan_destroy(f->plan);
	free(f->path);
	free(f->note);
	free(f);
}

void cover_destroy(struct cover *c)
{
	struct covered *p;
	struct file *f;
	size_t cursor = 0;

	if (!c)
		return;
	while ((p = hashmap_next(&c->processes, &cursor, NULL)))
		covered_release(c, p);
	closer_destroy(c->closer);
	cursor = 0;
	while ((f = hashmap_next(&c->files, &cursor, NULL)))
		file_free(f);
	hashmap_done(&c->processes);
	hashmap_done(&c->files);
	pthread_mutex_destroy(&c->lock);
	free(c->object);
	free(c->prefix);
	free(c);
}

static uint64_t inode_key(const struct mapping *m)
{
	return m->inode ^ (uint64_t)m->dev_major << 52 ^ (uint64_t)m->dev_minor << 40;
}

/* With the time of change: the same inode can hold another program by the next exec, and a probe at the old one's offset would
 * break its code. st: zero when the file cannot be opened. */
static uint64_t file_key(const struct mapping *m, const struct stat *st)
{
	uint64_t changed_ns = st->st_ctim.tv_sec * NS_PER_SECOND + st->st_ctim.tv_nsec;

	return changed_ns * 0x9e3779b97f4a7c15ULL ^ inode_key(m);
}

static bool ends_with(const char *path, const char *tail)
{
	size_t n = strlen(path), n_tail = strlen(tail);

	return n >= n_tail && !strcmp(path + n - n_tail, tail);
}

/* Makes the file's plan; what goes wrong becomes its note. */
static int plan_file(struct cover *c, struct file *f, int fd, struct diag *d)
{
	struct elf_image *image;
	int err = elf_image_open(fd, f->path, &image, d);

	if (err)
		return err;
	err = plan_create(image, c->prefix, &f->plan, d);
	elf_image_close(image);
	return err;
}

/* The file behind a mapping, planned on first sight. NULL without memory. *ret_fd: open, or -errno. */
static struct file *file_get(struct cover *c, pid_t pid, const struct mapping *m, int *ret_fd,
			     struct diag *d)
{
	struct stat st = {0};
	struct file *f;

	*ret_fd = maps_open_file(pid, m, d);
	if (*ret_fd == -EMFILE || *ret_fd == -ENFILE)
		return NULL;
	if (*ret_fd >= 0 && fstat(*ret_fd, &st))
		st = (struct stat){0};
	f = hashmap_get(&c->files, file_key(m, &st));
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (f) {
		f->inode_key = inode_key(m);
		f->path = strdup(m->path);
	}
	if (!f || !f->path || hashmap_put(&c->files, file_key(m, &st), f)) {
		file_free(f);
		return NULL;
	}
	if (c->object && !ends_with(m->path, c->object))
		return f;
	/* Not an ELF file is no trouble: programs map all kinds of files. */
	if (*ret_fd < 0 || (plan_file(c, f, *ret_fd, d) && d->text[0]))
		f->note = strdup(d->text);
	return f;
}

static struct covered *covered_get(struct cover *c, pid_t pid)
{
	struct covered *p = hashmap_get(&c->processes, pid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	if (hashmap_put(&c->processes, pid, p)) {
		free(p);
		return NULL;
	}
	return p;
}

static bool has_file(const struct covered *p, const struct file *f)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->items[i].file == f)
			return true;
	return false;
}

static void remember_note(struct covered *p, const struct file *f)
{
	if (!f->note || p->n_noted == MAX_NOTES)
		return;
	for (size_t i = 0; i < p->n_noted; i++)
		if (p->noted[i] == f)
			return;
	p->noted[p->n_noted++] = f;
}

/* Links at the offsets that a file had before it was changed in place go before its new ones come: at once, not in the
 * background, as the process is about to run the new content. */
static void drop_changed(struct covered *p, const struct file *f)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->items[i].file != f && p->items[i].file->inode_key == f->inode_key) {
			links_done(&p->items[i].links);
			p->items[i--] = p->items[--p->n];
		}
}

/* Probes one mapping's file unless it is done. Returns 1 when it was probed now, 0, or -errno. */
static int cover_mapping(struct cover *c, struct covered *p, const struct mapping *m,
			 struct diag *d)
{
	struct covered_file covered = {0};
	int fd = -1, err = 0;

	covered.file = file_get(c, p->pid, m, &fd, d);
	if (!covered.file) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	remember_note(p, covered.file);
	drop_changed(p, covered.file);
	if (fd >= 0 && !has_file(p, covered.file) && covered.file->plan && covered.file->plan->n) {
		if (c->kernel)
			err = place_plan(c->kernel, p->pid, fd, covered.file->plan, &covered.links,
					 d);
		if (!err)
			err = vec_push(p, covered);
		if (err)
			closer_links(c->closer, &covered.links);
		else
			err = 1;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* A 32-bit program is told apart before anything else: none of its registers mean what we read from them. */
static int check_class(pid_t pid, struct diag *d)
{
	unsigned char head[EI_CLASS + 1] = {0};
	char path[64];
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	f = fopen(path, "re");
	if (!f || fread(head, 1, sizeof(head), f) != sizeof(head))
		return 0; /* gone, or a kernel thread: others say so */
	if (!memcmp(head, ELFMAG, SELFMAG) && head[EI_CLASS] == ELFCLASS32)
		return diag_set_hint(
			d, ENOTSUP, EXIT_RUNTIME,
			"only 64-bit programs can be traced: trace a 64-bit build of it",
			"process %d is a 32-bit program", pid);
	return 0;
}

/* Links follow their process into a new program, unless a thread other than the first exec'ed: they hang on the
 * first one's task, which is gone then. */
static void drop_dead_links(struct cover *c, struct covered *p)
{
	uint32_t leader = 0;

	if (c->kernel)
		kernel_instance(c->kernel, p->pid, &leader);
	if (!p->leader || p->leader == leader) {
		p->leader = leader;
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		closer_links(c->closer, &p->items[i].links);
	p->n = 0;
	p->leader = leader;
}

static int update_locked(struct cover *c, pid_t pid, const struct maps *maps, struct diag *d)
{
	struct covered *p = covered_get(c, pid);
	int n_probed = 0;

	if (!p)
		return diag_set(d, ENOMEM, "out of memory");
	drop_dead_links(c, p);
	for (size_t i = 0; i < maps->n; i++) {
		const struct mapping *m = &maps->items[i];
		int err;

		if (!m->executable || !m->inode)
			continue;
		err = cover_mapping(c, p, m, d);
		if (err < 0)
			return err;
		n_probed += err;
	}
	return n_probed;
}

int cover_update(struct cover *c, pid_t pid, struct diag *d)
{
	struct maps maps = {0};
	int err = check_class(pid, d);

	if (!err)
		err = maps_read(pid, &maps, d);
	if (err)
		return err;
	pthread_mutex_lock(&c->lock);
	err = update_locked(c, pid, &maps, d);
	pthread_mutex_unlock(&c->lock);
	maps_done(&maps);
	return err;
}

void cover_forget(struct cover *c, pid_t pid)
{
	pthread_mutex_lock(&c->lock);
	covered_release(c, hashmap_take(&c->processes, pid));
	pthread_mutex_unlock(&c->lock);
}

size_t cover_count(struct cover *c, pid_t pid)
{
	const struct covered *p;
	size_t n = 0;

	pthread_mutex_lock(&c->lock);
	p = hashmap_get(&c->processes, pid);
	for (size_t i = 0; p && i < p->n; i++)
		n += p->items[i].file->plan->n;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static size_t add_note(char **ret, size_t n, size_t max, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static size_t add_note(char **ret, size_t n, size_t max, const char *fmt, ...)
{
	va_list ap;

	if (n == max)
		return n;
	va_start(ap, fmt);
	if (vasprintf(&ret[n], fmt, ap) >= 0)
		n++;
	va_end(ap);
	return n;
}

size_t cover_notes(struct cover *c, pid_t pid, char **ret, size_t max)
{
	const struct covered *p;
	size_t n = 0;

	pthread_mutex_lock(&c->lock);
	p = hashmap_get(&c->processes, pid);
	if (!p || !p->n)
		n = add_note(
			ret, n, max,
			"no allocation function was found in its files (Go, or a stripped static program?): nothing is counted");
	for (size_t i = 0; p && i < p->n_noted; i++)
		n = add_note(ret, n, max,
			     "%s: what it allocates by functions of its own is not counted",
			     p->noted[i]->note);
	pthread_mutex_unlock(&c->lock);
	return n;
}

void cover_each(struct cover *c, pid_t pid,
		void (*visit)(void *arg, const char *path, const struct plan *plan), void *arg)
{
	const struct covered *p;

	pthread_mutex_lock(&c->lock);
	p = hashmap_get(&c->processes, pid);
	for (size_t i = 0; p && i < p->n; i++)
		visit(arg, p->items[i].file->path, p->items[i].file->plan);
	pthread_mutex_unlock(&c->lock);
}
