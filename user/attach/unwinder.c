// SPDX-License-Identifier: BSD-2-Clause
/* A publication must not be older than what it shows. /proc/PID/maps takes a while to read, and a new file's table a while to make,
 * and meanwhile the process may have put another library in the place of the first. So mappings are announced first, and
 * published when a second read shows the same; from the announcement on the kernel notes when something is about to be mapped
 * where they have code, and then the publication fails and it all begins again. What the process maps elsewhere, however
 * often, holds up nothing. Where /proc showed nothing new, nothing is published. */
#include "attach/unwinder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/kernel.h"
#include "attach/unwind_codes.h"
#include "attach/unwind_files.h"
#include "attach/unwind_spaces.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "elf/image.h"
#include "process/maps.h"
#include "unwind/cache.h"

#define MAX_ROUNDS 8			     /* reads of a process that maps all the time */
#define QUICK_NS (NS_PER_SECOND / 20)	     /* that tables may take in a quick update */
#define QUICK_FILE_BYTES (8 << 20)	     /* beyond, a table is made in no quick update */
#define ANSWER_PAUSE_NS (NS_PER_SECOND / 10) /* after an answer that was nothing new */

struct process {
	uint32_t instance;
	struct space space;
	struct codes codes; /* as published */
	uint64_t idle_ns;   /* CLOCK_MONOTONIC when an update last found nothing new */
	unsigned n_users;   /* threads that work on it */
	bool forgotten;
};

struct unwinder {
	pthread_mutex_t lock; /* not held while files are read */
	struct unwind_files files;
	struct spaces spaces;
	struct hashmap processes; /* by instance */
	char *directory;	  /* of the cache, or NULL */
	struct unwinder_options options;
};

int unwinder_create(struct kernel *k, const struct unwinder_options *options, struct unwinder **ret,
		    struct diag *d)
{
	struct unwinder *u = calloc(1, sizeof(*u));
	struct kernel_unwind kernel;
	int err;

	if (!u)
		return diag_set(d, ENOMEM, "out of memory");
	pthread_mutex_init(&u->lock, NULL);
	u->options = *options;
	kernel_get_unwind(k, &kernel);
	u->directory = options->no_cache ? NULL : unwind_cache_directory();
	err = unwind_files_init(&u->files, kernel.shared->rules, kernel.segments_fd,
				options->memory_bytes);
	if (!err)
		err = spaces_init(&u->spaces, kernel.shared, kernel.next_generation);
	if (err) {
		unwinder_destroy(u);
		return diag_set(d, -err, "out of memory");
	}
	*ret = u;
	return 0;
}

static void codes_done(struct unwinder *u, struct codes *codes)
{
	for (size_t i = 0; i < codes->n; i++)
		unwind_files_put(&u->files, codes->items[i].file);
	free(codes->items);
	*codes = (struct codes){0};
}

/* What the kernel sees of it goes, too. */
static void process_free(struct unwinder *u, struct process *p)
{
	space_release(&u->spaces, &p->space);
	codes_done(u, &p->codes);
	free(p);
}

void unwinder_destroy(struct unwinder *u)
{
	struct process *p;
	size_t cursor = 0;

	if (!u)
		return;
	while ((p = hashmap_next(&u->processes, &cursor, NULL)))
		process_free(u, p);
	hashmap_done(&u->processes);
	spaces_done(&u->spaces);
	unwind_files_done(&u->files);
	pthread_mutex_destroy(&u->lock);
	free(u->directory);
	free(u);
}

/* Adds up how often the process's code was searched. Caller holds the lock, as for all from here on that work on the tables. */
static void count_searches(struct unwinder *u, struct process *p)
{
	for (size_t i = 0; i < p->codes.n; i++)
		if (p->codes.items[i].file)
			p->codes.items[i].file->n_searches +=
				space_take_searches(&u->spaces, &p->space, i);
}

/* All that map the file are to see that its rows came or went. Who cannot be told, has nothing published, and asks. */
static void file_moved(struct unwinder *u, const struct unwind_file *file)
{
	struct process *p;
	size_t cursor = 0;

	while ((p = hashmap_next(&u->processes, &cursor, NULL))) {
		_cleanup_free_ struct wire_mapping *items = NULL;
		size_t i = 0;

		while (i < p->codes.n && p->codes.items[i].file != file)
			i++;
		if (i == p->codes.n)
			continue;
		count_searches(u, p);
		items = codes_mappings(&p->codes);
		space_replace(&u->spaces, &p->space, items, p->codes.n);
	}
}

