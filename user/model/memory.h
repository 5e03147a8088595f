/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_MEMORY_H
#define SEEP_MODEL_MEMORY_H
/* What the resident memory of one process is made of, in bytes. By construction
 *
 *	resident = outstanding + rounding + before + cached + free + own - untouched
 *		   + stack + anonymous + file + shared
 *
 * The upper line is malloc's heap, chunk by chunk (glibc's; of others it is all 0); the lower one the kernel's figures. */
#include <stddef.h>
#include <stdint.h>

struct memory_account {
	uint64_t resident_bytes;
	uint64_t outstanding_bytes, outstanding_allocations; /* recorded, and found in the heap */
	uint64_t rounding_bytes;			     /* headers and padding of these */
	uint64_t before_bytes,
		before_allocations; /* in use, but not recorded: allocated before the trace, or left out by sampling */
	uint64_t cached_bytes; /* freed; threads and arenas keep them for their next allocations */
	uint64_t free_bytes;   /* free for any allocation, up to the heap's end */
	uint64_t own_bytes;    /* malloc's own structures, and what could not be read */
	uint64_t untouched_bytes; /* of the heap: never written, given back or swapped out */
	uint64_t stack_bytes;	  /* of the first thread */
	uint64_t anonymous_bytes; /* else: mappings, other threads' stacks, written data of files, other allocators */
	uint64_t elsewhere_bytes; /* recorded, but not in the heap: part of anonymous or untouched */
	uint64_t file_bytes, shared_bytes;
	/* Parts of anonymous_bytes: stacks of threads but the first, mappings that can be executed (code made at run time). */
	uint64_t thread_stack_bytes, executable_bytes;
	uint64_t n_threads; /* 0: not known */
};

/* Its members by name, as records have them. */
struct memory_field {
	const char *name;
	size_t offset;
};
extern const struct memory_field memory_fields[];
extern const size_t n_memory_fields;

#endif
