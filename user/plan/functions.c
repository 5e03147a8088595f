// SPDX-License-Identifier: BSD-2-Clause
#include "plan/functions.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/free_error.h"

/* Checked against what Debian 12's glibc, musl, libjemalloc2, libtcmalloc-minimal4,
 * libgoogle-perftools4 and libmimalloc2.0 export. Left out on purpose:
 * - mi_heap_malloc and the other mi_heap_*: the heap comes first, so the size is not where enum
 *   plan_function says. What they return is seen only when it is freed: an unknown free.
 * - xallocx, mi_expand, mi__expand, _expand: resize in place; the block keeps its address and its
 *   first size.
 * - mi_reallocarr, reallocarr, _aligned_malloc, mi_aligned_recalloc, mi_aligned_offset_recalloc:
 *   call one of the below.
 * - mi_strdup, mi_strndup, mi_mbsdup, mi_wcsdup, mi_realpath, mi_dupenv_s: allocate by inlined
 *   mi_heap_malloc, and nobody reaches them but by that name; libc's strdup and friends count
 *   through malloc.
 * - nallocx, sallocx, malloc_usable_size, malloc_size, good_size: own nothing.
 * - obstack_*, *_free of a data structure (regfree, globfree): call free.
 * STT_GNU_IFUNC symbols are not looked at: their value is the resolver, not the function. */

#define C(text, kind)                                                                              \
	{                                                                                          \
		.name = text, .function = kind                                                     \
	}
#define THROWING(text, kind)                                                                       \
	{                                                                                          \
		.name = text, .function = kind, .throws = true                                     \
	}
#define CXX(text, kind)                                                                            \
	{                                                                                          \
		.name = text, .function = kind, .is_cxx = true                                     \
	}
#define CXX_THROWING(text, kind)                                                                   \
	{                                                                                          \
		.name = text, .function = kind, .throws = true, .is_cxx = true                     \
	}

