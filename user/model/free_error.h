/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_FREE_ERROR_H
#define SEEP_MODEL_FREE_ERROR_H
/* Errors at free: what a program gave back that it did not hold. */
#include <stddef.h>
#include <stdint.h>

struct frame;

/* The same values as bpf/wire.h's enum wire_error_type. */
enum free_error_type {
	FREE_ERROR_DOUBLE = 1,	 /* it was freed before, and not allocated since */
	FREE_ERROR_INTERIOR = 2, /* it is within a block, not where that begins */
	FREE_ERROR_INVALID = 3,	 /* no allocator has returned it, or it was freed long ago */
	FREE_ERROR_MISMATCH = 4, /* allocated by new and freed by free, or the like */
	FREE_ERROR_TYPES,
};

/* "double-free", "interior-free", "invalid-free", "mismatched-free": of records, a contract. */
const char *free_error_name(enum free_error_type type);

/* Which functions of an allocator belong together, as bits: one function may have several names. The same values as bpf/wire.h's enum
 * wire_family. */
enum free_error_families {
	FREE_FAMILY_MALLOC = 1,
	FREE_FAMILY_NEW = 2,
	FREE_FAMILY_NEW_ARRAY = 4,
	FREE_FAMILY_ANY = 7,
};

/* "malloc", "new", "new[]"; of several the first; NULL for none. */
const char *free_error_family(unsigned families);

struct error_stack {
	const struct frame *frames; /* leaf first */
	size_t n;		    /* 0: not known */
	const char *truncated;	    /* why it ends early or is not there, or NULL */
};

/* Alike ones are one: the same in type and stacks; address and times are the first one's. Strings and frames as in
 * model/report.h. */
struct free_error {
	uint32_t process; /* index into report.processes */
	enum free_error_type type;
	uint64_t count;
	uint64_t address;
	uint64_t block_address,
		size_bytes;	     /* of the block concerned; size 0: none, or not recorded */
	double age_seconds;	     /* since then */
	uint32_t tid;		     /* who frees */
	uint32_t freed_tid;	     /* DOUBLE: who had freed it */
	double freed_seconds_before; /* DOUBLE: and how long before; else NAN */
	const char *allocated_with, *freed_with; /* MISMATCH: "malloc", "new", "new[]", else NULL */
	struct error_stack stack, allocation, freed; /* freed: DOUBLE's first one */
};

#endif
