// SPDX-License-Identifier: BSD-2-Clause
#include "attach/unwind_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "unwind/table.h"

#define WITHOUT_ROOM "--unwind-memory is used up"
/* A file must be searched this much more than the one whose room it gets: changing places costs a table each time. */
#define VICTIM_FACTOR 2
#define VICTIM_MARGIN 100

int unwind_files_init(struct unwind_files *files, struct wire_rule *shared_rules, int segments_fd,
		      size_t max_bytes)
{
	*files = (struct unwind_files){0};
	segments_init(&files->segments, segments_fd, max_bytes);
	return rules_init(&files->rules, shared_rules);
}

static void file_free(struct unwind_file *file)
{
	if (!file)
		return;
	free(file->key);
	free(file->path);
	free(file);
}

void unwind_files_done(struct unwind_files *files)
{
	struct unwind_file *file, *next;
	size_t cursor = 0;

	while ((file = hashmap_next(&files->by_hash, &cursor, NULL)))
		for (; file; file = next) {
			next = file->next;
			file_free(file);
		}
	hashmap_done(&files->by_hash);
	segments_done(&files->segments);
	rules_done(&files->rules);
}

static uint64_t hash_of(const char *key)
{
	return hash_bytes(0, key, strlen(key));
}

struct unwind_file *unwind_files_get(struct unwind_files *files, const char *key)
{
	struct unwind_file *file = hashmap_get(&files->by_hash, hash_of(key));

	while (file && strcmp(file->key, key))
		file = file->next;
	if (file)
		file->refs++;
	return file;
}

struct unwind_file *unwind_files_add(struct unwind_files *files, const char *key, const char *path,
				     const char *without)
{
	struct unwind_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->refs = 1;
	file->without = without;
	file->path = strdup(path);
	file->key = key ? strdup(key) : NULL;
	if (!file->path || (key && !file->key)) {
		file_free(file);
		return NULL;
	}
	if (!key)
		return file;
	file->next = hashmap_get(&files->by_hash, hash_of(key));
	if (hashmap_put(&files->by_hash, hash_of(key), file)) {
		file_free(file);
		return NULL;
	}
	return file;
}

static void unlink_file(struct unwind_files *files, struct unwind_file *file)
{
	uint64_t hash = hash_of(file->key);
	struct unwind_file *head = hashmap_get(&files->by_hash, hash), **at = &head;

	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	/* The key is there, so that putting needs no memory. */
	if (head)
		hashmap_put(&files->by_hash, hash, head);
	else
		hashmap_take(&files->by_hash, hash);
}

static void forget_file(struct unwind_files *files, struct unwind_file *file)
{
	if (file->starved)
		files->n_starved--;
	if (file->key)
		unlink_file(files, file);
	file_free(file);
}

void unwind_files_put(struct unwind_files *files, struct unwind_file *file)
{
	if (!file || --file->refs)
		return;
	if (file->place.n_pages)
		file->idle_since = ++files->idle_clock;
	else
		forget_file(files, file);
}

static struct unwind_file *oldest_idle(const struct unwind_files *files)
{
	struct unwind_file *file, *oldest = NULL;
	size_t cursor = 0;

	while ((file = hashmap_next(&files->by_hash, &cursor, NULL)))
		for (; file; file = file->next)
			if (!file->refs && (!oldest || file->idle_since < oldest->idle_since))
				oldest = file;
	return oldest;
}

/* Frees room of the files that nobody has mapped for the longest time; more than one table's, because the kernel has to be waited for
 * before it is used again. Returns whether there was one. */
static bool evict_idle(struct unwind_files *files)
{
	struct unwind_file *oldest;
	size_t n_pages = 0;

	while (n_pages <= files->segments.max_pages / 8 && (oldest = oldest_idle(files))) {
		n_pages += oldest->place.n_pages;
		unwind_files_evict(files, oldest);
		forget_file(files, oldest);
	}
	return n_pages;
}

static void write_rows(struct wire_row_page *pages, size_t n_pages,
		       const struct unwind_table *table, const uint32_t *ids)
{
	size_t n = n_pages * WIRE_PAGE_ROWS;

	for (size_t i = 0; i < n; i++) {
		const struct wire_row *row =
			&table->rows[i < table->n_rows ? i : table->n_rows - 1];

		pages[i / WIRE_PAGE_ROWS].rows[i % WIRE_PAGE_ROWS] =
			(struct wire_row){.pc = row->pc, .rule = ids[row->rule]};
	}
}

static int place(struct unwind_files *files, struct unwind_file *file,
		 const struct unwind_table *table, struct diag *d)
{
	uint32_t n_pages = unwind_table_bytes(table) / sizeof(struct wire_row_page);
	_cleanup_free_ uint32_t *ids = calloc(table->n_rules, sizeof(*ids));
	struct rows_place at;
	int err;

	if (!ids)
		return diag_set(d, ENOMEM, "out of memory");
	do
		err = segments_take(&files->segments, n_pages, &at, d);
	while (err == -ENOSPC && evict_idle(files));
	if (err)
		return err;
	if (files->unsettled) {
		err = segments_settle(&files->segments);
		if (err) {
			segments_give(&files->segments, &at);
			return diag_set(d, -err, "unwind tables: %s", strerror(-err));
		}
		files->unsettled = false;
	}
	rules_intern(&files->rules, table->rules, table->n_rules, ids);
	write_rows(segments_pages(&files->segments, &at), n_pages, table, ids);
	file->place = at;
	file->base = table->base;
	file->n_rows = table->n_rows;
	return 0;
}

int unwind_files_place(struct unwind_files *files, struct unwind_file *file,
		       const struct unwind_table *table, struct diag *d)
{
	int err = place(files, file, table, d);

	if (file->starved)
		files->n_starved--;
	file->starved = err == -ENOSPC;
	if (file->starved)
		files->n_starved++;
	file->n_tried = file->n_searches;
	file->without = !err		 ? NULL
			: err == -ENOSPC ? WITHOUT_ROOM
					 : "the kernel has no memory for its table";
	return err;
}

/* Whether a is searched much more than b. */
static bool much_more(uint64_t a, uint64_t b)
{
	return a > VICTIM_FACTOR * b + VICTIM_MARGIN;
}

struct unwind_file *unwind_files_victim(struct unwind_files *files, const struct unwind_file *file)
{
	struct unwind_file *other, *least = NULL;
	size_t cursor = 0;

	while ((other = hashmap_next(&files->by_hash, &cursor, NULL)))
		for (; other; other = other->next)
			if (other->place.n_pages &&
			    much_more(file->n_searches, other->n_searches) &&
			    (!least || other->n_searches < least->n_searches))
				least = other;
	return least;
}

bool unwind_file_hungry(const struct unwind_file *file)
{
	return file->starved && much_more(file->n_searches, file->n_tried);
}

void unwind_files_evict(struct unwind_files *files, struct unwind_file *file)
{
	segments_give(&files->segments, &file->place);
	file->place.n_pages = 0;
	file->n_rows = 0;
	file->without = WITHOUT_ROOM;
	file->starved = true;
	file->n_tried = file->n_searches;
	files->n_starved++;
	files->unsettled = true;
}