/* Best-known first: the order is the rank. */
static const struct function_name names[] = {
	C("malloc", PLAN_MALLOC),
	C("calloc", PLAN_CALLOC),
	C("realloc", PLAN_REALLOC),
	C("free", PLAN_FREE),
	C("aligned_alloc", PLAN_MEMALIGN),
	C("memalign", PLAN_MEMALIGN),
	C("posix_memalign", PLAN_POSIX_MEMALIGN),
	C("reallocarray", PLAN_REALLOCARRAY),
	C("valloc", PLAN_MALLOC),
	C("pvalloc", PLAN_MALLOC),
	C("cfree", PLAN_FREE),
	C("free_sized", PLAN_FREE),
	C("free_aligned_sized", PLAN_FREE),
	C("reallocf", PLAN_REALLOC), /* BSD; mimalloc */
	C("vfree", PLAN_FREE),
	C("__posix_memalign", PLAN_POSIX_MEMALIGN),
	/* Itanium C++ ABI; [wa]: new and new[] */
	CXX_THROWING("_Znwm", PLAN_MALLOC),
	CXX_THROWING("_Znam", PLAN_MALLOC),
	CXX("_ZnwmRKSt9nothrow_t", PLAN_MALLOC),
	CXX("_ZnamRKSt9nothrow_t", PLAN_MALLOC),
	CXX_THROWING("_ZnwmSt11align_val_t", PLAN_MEMALIGN_SWAPPED),
	CXX_THROWING("_ZnamSt11align_val_t", PLAN_MEMALIGN_SWAPPED),
	CXX("_ZnwmSt11align_val_tRKSt9nothrow_t", PLAN_MEMALIGN_SWAPPED),
	CXX("_ZnamSt11align_val_tRKSt9nothrow_t", PLAN_MEMALIGN_SWAPPED),
	CXX("_ZdlPv", PLAN_FREE),
	CXX("_ZdaPv", PLAN_FREE),
	CXX("_ZdlPvRKSt9nothrow_t", PLAN_FREE),
	CXX("_ZdaPvRKSt9nothrow_t", PLAN_FREE),
	CXX("_ZdlPvm", PLAN_FREE),
	CXX("_ZdaPvm", PLAN_FREE),
	CXX("_ZdlPvSt11align_val_t", PLAN_FREE),
	CXX("_ZdaPvSt11align_val_t", PLAN_FREE),
	CXX("_ZdlPvmSt11align_val_t", PLAN_FREE),
	CXX("_ZdaPvmSt11align_val_t", PLAN_FREE),
	CXX("_ZdlPvSt11align_val_tRKSt9nothrow_t", PLAN_FREE),
	CXX("_ZdaPvSt11align_val_tRKSt9nothrow_t", PLAN_FREE),
	/* jemalloc */
	C("mallocx", PLAN_MALLOC),
	C("rallocx", PLAN_REALLOC),
	C("dallocx", PLAN_FREE),
	C("sdallocx", PLAN_FREE),
	/* tcmalloc */
	C("tc_malloc_skip_new_handler", PLAN_MALLOC),
	THROWING("tc_new", PLAN_MALLOC),
	THROWING("tc_newarray", PLAN_MALLOC),
	C("tc_new_nothrow", PLAN_MALLOC),
	C("tc_newarray_nothrow", PLAN_MALLOC),
	THROWING("tc_new_aligned", PLAN_MEMALIGN_SWAPPED),
	THROWING("tc_newarray_aligned", PLAN_MEMALIGN_SWAPPED),
	C("tc_new_aligned_nothrow", PLAN_MEMALIGN_SWAPPED),
	C("tc_newarray_aligned_nothrow", PLAN_MEMALIGN_SWAPPED),
	C("tc_delete", PLAN_FREE),
	C("tc_deletearray", PLAN_FREE),
	C("tc_delete_nothrow", PLAN_FREE),
	C("tc_deletearray_nothrow", PLAN_FREE),
	C("tc_delete_sized", PLAN_FREE),
	C("tc_deletearray_sized", PLAN_FREE),
	C("tc_delete_aligned", PLAN_FREE),
	C("tc_deletearray_aligned", PLAN_FREE),
	C("tc_delete_aligned_nothrow", PLAN_FREE),
	C("tc_deletearray_aligned_nothrow", PLAN_FREE),
	C("tc_delete_sized_aligned", PLAN_FREE),
	C("tc_deletearray_sized_aligned", PLAN_FREE),
	/* mimalloc */
	C("mi_zalloc", PLAN_MALLOC),
	C("mi_malloc_small", PLAN_MALLOC),
	C("mi_zalloc_small", PLAN_MALLOC),
	C("mi_mallocn", PLAN_CALLOC),
	C("mi_reallocn", PLAN_REALLOCARRAY),
	C("mi_rezalloc", PLAN_REALLOC),
	C("mi_recalloc", PLAN_REALLOCARRAY),
	C("mi_malloc_aligned", PLAN_MEMALIGN_SWAPPED),
	C("mi_malloc_aligned_at", PLAN_MEMALIGN_SWAPPED),
	C("mi_zalloc_aligned", PLAN_MEMALIGN_SWAPPED),
	C("mi_zalloc_aligned_at", PLAN_MEMALIGN_SWAPPED),
	C("mi_calloc_aligned", PLAN_CALLOC),
	C("mi_calloc_aligned_at", PLAN_CALLOC),
	C("mi_realloc_aligned", PLAN_REALLOC),
	C("mi_realloc_aligned_at", PLAN_REALLOC),
	C("mi_rezalloc_aligned", PLAN_REALLOC),
	C("mi_rezalloc_aligned_at", PLAN_REALLOC),
	C("mi_recalloc_aligned", PLAN_REALLOCARRAY),
	C("mi_recalloc_aligned_at", PLAN_REALLOCARRAY),
	THROWING("mi_new", PLAN_MALLOC),
	THROWING("mi_new_n", PLAN_CALLOC),
	C("mi_new_nothrow", PLAN_MALLOC),
	THROWING("mi_new_aligned", PLAN_MEMALIGN_SWAPPED),
	C("mi_new_aligned_nothrow", PLAN_MEMALIGN_SWAPPED),
	THROWING("mi_new_realloc", PLAN_REALLOC),
	THROWING("mi_new_reallocn", PLAN_REALLOCARRAY),
	C("mi_free_size", PLAN_FREE),
	C("mi_free_aligned", PLAN_FREE),
	C("mi_free_size_aligned", PLAN_FREE),
};

