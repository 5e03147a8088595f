/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_GLIBC_HEAP_H
#define SEEP_REACH_GLIBC_HEAP_H
/* The heap of a live process that uses glibc's malloc, chunk by chunk, read from outside: also what it allocated before anybody traced
 * it. Nothing in the process is changed or stopped. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

struct maps;

enum heap_chunk_state {
	HEAP_USED,    /* the program has it */
	HEAP_MAPPED,  /* the same, in a mapping of its own */
	HEAP_TCACHED, /* freed; a thread keeps it for its next allocation of that size */
	HEAP_FAST,    /* freed; its arena does */
	HEAP_FREE,
	HEAP_TOP, /* at the end of its arena, never or no longer used */
	HEAP_STATES,
};

/* address: what malloc returned. */
struct heap_chunk {
	uint64_t address;
	uint64_t size_bytes : 56; /* with malloc's header */
	uint64_t state : 8;	  /* enum heap_chunk_state */
};

struct glibc_heap {
	struct heap_chunk *chunks; /* by address */
	size_t n_chunks;
	struct {
		uint64_t *items;
		size_t n, cap;
	} states; /* addresses of the arenas' own structures, where they are known */
	unsigned n_arenas, n_tcaches;
	struct {
		uint64_t n, bytes;
	} by_state[HEAP_STATES];
	uint64_t own_bytes; /* malloc's own structures within the arenas, threads' caches included */
	uint64_t unparsed_bytes; /* of arenas: not as malloc leaves them, or changing too fast */
};

#define HEAP_STATE_BYTES 2200 /* of an arena's own structure */

/* What the program can use of a chunk. */
uint64_t heap_chunk_usable(const struct heap_chunk *c);

/* Reads the heap of process pid, whose mappings are maps. It goes on meanwhile, so that what it allocates and frees in these
 * milliseconds may be seen as before or after; what does not parse twice is counted as unparsed. Mapped chunks behind something else in
 * one mapping are not found. Returns 0, with no arenas for a process without a glibc heap; or -errno with a diag: -EPERM, -ESRCH,
 * -ENOMEM, -E2BIG (it takes 16 bytes a chunk, and at most half a gigabyte). ret: free with glibc_heap_done. */
int glibc_heap_read(pid_t pid, const struct maps *maps, struct glibc_heap *ret, struct diag *d);
void glibc_heap_done(struct glibc_heap *heap);

#endif
