/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_PERFMAP_H
#define SEEP_SYMBOL_PERFMAP_H
/* Names of code that a process generated itself, as it writes them to /tmp/perf-PID.map for
 * perf(1): a line of "START SIZE name" each, hexadecimal
 * (linux/tools/perf/Documentation/jit-interface.txt). The process appends as it compiles; a later
 * line wins over an earlier one. Untrusted: bounded in bytes, lines and name length. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct perfmap_entry;

/* Zero-initialized but for fd = -1 (PERFMAP_INIT). One per process; not thread-safe. */
struct perfmap {
	int fd;		     /* kept, so that the file of a process that ended can still be read */
	uint64_t read_bytes; /* of the file so far, whole lines only */
	struct perfmap_entry *items;
	size_t n, cap, n_sorted;
	char *names; /* NUL-terminated, one behind the other */
	size_t names_bytes, names_cap;
};

#define PERFMAP_INIT ((struct perfmap){.fd = -1})

/* Reads what the process has written since the last call. The file is that of the process's own
 * root, named by its innermost pid; it must belong to the process's user or to root. start_ticks:
 * of the process that is meant, so that another one with the same pid is not taken for it. Returns
 * 0; -ENOENT without a file; -ESRCH; -EPERM (owner), or another -errno; names read before stay. */
int perfmap_update(struct perfmap *map, pid_t pid, uint64_t start_ticks);

/* Adds the complete lines of text; those that do not parse are skipped. Returns the bytes used up,
 * or -ENOMEM. */
ssize_t perfmap_add(struct perfmap *map, const char *text, size_t n_bytes);

/* The name of the latest entry that holds address, or NULL. Valid until the map changes. */
const char *perfmap_find(struct perfmap *map, uint64_t address);

void perfmap_done(struct perfmap *map);

#endif
