/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_MAPS_H
#define SEEP_PROCESS_MAPS_H
/* /proc/PID/maps as structures, and the files behind it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

struct mapping {
	uint64_t start, end;  /* addresses, [start, end) */
	uint64_t file_offset; /* bytes into the file that start shows */
	uint64_t inode;	      /* 0: anonymous */
	unsigned dev_major, dev_minor;
	bool readable, writable, executable, shared, deleted;
	char *path; /* unescaped, without " (deleted)"; "" when anonymous; "[heap]", "[stack]", "[vdso]" as they are */
};

/* Sorted by start, without overlap. */
struct maps {
	struct mapping *items;
	size_t n, cap;
};

/* Parses the text of a maps file. Hostile input: lines that do not parse are an error, -EINVAL with the line number
 * in the diag. ret is untouched on error. Free with maps_done. */
int maps_parse(const char *text, size_t n_bytes, struct maps *ret, struct diag *d);
/* Reads /proc/PID/maps, of another thread when the first one has ended; empty: it has no memory. Returns 0, -ESRCH, -EACCES, or maps_parse's errors. */
int maps_read(pid_t pid, struct maps *ret, struct diag *d);
/* The mapping that holds address, or NULL. */
const struct mapping *maps_find(const struct maps *maps, uint64_t address);
/* Frees what maps holds; accepts an empty one. */
void maps_done(struct maps *maps);

/* Opens the file behind one mapping of a live process, O_RDONLY | O_CLOEXEC: through /proc/PID/map_files (exact, also
 * deleted), else /proc/PID/root + path with the inode compared, so that never another file is returned.
 * Returns a file descriptor, or -errno with a diag. */
int maps_open_file(pid_t pid, const struct mapping *m, struct diag *d);

#endif
