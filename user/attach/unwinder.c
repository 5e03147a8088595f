// SPDX-License-Identifier: BSD-2-Clause
/* A publication must not be older than what it shows. /proc/PID/maps takes a while to read, and a new file's table a while to make,
 * and meanwhile the process may have put another library in the place of the first. So the kernel counts, per instance, whatever
 * is about to be mapped, and a publication made of a read from before such a change fails. Then the mappings are read again,
 * and as all files are known by now, quickly. Where /proc showed nothing new, nothing is published. */
#include "attach/unwinder.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/kernel.h"
#include "attach/unwind_files.h"
#include "attach/unwind_spaces.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "elf/image.h"
#include "process/maps.h"
#include "process/vdso.h"
#include "unwind/cache.h"

#define MAX_ROUNDS 32			     /* reads of a process that maps all the time */
#define MAX_MAPPINGS (WIRE_MAPPINGS / 8)     /* of one process; the rest stays unknown */
#define ANSWER_PAUSE_NS (NS_PER_SECOND / 10) /* after an answer that was nothing new */
#define MAX_ADDRESS (1ULL << 47)	     /* above is the kernel's: [vsyscall] */

/* A file and its content, all of it 0: none. */
struct stamp {
	uint64_t device, inode, changed_ns, n_bytes;
};

/* One executable mapping. */
struct code {
	uint64_t start, end, file_offset, inode;
	unsigned dev_major, dev_minor;
	bool generated; /* anonymous memory: no file, no table */
	struct stamp stamp;
	uint64_t address;	  /* virtual, in the file's own terms, of start */
	struct unwind_file *file; /* NULL: generated, or not looked at yet. A reference is held */
};

struct codes {
	struct code *items;
	size_t n, cap;
};

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

static bool is_code(const struct mapping *m)
{
	return m->executable && m->end <= MAX_ADDRESS && strcmp(m->path, "[uprobes]");
}

static bool same_code(const struct code *a, const struct code *b)
{
	return a->start == b->start && a->end == b->end && a->file_offset == b->file_offset &&
	       a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->generated == b->generated;
}

static bool same_codes(const struct codes *a, const struct codes *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_code(&a->items[i], &b->items[i]))
			return false;
	return true;
}

/* The executable mappings, without their files; generated code in one piece where it is. Returns 0 or -ENOMEM. */
static int codes_list(const struct maps *maps, struct codes *ret)
{
	for (size_t i = 0; i < maps->n && ret->n < MAX_MAPPINGS; i++) {
		const struct mapping *m = &maps->items[i];
		struct code *last = ret->n ? &ret->items[ret->n - 1] : NULL;
		bool generated = !m->inode && strcmp(m->path, "[vdso]");

		if (!is_code(m))
			continue;
		if (generated && last && last->generated && last->end == m->start)
			last->end = m->end;
		else if (vec_push(ret, (struct code){.start = m->start,
						     .end = m->end,
						     .file_offset = generated ? 0 : m->file_offset,
						     .inode = m->inode,
						     .dev_major = m->dev_major,
						     .dev_minor = m->dev_minor,
						     .generated = generated}))
			return -ENOMEM;
	}
	return 0;
}

/* Takes over what is known of the same mappings, but for files that are to be tried again. Caller holds the lock. */
static void codes_adopt(struct codes *codes, const struct codes *known)
{
	size_t k = 0;

	for (size_t i = 0; i < codes->n; i++) {
		struct code *code = &codes->items[i];

		while (k < known->n && known->items[k].start < code->start)
			k++;
		if (k == known->n || code->file || !same_code(code, &known->items[k]) ||
		    !known->items[k].file || unwind_file_hungry(known->items[k].file))
			continue;
		*code = known->items[k];
		code->file->refs++;
	}
}

