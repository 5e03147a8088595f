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
#include <unistd.h>

#include "attach/closer.h"
#include "attach/cover_file.h"
#include "attach/holder.h"
#include "attach/place.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "plan/plan.h"
#include "process/heir.h"
#include "process/maps.h"

#define MAX_NOTES 4
_Static_assert((int)COVER_FREES == (int)PLACE_FREES &&
		       (int)COVER_ALLOCATIONS == (int)PLACE_ALLOCATIONS,
	       "parts");

struct covered_file {
	struct cover_file *file;
	/* COVER_PROCESSES: */
	struct probed own;
	struct links holders; /* with an heir: what keeps its probes in place */
	unsigned held;	      /* enum place_parts: those of them that are kept */
};

struct covered {
	pid_t pid;
	pid_t heir; /* of its threads, the one that its probes hang on: pid, unless that ended first */
	uint32_t leader; /* kernel_instance()'s when the links were made */
	unsigned parts;	 /* enum cover_parts: what is wanted */
	bool missed;	 /* calls, before its probes hung on the present heir: cover_follow's */
	struct covered_file *items;
	size_t n, cap;
	struct cover_file *noted[MAX_NOTES];
	size_t n_noted;
};

struct cover {
	pthread_mutex_t lock;
	struct kernel *kernel;
	struct closer *closer;
	enum cover_scope scope;
	unsigned shared_parts; /* enum cover_parts: COVER_FILES */
	char *object, *prefix;
	struct cover_files files;
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
	c->scope = options->scope;
	c->shared_parts = COVER_ALL;
	c->object = options->object ? strdup(options->object) : NULL;
	c->prefix = options->prefix ? strdup(options->prefix) : NULL;
	c->files = (struct cover_files){.object = c->object, .prefix = c->prefix};
	err = closer_create(&c->closer, d);
	if (err) {
		cover_destroy(c);
		return err;
	}
	*ret = c;
	return 0;
}

/* holder.h: with an heir, links that go by the first thread's memory need somebody who keeps their breakpoints. */
static int settle_holders(struct cover *c, struct covered *p, struct covered_file *item,
			  struct diag *d)
{
	struct links before = item->holders;
	bool stood = false;
	int err;

	if (p->heir == p->pid || kernel_link(c->kernel) == LINK_PERF ||
	    item->held == item->own.standing)
		return 0;
	item->holders = (struct links){0};
	err = holder_place(p->heir, item->file, item->own.standing, &item->holders, &stood, d);
	p->missed |= !stood;
	item->held = err ? 0 : item->own.standing;
	closer_links(c->closer, &before);
	return err;
}

static int settle_own(struct cover *c, struct covered *p, struct covered_file *item, struct diag *d)
{
	pid_t of = kernel_link(c->kernel) == LINK_PERF ? p->heir : p->pid;
	int err = probed_set(&item->own, c->kernel, c->closer, of, item->file->fd, item->file->plan,
			     p->parts, d);

	return err ? err : settle_holders(c, p, item, d);
}

/* Makes one file's probes what the process wants of them. */
static int settle_item(struct cover *c, struct covered *p, struct covered_file *item,
		       struct diag *d)
{
	if (!c->kernel)
		return 0;
	if (c->scope == COVER_FILES)
		return cover_file_settle(item->file, c->shared_parts, c->kernel, c->closer, d);
	return item->file->changed ? 0 : settle_own(c, p, item, d);
}

/* The process no longer has the i-th file; the last one takes its place. */
static void drop_item(struct cover *c, struct covered *p, size_t i)
{
	struct cover_file *f = p->items[i].file;

	probed_close(&p->items[i].own, c->closer);
	closer_links(c->closer, &p->items[i].holders);
	f->n_refs--;
	f->seen_ns = clock_monotonic_ns();
	if (c->scope == COVER_FILES)
		f->n_users--;
	p->items[i] = p->items[--p->n];
}

static void covered_release(struct cover *c, struct covered *p)
{
	if (!p)
		return;
	while (p->n)
		drop_item(c, p, p->n - 1);
	for (size_t i = 0; i < p->n_noted; i++)
		p->noted[i]->n_refs--;
	free(p->items);
	free(p);
}

void cover_destroy(struct cover *c)
{
	struct covered *p;
	size_t cursor = 0;

	if (!c)
		return;
	while ((p = hashmap_next(&c->processes, &cursor, NULL)))
		covered_release(c, p);
	if (c->closer)
		cover_files_close(&c->files, c->closer);
	closer_destroy(c->closer);
	cover_files_done(&c->files);
	hashmap_done(&c->processes);
	pthread_mutex_destroy(&c->lock);
	free(c->object);
	free(c->prefix);
	free(c);
}

static struct covered *covered_get(struct cover *c, pid_t pid)
{
	struct covered *p = hashmap_get(&c->processes, pid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = p->heir = pid;
	p->parts = COVER_ALL;
	if (hashmap_put(&c->processes, pid, p)) {
		free(p);
		return NULL;
	}
	return p;
}

static bool has_file(const struct covered *p, const struct cover_file *f)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->items[i].file == f)
			return true;
	return false;
}