/* Gives the file's table room in the kernel, at the expense of files that are searched much less. */
static void place_table(struct unwinder *u, struct unwind_file *file,
			const struct unwind_table *table)
{
	bool waited = file->starved;
	struct unwind_file *victim;
	struct process *p;
	size_t cursor = 0;
	int err = unwind_files_place(&u->files, file, table, NULL);

	if (err == -ENOSPC)
		while ((p = hashmap_next(&u->processes, &cursor, NULL)))
			count_searches(u, p);
	while (err == -ENOSPC && (victim = unwind_files_victim(&u->files, file))) {
		unwind_files_evict(&u->files, victim);
		file_moved(u, victim);
		err = unwind_files_place(&u->files, file, table, NULL);
	}
	if (!err && waited)
		file_moved(u, file);
}

static const char *why_without(int err)
{
	switch (err) {
	case 0:
		return NULL;
	case -ENODATA:
		return "no CFI";
	case -ENOEXEC:
		return "not an ELF file";
	case -ENOTSUP:
		return "not for this machine";
	case -EBADMSG:
		return "its CFI is corrupt";
	case -EFBIG:
		return "its CFI is too big";
	case -ENOMEM:
		return "out of memory";
	default:
		return "it cannot be read";
	}
}

/* Reads or makes the table of a file, unless that takes long and there is no time: until_ns, CLOCK_MONOTONIC, 0: there is all the
 * time. Returns 0, -EINPROGRESS, or why there is none. */
static int table_load(struct unwinder *u, const char *build_id, int fd, const char *path,
		      uint64_t until_ns, struct unwind_table **ret)
{
	struct stat st;

	if (!until_ns)
		return unwind_cache_load(u->directory, build_id, fd, path, ret, NULL, NULL);
	if (clock_monotonic_ns() > until_ns)
		return -EINPROGRESS;
	if (!fstat(fd, &st) && st.st_size > QUICK_FILE_BYTES)
		return unwind_cache_find(u->directory, build_id, ret) ? -EINPROGRESS : 0;
	return unwind_cache_load(u->directory, build_id, fd, path, ret, NULL, NULL);
}

/* The file under this key, with its table in the kernel if that can be. Takes the lock. Returns 0, -ENOMEM or -EINPROGRESS. */
static int file_load(struct unwinder *u, const char *key, const char *build_id, int fd,
		     const char *path, uint64_t until_ns, struct unwind_file **ret)
{
	struct unwind_table *table = NULL;
	struct unwind_file *file;
	bool ready;
	int err;

	pthread_mutex_lock(&u->lock);
	file = unwind_files_get(&u->files, key);
	ready = file && !unwind_file_hungry(file);
	pthread_mutex_unlock(&u->lock);
	err = ready ? 0 : table_load(u, build_id, fd, path, until_ns, &table);
	pthread_mutex_lock(&u->lock);
	if (err == -EINPROGRESS) {
		unwind_files_put(&u->files, file);
		file = NULL;
	} else if (!ready) {
		/* Another thread may have been quicker. */
		if (!file)
			file = unwind_files_get(&u->files, key);
		if (!file)
			file = unwind_files_add(&u->files, key, path, why_without(err));
		if (file && table && !file->place.n_pages)
			place_table(u, file, table);
	}
	pthread_mutex_unlock(&u->lock);
	unwind_table_destroy(table);
	*ret = file;
	return file ? 0 : err == -EINPROGRESS ? err : -ENOMEM;
}

/* Something else may be mapped where a file was, even the same file with other content: forgets those that cannot be told to be
 * the same. */
static void codes_check(struct unwinder *u, pid_t pid, const struct maps *maps, struct codes *codes)
{
	for (size_t i = 0; i < codes->n; i++) {
		struct code *code = &codes->items[i];

		if (!code->file || !code->inode ||
		    code_unchanged(pid, maps_find(maps, code->start), code))
			continue;
		pthread_mutex_lock(&u->lock);
		unwind_files_put(&u->files, code->file);
		pthread_mutex_unlock(&u->lock);
		code->file = NULL;
	}
}