/* Adds up how often the process's code was searched. Caller holds the lock, as for all from here on that work on the tables. */
static void count_searches(struct unwinder *u, struct process *p)
{
	for (size_t i = 0; i < p->codes.n; i++)
		if (p->codes.items[i].file)
			p->codes.items[i].file->n_searches +=
				space_take_searches(&u->spaces, &p->space, i);
}

static struct wire_mapping mapping_of(const struct code *code)
{
	const struct unwind_file *file = code->file;

	if (!file || !file->place.n_pages)
		return (struct wire_mapping){
			.start = code->start, .end = code->end, .kind = WIRE_MAPPING_GUESS};
	return (struct wire_mapping){.start = code->start,
				     .end = code->end,
				     .bias = code->start - code->address + file->base,
				     .kind = WIRE_MAPPING_CFI,
				     .segment = file->place.segment,
				     .first_page = file->place.first_page,
				     .n_pages = file->place.n_pages};
}

/* What the kernel is to see, for the caller to free. */
static struct wire_mapping *mappings_of(const struct codes *codes)
{
	struct wire_mapping *items = calloc(codes->n + 1, sizeof(*items));

	for (size_t i = 0; items && i < codes->n; i++)
		items[i] = mapping_of(&codes->items[i]);
	return items;
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
		items = mappings_of(&p->codes);
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

/* The file under this key, with its table in the kernel if that can be. Takes the lock. NULL without memory. */
static struct unwind_file *file_load(struct unwinder *u, const char *key, const char *build_id,
				     int fd, const char *path)
{
	struct unwind_table *table = NULL;
	struct unwind_file *file;
	bool ready;
	int err;

	pthread_mutex_lock(&u->lock);
	file = unwind_files_get(&u->files, key);
	ready = file && !unwind_file_hungry(file);
	pthread_mutex_unlock(&u->lock);
	if (ready)
		return file;
	err = unwind_cache_load(u->directory, build_id, fd, path, &table, NULL, NULL);
	pthread_mutex_lock(&u->lock);
	/* Another thread may have been quicker. */
	if (!file)
		file = unwind_files_get(&u->files, key);
	if (!file)
		file = unwind_files_add(&u->files, key, path, why_without(err));
	if (file && table && !file->place.n_pages)
		place_table(u, file, table);
	pthread_mutex_unlock(&u->lock);
	unwind_table_destroy(table);
	return file;
}

static struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){
		.device = st->st_dev,
		.inode = st->st_ino,
		.changed_ns = st->st_ctim.tv_sec * NS_PER_SECOND + st->st_ctim.tv_nsec,
		.n_bytes = st->st_size,
	};
}

