/* SPDX-License-Identifier: BSD-2-Clause */
/* A preloaded wrapper that passes every call on: one allocation of the program is two calls of a
 * malloc, and counts once. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

/* Looked up at each call: the wrapper is to be simple, not fast. dlsym does not allocate when it
 * succeeds. */
static void *next(const char *name)
{
	void *fn = dlsym(RTLD_NEXT, name);

	if (!fn)
		abort();
	return fn;
}

void *malloc(size_t n)
{
	return ((void *(*)(size_t))next("malloc"))(n);
}

void *calloc(size_t n, size_t size)
{
	return ((void *(*)(size_t, size_t))next("calloc"))(n, size);
}

void *realloc(void *old, size_t n)
{
	return ((void *(*)(void *, size_t))next("realloc"))(old, n);
}

void free(void *p)
{
	((void (*)(void *))next("free"))(p);
}
