/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_UNWIND_FILES_H
#define SEEP_ATTACH_UNWIND_FILES_H
/* The files whose code runs in traced processes, each once per build-id, and where their rows are in the kernel. One that
 * nobody maps any more keeps its rows until the room is needed. Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/unwind_rules.h"
#include "attach/unwind_segments.h"
#include "base/diag.h"
#include "base/hashmap.h"

struct unwind_table;

struct unwind_file {
	struct unwind_file *next; /* same hash */
	char *key;		  /* what makes it the same file, NULL: it is nobody else's */
	char *path;		  /* as in the first mapping that was seen */
	uint64_t base;		  /* the table's */
	size_t n_rows;
	struct rows_place place; /* n_pages 0: not in the kernel */
	const char *without;	 /* why not */
	bool starved;		 /* it has rows, but --unwind-memory has no room */
	size_t refs;		 /* mappings of live instances */
	uint64_t idle_since;	 /* order in which files lost their last reference */
	uint64_t n_searches;	 /* in all its mappings so far */
	uint64_t n_tried;	 /* n_searches when room for it was last looked for */
};

struct unwind_files {
	struct rules rules;
	struct segments segments;
	struct hashmap by_hash; /* of the key */
	uint64_t idle_clock;
	size_t n_starved;
	bool unsettled; /* pages were given back that a walk may still read */
};

/* shared_rules and segments_fd are borrowed. Returns 0 or -ENOMEM. */
int unwind_files_init(struct unwind_files *files, struct wire_rule *shared_rules, int segments_fd,
		      size_t max_bytes);
void unwind_files_done(struct unwind_files *files);

/* The file of this key with a reference, or NULL. */
struct unwind_file *unwind_files_get(struct unwind_files *files, const char *key);
/* A new file with a reference, without rows. key: NULL for one that is not shared. NULL without memory. */
struct unwind_file *unwind_files_add(struct unwind_files *files, const char *key, const char *path,
				     const char *without);
/* Drops a reference. Accepts NULL. */
void unwind_files_put(struct unwind_files *files, struct unwind_file *file);

/* Copies the table's rows to the kernel. Returns 0; -ENOSPC: --unwind-memory is used up, by files that are mapped; another -errno
 * with a diag. On failure `without` says so. */
int unwind_files_place(struct unwind_files *files, struct unwind_file *file,
		       const struct unwind_table *table, struct diag *d);
/* The mapped file that is searched least, and much less than file, or NULL: it may be taken the room. */
struct unwind_file *unwind_files_victim(struct unwind_files *files, const struct unwind_file *file);
/* Whether it is time to look for room again. */
bool unwind_file_hungry(const struct unwind_file *file);
/* Takes the rows out of the kernel. No published mapping refers to them any more. */
void unwind_files_evict(struct unwind_files *files, struct unwind_file *file);

#endif