static void remember_note(struct covered *p, struct cover_file *f)
{
	if (!f->note || p->n_noted == MAX_NOTES)
		return;
	for (size_t i = 0; i < p->n_noted; i++)
		if (p->noted[i] == f)
			return;
	f->n_refs++;
	p->noted[p->n_noted++] = f;
}

/* Links at the offsets that a file had before it was changed in place go before its new ones come: at once, not in the
 * background, as the process is about to run the new content. */
static void drop_changed(struct cover *c, struct covered *p, const struct cover_file *f)
{
	for (size_t i = 0; i < p->n; i++) {
		struct cover_file *old = p->items[i].file;

		if (old == f || old->inode_key != f->inode_key)
			continue;
		old->changed = true;
		probed_close_now(&old->probed);
		probed_close_now(&p->items[i].own);
		drop_item(c, p, i--);
	}
}

/* Adds a file to the process's and probes it. Returns 1, 0 when others had it probed already, or -errno. */
static int add_item(struct cover *c, struct covered *p, struct cover_file *f, struct diag *d)
{
	struct covered_file item = {.file = f};
	bool stood = f->probed.standing;
	int err = vec_push(p, item);

	if (err)
		return err;
	f->n_refs++;
	if (c->scope == COVER_FILES)
		f->n_users++;
	err = settle_item(c, p, &p->items[p->n - 1], d);
	if (!err)
		return !stood;
	drop_item(c, p, p->n - 1);
	return err;
}

/* Probes one mapping's file unless it is done. Returns 1 when it was probed now, 0, or -errno. */
static int cover_mapping(struct cover *c, struct covered *p, const struct mapping *m,
			 struct cover_file **ret_file, struct diag *d)
{
	struct cover_file *f;
	int fd = -1, err = 0;

