/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PLAN_FUNCTIONS_H
#define SEEP_PLAN_FUNCTIONS_H
/* The names of allocation functions, and what they tell about the file that defines them. */
#include <stdbool.h>

#include "plan/plan.h"

struct function_name {
	const char *name;
	enum plan_function function;
	bool throws; /* exceptions may leave it */
	bool is_cxx; /* operator new, operator delete */
};

/* The entry for a symbol's name, or NULL. prefix: as in plan_create; "je_" finds je_malloc as
 * malloc.
 * ret_rank: how well-known the name is, lower is better; untouched when NULL is returned.
 * Thread-safe. */
const struct function_name *function_lookup(const char *symbol, const char *prefix,
					    unsigned *ret_rank);

/* Which functions its blocks go with: model/free_error.h's families. */
unsigned function_families(const struct function_name *name);

/* What the defined symbols of a file tell about it; zero to begin. */
struct evidence {
	bool glibc, libc_start, loader, jemalloc, tcmalloc, mimalloc, any_malloc;
};

/* Takes one defined symbol's name into account. */
void evidence_add(struct evidence *e, const char *symbol);
enum plan_allocator evidence_allocator(const struct evidence *e);
/* glibc's ld.so: its malloc serves only until libc's is up, and libc's takes the blocks over.
 * musl's loader is libc. */
bool evidence_is_loader(const struct evidence *e);

#endif