/* Fills in the file behind a mapping and where in it the mapping begins. until_ns: as table_load. Returns 0 or -errno. */
static int code_identify(struct unwinder *u, int fd, const struct mapping *m, uint64_t until_ns,
			 struct code *code)
{
	char key[CODE_KEY_SIZE];
	struct elf_image *image;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	code_stamp(code, &st);
	err = elf_image_open(fd, m->path, &image, NULL);
	if (err)
		return err;
	err = elf_image_mapped_address(image, m->file_offset, m->end - m->start, &code->address);
	if (!err) {
		code_key(code, elf_image_build_id(image), key);
		err = file_load(u, key, elf_image_build_id(image), fd, m->path, until_ns,
				&code->file);
	}
	elf_image_close(image);
	return err;
}

/* The files of all mappings where they are not known yet. Trouble with one is that one's. until_ns: as table_load. Returns 0, -ENOMEM or
 * -EINPROGRESS. */
static int codes_open(struct unwinder *u, pid_t pid, const struct maps *maps, uint64_t until_ns,
		      struct codes *codes)
{
	for (size_t i = 0; i < codes->n; i++) {
		struct code *code = &codes->items[i];
		const struct mapping *m = maps_find(maps, code->start);
		int fd, err;

		if (code->generated || code->file)
			continue;
		fd = code_open(pid, m);
		err = fd < 0 ? fd : code_identify(u, fd, m, until_ns, code);
		if (fd >= 0)
			close(fd);
		if (!err)
			continue;
		if (err == -EINPROGRESS)
			return err;
		pthread_mutex_lock(&u->lock);
		code->file = unwind_files_add(&u->files, NULL, m->path, why_without(err));
		pthread_mutex_unlock(&u->lock);
		if (!code->file)
			return -ENOMEM;
	}
	return 0;
}

static bool has_hungry(struct unwinder *u, struct process *p)
{
	if (!u->files.n_starved)
		return false;
	count_searches(u, p);
	for (size_t i = 0; i < p->codes.n; i++)
		if (p->codes.items[i].file && unwind_file_hungry(p->codes.items[i].file))
			return true;
	return false;
}

/* Publishes codes, which then belong to p. maps: what they are made of. */
static int publish(struct unwinder *u, struct process *p, const struct maps *maps,
		   struct codes *codes, uint64_t seen)
{
	uint32_t version;
	_cleanup_free_ struct wire_mapping *items = NULL;
	int err;

	pthread_mutex_lock(&u->lock);
	items = codes_mappings(codes);
	count_searches(u, p);
	err = items ? space_publish(&u->spaces, &p->space, items, codes->n, seen) : -ENOMEM;
	if (!err) {
		codes_done(u, &p->codes);
		p->codes = *codes;
		*codes = (struct codes){0};
	}
	version = p->space.version;
	pthread_mutex_unlock(&u->lock);
	if (!err && u->options.on_published)
		u->options.on_published(u->options.arg, p->instance, maps, version);
	return err;
}

/* One attempt. known: files of mappings as of the last one; on -EAGAIN it becomes this one's. until_ns: as table_load. */
static int update_once(struct unwinder *u, struct process *p, pid_t pid, uint64_t until_ns,
		       struct codes *known, struct diag *d)
{
	uint64_t seen = space_listen(&p->space);
	struct codes codes = {0};
	struct maps maps = {0};
	bool holds, done;
	int err = maps_read(pid, &maps, d);

	/* Its first thread has ended: others may go on with what is known. */
	if (!err && !maps.n)
		err = diag_set(d, ESRCH, "process %d has no memory any more", pid);
	if (!err)
		err = codes_list(&maps, &codes);
	if (err)
		goto out;
	pthread_mutex_lock(&u->lock);
	holds = space_holds(&p->space);
	done = holds && !has_hungry(u, p) && codes_equal(&codes, &p->codes);
	if (done)
		p->idle_ns = clock_monotonic_ns();
	codes_adopt(&codes, known);
	codes_adopt(&codes, &p->codes);
	pthread_mutex_unlock(&u->lock);
	if (done)
		goto out;
	if (!holds)
		codes_check(u, pid, &maps, &codes);
	err = codes_open(u, pid, &maps, until_ns, &codes);
	if (!err)
		err = publish(u, p, &maps, &codes, seen);
out:
	maps_done(&maps);
	pthread_mutex_lock(&u->lock);
	codes_done(u, known);
	*known = codes;
	pthread_mutex_unlock(&u->lock);
	return err;
}

static int process_create(struct unwinder *u, uint32_t instance, struct process **ret)
{
	struct process *p = calloc(1, sizeof(*p));
	int err = p ? space_claim(&u->spaces, instance, &p->space) : -ENOMEM;

	if (!err && hashmap_put(&u->processes, instance, p))
		err = -ENOMEM;
	if (err) {
		if (p)
			process_free(u, p);
		return err;
	}
	p->instance = instance;
	*ret = p;
	return 0;
}