/* Whether the path still leads to the file that was opened for the mapping, with the same content. */
static bool code_unchanged(pid_t pid, const struct mapping *m, const struct code *code)
{
	_cleanup_free_ char *path = NULL;
	struct stamp now;
	struct stat st;

	if (asprintf(&path, "/proc/%d/root%s", pid, m->path) < 0) {
		path = NULL;
		return false;
	}
	if (lstat(path, &st))
		return false;
	now = stamp_of(&st);
	return !memcmp(&now, &code->stamp, sizeof(now));
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

static int code_open(pid_t pid, const struct mapping *m)
{
	return m->inode ? maps_open_file(pid, m, NULL) : vdso_open();
}

/* What files have in common that share a table: the build-id, else all there is to tell them apart. */
static void file_key(const struct code *code, const char *build_id, char *key, size_t n_bytes)
{
	const struct stamp *s = &code->stamp;

	if (build_id[0])
		snprintf(key, n_bytes, "%s", build_id);
	else
		snprintf(key, n_bytes, "%" PRIx64 ":%" PRIx64 ":%" PRIx64 ":%" PRIx64, s->device,
			 s->inode, s->changed_ns, s->n_bytes);
}

/* Fills in the file behind a mapping and where in it the mapping begins. Returns 0 or -errno. */
static int code_identify(struct unwinder *u, int fd, const struct mapping *m, struct code *code)
{
	char key[ELF_BUILD_ID_MAX * 2 + 1];
	struct elf_image *image;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	code->stamp = stamp_of(&st);
	err = elf_image_open(fd, m->path, &image, NULL);
	if (err)
		return err;
	err = elf_image_mapped_address(image, m->file_offset, m->end - m->start, &code->address);
	if (!err) {
		file_key(code, elf_image_build_id(image), key, sizeof(key));
		code->file = file_load(u, key, elf_image_build_id(image), fd, m->path);
		err = code->file ? 0 : -ENOMEM;
	}
	elf_image_close(image);
	return err;
}

/* The files of all mappings where they are not known yet. Trouble with one is that one's. Returns 0 or -ENOMEM. */
static int codes_open(struct unwinder *u, pid_t pid, const struct maps *maps, struct codes *codes)
{
	for (size_t i = 0; i < codes->n; i++) {
		struct code *code = &codes->items[i];
		const struct mapping *m = maps_find(maps, code->start);
		int fd, err;

		if (code->generated || code->file)
			continue;
		fd = code_open(pid, m);
		err = fd < 0 ? fd : code_identify(u, fd, m, code);
		if (fd >= 0)
			close(fd);
		if (!err)
			continue;
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

/* Publishes codes, which then belong to p. */
static int publish(struct unwinder *u, struct process *p, struct codes *codes, uint64_t seen)
{
	_cleanup_free_ struct wire_mapping *items = NULL;
	int err;

	pthread_mutex_lock(&u->lock);
	items = mappings_of(codes);
	count_searches(u, p);
	err = items ? space_publish(&u->spaces, &p->space, items, codes->n, seen) : -ENOMEM;
	if (!err) {
		codes_done(u, &p->codes);
		p->codes = *codes;
		*codes = (struct codes){0};
	}
	pthread_mutex_unlock(&u->lock);
	return err;
}

/* One attempt. known: files of mappings as of the last one; on -EAGAIN it becomes this one's. */
static int update_once(struct unwinder *u, struct process *p, pid_t pid, struct codes *known,
		       struct diag *d)
{
	uint64_t seen = space_listen(&p->space);
	struct codes codes = {0};
	struct maps maps = {0};
	bool holds, done;
	int err = maps_read(pid, &maps, d);

	if (!err)
		err = codes_list(&maps, &codes);
	if (err)
		goto out;
	pthread_mutex_lock(&u->lock);
	holds = space_holds(&p->space);
	done = holds && !has_hungry(u, p) && same_codes(&codes, &p->codes);
	if (done)
		p->idle_ns = clock_monotonic_ns();
	codes_adopt(&codes, known);
	codes_adopt(&codes, &p->codes);
	pthread_mutex_unlock(&u->lock);
	if (done)
		goto out;
	if (!holds)
		codes_check(u, pid, &maps, &codes);
	err = codes_open(u, pid, &maps, &codes);
	if (!err)
		err = publish(u, p, &codes, seen);
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

int unwinder_update(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d)
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
		err = update_once(u, p, pid, &known, d);
	pthread_mutex_lock(&u->lock);
	codes_done(u, &known);
	process_put(u, p);
	pthread_mutex_unlock(&u->lock);
	if (err == -ENOSPC || err == -ENOMEM)
		diag_set(d, -err, "process %d: no room for its mappings", pid);
	/* One that maps without a pause has nothing published: its next walk asks again. */
	return err == -EAGAIN ? 0 : err;
}

int unwinder_answer(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d)
{
	const struct process *p;
	bool pause;

	pthread_mutex_lock(&u->lock);
	p = hashmap_get(&u->processes, instance);
	pause = p && space_holds(&p->space) && clock_monotonic_ns() - p->idle_ns < ANSWER_PAUSE_NS;
	pthread_mutex_unlock(&u->lock);
	return pause ? 0 : unwinder_update(u, pid, instance, d);
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