/* In front of the C names above; _rjem_ is Rust's tikv-jemallocator. */
static const char *const prefixes[] = {"je_", "tc_", "mi_", "_rjem_", "__libc_"};

static const struct function_name *find(const char *symbol)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].name[0] == symbol[0] && !strcmp(names[i].name, symbol))
			return &names[i];
	return NULL;
}

/* What follows prefix in text, or NULL. */
static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) ? NULL : text + n;
}

const struct function_name *function_lookup(const char *symbol, const char *prefix,
					    unsigned *ret_rank)
{
	const struct function_name *found;

	if (prefix && !after(symbol, prefix))
		return NULL;
	/* Most symbols of a big program are C++ and none of operator new and delete. */
	if (symbol[0] == '_' && symbol[1] == 'Z' && symbol[2] != 'n' && symbol[2] != 'd' && !prefix)
		return NULL;
	found = find(symbol);
	if (!found && prefix)
		found = find(after(symbol, prefix));
	if (found) {
		*ret_rank = found - names;
		return found;
	}
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const char *rest = after(symbol, prefixes[i]);

		found = rest ? find(rest) : NULL;
		if (!found)
			continue;
		*ret_rank = (i + 1) * ARRAY_SIZE(names) + (found - names);
		return found->is_cxx ? NULL : found;
	}
	return NULL;
}

/* What mimalloc's own functions allocate its mi_free takes, whichever of them it was. */
unsigned function_families(const struct function_name *name)
{
	const char *text = name->name;

	if (after(text, "mi_"))
		return FREE_FAMILY_ANY;
	if (after(text, "tc_newarray") || after(text, "tc_deletearray") || after(text, "_Zna") ||
	    after(text, "_Zda"))
		return FREE_FAMILY_NEW_ARRAY;
	if (after(text, "tc_new") || after(text, "tc_delete") || after(text, "_Znw") ||
	    after(text, "_Zdl"))
		return FREE_FAMILY_NEW;
	return FREE_FAMILY_MALLOC;
}

void evidence_add(struct evidence *e, const char *symbol)
{
	static const struct {
		const char *symbol;
		size_t flag;
	} table[] = {
		{"gnu_get_libc_version", offsetof(struct evidence, glibc)},
		{"__libc_setup_tls", offsetof(struct evidence, glibc)}, /* of a static program */
		{"__libc_start_main", offsetof(struct evidence, libc_start)},
		{"_rtld_global", offsetof(struct evidence, loader)},
		{"mallocx", offsetof(struct evidence, jemalloc)},
		{"je_mallocx", offsetof(struct evidence, jemalloc)},
		{"je_malloc", offsetof(struct evidence, jemalloc)},
		{"_rjem_malloc", offsetof(struct evidence, jemalloc)},
		{"_rjem_mallocx", offsetof(struct evidence, jemalloc)},
		{"tc_malloc", offsetof(struct evidence, tcmalloc)},
		{"mi_malloc", offsetof(struct evidence, mimalloc)},
		{"malloc", offsetof(struct evidence, any_malloc)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].symbol[0] == symbol[0] && !strcmp(table[i].symbol, symbol))
			*((bool *)e + table[i].flag) = true;
}

/* A static program may hold libc's allocator beside the one it uses, so the special ones are asked
 * for first. */
enum plan_allocator evidence_allocator(const struct evidence *e)
{
	if (e->mimalloc)
		return PLAN_ALLOCATOR_MIMALLOC;
	if (e->tcmalloc)
		return PLAN_ALLOCATOR_TCMALLOC;
	if (e->jemalloc)
		return PLAN_ALLOCATOR_JEMALLOC;
	if (!e->any_malloc)
		return PLAN_ALLOCATOR_NONE;
	if (e->glibc)
		return PLAN_ALLOCATOR_GLIBC;
	return e->libc_start ? PLAN_ALLOCATOR_MUSL : PLAN_ALLOCATOR_OTHER;
}

bool evidence_is_loader(const struct evidence *e)
{
	return e->loader && !e->libc_start;
}