/* The process's record, made on first sight; released by process_put. Returns 0, -ENOSPC without a slot, or -ENOMEM. */
static int process_get(struct unwinder *u, uint32_t instance, struct process **ret)
{
	struct process *p = hashmap_get(&u->processes, instance);
	int err = p ? 0 : process_create(u, instance, &p);

	if (err)
		return err;
	p->n_users++;
	*ret = p;
	return 0;
}

/* One that has never shown anything is not kept: it was gone already. */
static void process_put(struct unwinder *u, struct process *p)
{
	if (--p->n_users || (p->space.run && !p->forgotten))
		return;
	if (!p->forgotten)
		hashmap_take(&u->processes, p->instance);
	process_free(u, p);
}

static int update(struct unwinder *u, pid_t pid, uint32_t instance, uint64_t until_ns,
		  struct diag *d)
{
	struct codes known = {0};
	struct process *p;
	int err;

	pthread_mutex_lock(&u->lock);
	err = process_get(u, instance, &p);
	pthread_mutex_unlock(&u->lock);
	if (err)
		return diag_set(d, -err, "process %d: no room to unwind its stacks", pid);
	err = -EAGAIN;
	for (int i = 0; err == -EAGAIN && i < MAX_ROUNDS; i++)
		err = update_once(u, p, pid, until_ns, &known, d);
	pthread_mutex_lock(&u->lock);
	codes_done(u, &known);
	process_put(u, p);
	pthread_mutex_unlock(&u->lock);
	if (err == -ENOSPC || err == -ENOMEM)
		diag_set(d, -err, "process %d: no room for its mappings", pid);
	/* One that maps without a pause has nothing published: its next walk asks again. */
	return err == -EAGAIN ? 0 : err;
}

int unwinder_update(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d)
{
	return update(u, pid, instance, 0, d);
}

int unwinder_update_quickly(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d)
{
	return update(u, pid, instance, clock_monotonic_ns() + QUICK_NS, d);
}

int unwinder_answer(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d)
{
	const struct process *p;
	bool pause;

	pthread_mutex_lock(&u->lock);
	p = hashmap_get(&u->processes, instance);
	pause = p && space_holds(&p->space) && clock_monotonic_ns() - p->idle_ns < ANSWER_PAUSE_NS;
	pthread_mutex_unlock(&u->lock);
	return pause ? 0 : unwinder_update_quickly(u, pid, instance, d);
}

uint32_t unwinder_version(struct unwinder *u, uint32_t instance)
{
	const struct process *p;
	uint32_t version;

	pthread_mutex_lock(&u->lock);
	p = hashmap_get(&u->processes, instance);
	version = p ? space_version(&p->space) : 0;
	pthread_mutex_unlock(&u->lock);
	return version;
}

uint64_t unwinder_map_bytes(struct unwinder *u)
{
	uint64_t n_bytes;

	pthread_mutex_lock(&u->lock);
	n_bytes = u->files.segments.n_pages * sizeof(struct wire_row_page);
	pthread_mutex_unlock(&u->lock);
	return n_bytes;
}

void unwinder_forget(struct unwinder *u, uint32_t instance)
{
	struct space space;
	struct process *p;

	pthread_mutex_lock(&u->lock);
	p = hashmap_take(&u->processes, instance);
	if (p && p->n_users)
		p->forgotten = true;
	else if (p)
		process_free(u, p);
	else if (!space_claim(&u->spaces, instance,
			      &space)) /* of a fork that was never looked at */
		space_release(&u->spaces, &space);
	pthread_mutex_unlock(&u->lock);
}

void unwinder_each(struct unwinder *u, uint32_t instance,
		   void (*visit)(void *arg, const struct unwinder_file *file), void *arg)
{
	const struct process *p;

	pthread_mutex_lock(&u->lock);
	p = hashmap_get(&u->processes, instance);
	for (size_t i = 0; p && i < p->codes.n; i++) {
		const struct unwind_file *file = p->codes.items[i].file;
		size_t first = 0;

		if (!file)
			continue;
		while (p->codes.items[first].file != file)
			first++;
		if (first == i)
			visit(arg, &(struct unwinder_file){.path = file->path,
							   .n_rows = file->n_rows,
							   .n_bytes = file->place.n_pages *
								      sizeof(struct wire_row_page),
							   .without = file->without});
	}
	pthread_mutex_unlock(&u->lock);
}