	f = cover_files_get(&c->files, p->pid, m, &fd, d);
	if (fd >= 0)
		close(fd);
	if (!f)
		return fd < 0 ? fd : -ENOMEM;
	remember_note(p, f);
	/* Of a process that ends just now it cannot be opened, which says nothing of the file: others go on with it. */
	if (fd >= 0)
		drop_changed(c, p, f);
	if (fd >= 0 && !has_file(p, f) && f->plan && f->plan->n)
		err = add_item(c, p, f, d);
	*ret_file = f;
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

#define HEIR_TRIES 16 /* for threads that end just then */

/* The thread for a process's probes to hang on. Of any but the first one the kernel side is told first, so that its end is an
 * event. Returns its id, -ESRCH: the process has ended, or -errno. */
static pid_t choose_heir(struct cover *c, pid_t pid)
{
	pid_t heir = heir_find(pid);
	int err;

	for (int i = 0; i < HEIR_TRIES && heir > 0 && heir != pid; i++) {
		pid_t before = heir;

		err = kernel_watch_heir(c->kernel, pid, heir);
		if (err)
			return err;
		heir = heir_find(pid);
		if (heir == before)
			return heir;
	}
	return heir == pid || heir < 0 ? heir : -EAGAIN;
}

/* Makes all hang on the heir. Perf events run nothing from the end of the thread before on, and whether there were calls meanwhile cannot be
 * told. Those that are dead go when the new ones stand. */
static int rehang(struct cover *c, struct covered *p, struct diag *d)
{
	bool perf = kernel_link(c->kernel) == LINK_PERF;
	int err = 0, one;

	p->missed |= perf && p->n;
	for (size_t i = 0; i < p->n; i++) {
		struct covered_file *item = &p->items[i];
		struct probed before = {0};

		item->held = 0;
		if (perf) {
			before = item->own;
			item->own = (struct probed){0};
		}
		one = settle_item(c, p, item, d);
		err = err ? err : one;
		probed_close(&before, c->closer);
	}
	return err;
}

static bool leads_anew(struct cover *c, const struct covered *p)
{
	uint32_t leader = 0;

	kernel_instance(c->kernel, p->pid, &leader);
	return p->leader != leader;
}

static int follow_locked(struct cover *c, struct covered *p, struct diag *d)
{
	bool perf = kernel_link(c->kernel) == LINK_PERF;
	int err = -ESRCH;

	p->missed = false;
	for (int i = 0; i < HEIR_TRIES && err == -ESRCH; i++) {
		pid_t heir = choose_heir(c, p->pid);

		/* Too late: all have ended, or another thread has become the first one. */
		if (heir == -ESRCH || (heir == p->pid && leads_anew(c, p)))
			return p->missed || (perf && p->n);
		if (heir == p->heir)
			return p->missed;
		if (heir < 0)
			return diag_set(
				d, -heir,
				"process %d: its first thread has ended, and its probes cannot be "
				"kept for another one: %s",
				p->pid, strerror(-heir));
		p->heir = heir;
		err = rehang(c, p, d);
	}
	return err ? err : p->missed;
}

int cover_follow(struct cover *c, pid_t pid, struct diag *d)
{
	struct covered *p;
	int err;

	if (c->scope == COVER_FILES || !c->kernel)
		return 0;
	pthread_mutex_lock(&c->lock);
	p = hashmap_get(&c->processes, pid);
	err = p ? follow_locked(c, p, d) : kernel_link(c->kernel) == LINK_PERF;
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* Links of its own follow a process into a new program, unless a thread other than the first exec'ed: they hang on the
 * first one's task, which is gone then. */
static void drop_dead_links(struct cover *c, struct covered *p)
{
	uint32_t leader = 0;

	if (c->scope == COVER_FILES)
		return;
	if (c->kernel)
		kernel_instance(c->kernel, p->pid, &leader);
	if (p->leader && p->leader != leader)
		while (p->n) {
			/* Those of uprobe_multi know a process by what its threads share, so that they still see this one: they go
			 * before others come. */
			if (c->kernel && kernel_link(c->kernel) != LINK_PERF)
				probed_close_now(&p->items[p->n - 1].own);
			drop_item(c, p, p->n - 1);
		}
	p->leader = leader;
	/* Before anything hangs on a thread, one that lives is chosen; after that, cover_follow does. */
	if (c->kernel && !p->n) {
		pid_t heir = choose_heir(c, p->pid);

		p->heir = heir > 0 ? heir : p->pid;
	}
}

struct seen_files {
	struct cover_file **items;
	size_t n, cap;
};

/* What all share is kept only for those who map it. */
static void drop_unmapped(struct cover *c, struct covered *p, const struct seen_files *seen)
{
	for (size_t i = 0; i < p->n; i++) {
		bool mapped = false;

		for (size_t j = 0; j < seen->n && !mapped; j++)
			mapped = seen->items[j] == p->items[i].file;
		if (!mapped)
			drop_item(c, p, i--);
	}
}

static int update_locked(struct cover *c, pid_t pid, const struct maps *maps, struct diag *d)
{
	struct covered *p = covered_get(c, pid);
	struct seen_files seen = {0};
	int n_probed = 0, err = 0;

	if (!p)
		return diag_set(d, ENOMEM, "out of memory");
	drop_dead_links(c, p);
	for (size_t i = 0; i < maps->n && err >= 0; i++) {
		const struct mapping *m = &maps->items[i];
		struct cover_file *f;

		if (!m->executable || !m->inode)
			continue;
		err = cover_mapping(c, p, m, &f, d);
		if (err >= 0) {
			n_probed += err;
			err = vec_push(&seen, f);
		}
	}
	if (err >= 0 && c->scope == COVER_FILES)
		drop_unmapped(c, p, &seen);
	free(seen.items);
	cover_files_trim(&c->files, c->closer, clock_monotonic_ns());
	return err < 0 ? err : n_probed;
}

int cover_update(struct cover *c, pid_t pid, struct diag *d)
{
	struct maps maps = {0};
	int err = check_class(pid, d);

	if (!err)
		err = maps_read(pid, &maps, d);
	if (err)
		return err;
	/* Its first thread has ended, and others may go on with what is probed: the probes are theirs. */
	if (!maps.n) {
		maps_done(&maps);
		return diag_set(d, ESRCH, "process %d has no memory any more", pid);
	}
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
	cover_files_trim(&c->files, c->closer, clock_monotonic_ns());
	pthread_mutex_unlock(&c->lock);
}

void cover_trim(struct cover *c)
{
	pthread_mutex_lock(&c->lock);
	cover_files_trim(&c->files, c->closer, clock_monotonic_ns());
	pthread_mutex_unlock(&c->lock);
}

int cover_set_parts(struct cover *c, pid_t pid, unsigned parts, struct diag *d)
{
	struct covered *p;
	int err = 0, one;

	pthread_mutex_lock(&c->lock);
	p = hashmap_get(&c->processes, pid);
	if (p)
		p->parts = parts;
	for (size_t i = 0; p && i < p->n; i++) {
		one = settle_item(c, p, &p->items[i], d);
		err = err ? err : one;
	}
	pthread_mutex_unlock(&c->lock);
	return p ? err : -ESRCH;
}

int cover_set_shared(struct cover *c, unsigned parts, struct diag *d)
{
	struct cover_file *f;
	size_t cursor = 0;
	int err = 0, one;

	pthread_mutex_lock(&c->lock);
	c->shared_parts = parts;
	while (c->kernel && (f = hashmap_next(&c->files.table, &cursor, NULL))) {
		one = cover_file_settle(f, parts, c->kernel, c->closer, d);
		err = err ? err : one;
	}
	pthread_mutex_unlock(&c->lock);
	closer_wait(c->closer);
	return err;
}

bool cover_moving_stops(const struct cover *c)
{
	return kernel_link(c->kernel) == LINK_PERF;
}

uint64_t cover_closing_cpu_ns(struct cover *c)
{
	return closer_cpu_ns(c->closer);
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
