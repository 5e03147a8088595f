/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_COVER_FILE_H
#define SEEP_ATTACH_COVER_FILE_H
/* The files that covered processes map, whoever maps them: planned once, and with COVER_FILES probed once. Private to cover.c, under
 * its lock. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/probed.h"
#include "base/diag.h"
#include "base/hashmap.h"

struct closer;
struct kernel;
struct mapping;
struct plan;

/* One file, as long as nobody changes it. */
struct cover_file {
	uint64_t key;	    /* of the table */
	uint64_t inode_key; /* the same for all contents that it has had */
	char *path;
	struct plan *plan; /* NULL: it cannot be planned, see note */
	char *note;
	int fd; /* with probes to place: to place them again by; else, and while nobody maps it, -1 */
	bool changed;	  /* in place: the plan is no longer true */
	unsigned n_refs;  /* processes that have it among their files or notes */
	uint64_t seen_ns; /* CLOCK_MONOTONIC, when somebody last mapped or left it */
	/* COVER_FILES: */
	struct probed probed;
	unsigned n_users; /* processes that map it */
	bool kept;	  /* it has users, or had some lately: its probes come and go */
};

struct cover_files {
	struct hashmap table;	     /* device, inode and time of change -> struct cover_file */
	const char *object, *prefix; /* cover_options', borrowed */
};

/* Which file a mapping shows, whatever its content; struct cover_file.inode_key. */
uint64_t cover_file_inode_key(const struct mapping *m);

/* Removes all probes, in the background. */
void cover_files_close(struct cover_files *files, struct closer *closer);
void cover_files_done(struct cover_files *files);

/* The file behind a mapping, planned on first sight. NULL without memory or descriptors. ret_fd: open, or -errno. */
struct cover_file *cover_files_get(struct cover_files *files, pid_t pid, const struct mapping *m,
				   int *ret_fd, struct diag *d);

/* COVER_FILES: makes these parts (enum place_parts) stand, if anybody maps the file, or did lately. Returns 0 or -errno with a diag. */
int cover_file_settle(struct cover_file *f, unsigned parts, const struct kernel *k,
		      struct closer *closer, struct diag *d);

/* Of files that nobody has mapped for some seconds (a program that execs is soon back at its libc), removes the probes and closes
 * the descriptors, which would hold a container's file system; forgets those that nobody has mapped for long. */
void cover_files_trim(struct cover_files *files, struct closer *closer, uint64_t now_ns);

#endif
