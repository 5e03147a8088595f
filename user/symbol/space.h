/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_SPACE_H
#define SEEP_SYMBOL_SPACE_H
/* What space.c and symbolize.c share; other rooms see symbolize.h. */
#include <pthread.h>
#include <stdbool.h>

#include "base/strings.h"
#include "symbol/files.h"
#include "symbol/module.h"
#include "symbol/perfmap.h"
#include "symbol/symbolize.h"

struct symbolizer {
	/* Held for a moment each time, never while symbols or DWARF are read: it guards `pool`, `files` and all address spaces. The
	 * rest is the symbolizing thread's. */
	pthread_mutex_t lock;
	struct strings pool; /* paths, and names of generated code */
	struct files files;
	struct file *vdso;    /* ours, which is every 64-bit process's; NULL until one is mapped */
	struct strings names; /* what modules are made of */
	struct modules modules;
	char *debug_path;
};

/* One executable mapping. */
struct place {
	uint64_t start, end; /* [start, end) */
	uint64_t file_offset, inode;
	unsigned dev_major, dev_minor;
	const char *path;  /* as in the mapping, which is "" when anonymous */
	const char *name;  /* to show: path made printable, "[jit]" when anonymous */
	struct file *file; /* a reference; NULL when there is none or it could not be opened */
	bool translated;   /* bias is known */
	uint64_t bias;	   /* virtual address in the file's own terms less file offset */
};

/* What was mapped before another file came in its place. */
struct past_place {
	struct place place;
	uint32_t until; /* the version that it did not see any more */
};

struct address_space {
	struct symbolizer *symbolizer;
	pid_t pid;
	size_t refs;
	uint64_t start_ticks;
	struct perfmap generated;
	uint64_t generated_read_ns; /* CLOCK_MONOTONIC of the last look for more, 0 never */
	struct place *items;	    /* sorted, without overlap */
	size_t n, cap;
	struct {
		struct past_place *items; /* oldest first */
		size_t n, cap;
	} past;
	uint32_t version; /* as of now */
	uint32_t viewed;  /* the version that lookups are for */
};

/* The place that holds address in the viewed version, or NULL. The caller holds the lock, as for the next. */
struct place *space_find(const struct address_space *space, uint64_t address);

/* The name that the process itself published for generated code at address, or NULL; valid until
 * the next call. Looks for newly published names at most ten times a second. */
const char *space_generated_name(struct address_space *space, uint64_t address);

#endif
