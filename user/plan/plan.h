/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PLAN_PLAN_H
#define SEEP_PLAN_PLAN_H
/* Which allocation functions a file defines, and at which instruction of each a probe is cheapest and still right. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

struct elf_image;

/* What a function does with its arguments. The BPF side has the same list (bpf/wire.h's enum wire_function, checked
 * equal by attach/). Append only. */
enum plan_function {
	PLAN_MALLOC = 1,	 /* (size) -> pointer; also operator new, valloc, pvalloc */
	PLAN_CALLOC = 2,	 /* (n, size) -> pointer */
	PLAN_REALLOC = 3,	 /* (old, size) -> pointer */
	PLAN_REALLOCARRAY = 4,	 /* (old, n, size) -> pointer */
	PLAN_MEMALIGN = 5,	 /* (alignment, size) -> pointer; also aligned_alloc */
	PLAN_POSIX_MEMALIGN = 6, /* (pointer *, alignment, size) -> error code */
	PLAN_FREE = 7,		 /* (pointer, ...): also cfree, free_sized, operator delete */
	PLAN_MEMALIGN_SWAPPED =
		8, /* (size, alignment) -> pointer: operator new with align_val_t, mi_malloc_aligned */
};

/* How the kernel executes the probed instruction. */
enum plan_cost {
	PLAN_EMULATED = 1, /* one trap */
	PLAN_STEPPED = 2,  /* two traps and an out-of-line slot */
};

/* How the call's end is seen. */
enum plan_end {
	PLAN_END_NONE = 0,   /* free: the entry is enough */
	PLAN_END_RETURN = 1, /* return probe */
	PLAN_END_EXITS =
		2, /* probes on the function's own ret instructions: exceptions pass through it */
};

struct plan_exit {
	/* File offset of a ret instruction that ends this function, or one it jumps to: other
	 * functions' calls may pass it too, and several probes may share it. There the stack
	 * pointer is as at the entry. */
	uint64_t offset;
};

struct plan_probe {
	enum plan_function function;
	enum plan_end end;
	enum plan_cost cost;
	unsigned families;   /* all that its names are of: model/free_error.h's */
	const char *symbol;  /* "malloc"; further names of the same address are in aliases */
	const char *aliases; /* "tc_malloc __libc_malloc", or ""; also functions without a probe of
			       * their own, since all that they do passes here: glibc's reallocarray,
			       * jemalloc's operator new[] */
	uint64_t address;    /* of the function, in the file's virtual addresses */
	uint64_t size_bytes; /* of the function, 0 unknown */
	uint64_t offset;     /* file offset to probe: function + site */
	unsigned site;	     /* bytes from the function's first to the probed instruction; there the
			       * stack pointer and the arguments that the function's kind names (of
			       * PLAN_FREE: the pointer) are as they were at the entry */
	char instruction[32]; /* "push %r12", "test %rdi,%rdi" */
	char reason[96]; /* why there: "first emulated instruction that every call passes", "offset 0: ..." */
	struct plan_exit *exits; /* with PLAN_END_EXITS */
	size_t n_exits;
};

/* Which allocator a file holds, told by the symbols it defines; for people. */
enum plan_allocator {
	PLAN_ALLOCATOR_NONE,
	PLAN_ALLOCATOR_GLIBC,
	PLAN_ALLOCATOR_MUSL,
	PLAN_ALLOCATOR_JEMALLOC,
	PLAN_ALLOCATOR_TCMALLOC,
	PLAN_ALLOCATOR_MIMALLOC,
	PLAN_ALLOCATOR_OTHER,
};

struct plan {
	enum plan_allocator allocator;
	bool shared_libc; /* glibc's libc.so: all callers but its own malloc.c come through a PLT */
	struct plan_probe *items; /* sorted by offset, one per offset */
	size_t n, cap;
	struct strings *strings; /* opaque: owns the names */
};

const char *plan_allocator_name(enum plan_allocator allocator);
const char *plan_function_name(enum plan_function function);

/* The probes for one file. prefix: only symbols that begin with it (memleak's -S: "je_" probes je_malloc, ...), or
 * NULL for the built-in names. Returns 0 (also with no probe at all: n is 0) or -EBADMSG when the symbol tables are
 * corrupt before any allocation function was found. Free with plan_destroy. */
int plan_create(struct elf_image *image, const char *prefix, struct plan **ret, struct diag *d);
void plan_destroy(struct plan *plan);

#endif
