/* SPDX-License-Identifier: BSD-2-Clause */
/* An allocator of 60 lines: takes from one arena and never gives back. Safe in signal handlers;
 * free ignores what it did not hand out and what was freed before, so double and foreign frees
 * can be tested without an abort. calloc and realloc call malloc and free through the dynamic
 * linker: calls inside a call, which count once. With -DOWN_MALLOC it is zoo_dlopen's plugin
 * that brings its own malloc. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 28, HEADER_BYTES = 16 };

static char arena[ARENA_BYTES] __attribute__((aligned(4096)));
static size_t used;

/* How many calls of this thread are inside malloc: what a signal handler must know before it
 * jumps out. */
extern __thread volatile int bump_inside;
__thread volatile int bump_inside __attribute__((tls_model("initial-exec")));

__attribute__((noinline)) static void *take(size_t alignment, size_t n)
{
	size_t at, from = __atomic_load_n(&used, __ATOMIC_RELAXED);

	do {
		at = (from + HEADER_BYTES + alignment - 1) & ~(alignment - 1);
		if (n > ARENA_BYTES || at + n > ARENA_BYTES)
			return NULL;
	} while (!__atomic_compare_exchange_n(&used, &from, at + n, 0, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	memcpy(arena + at - HEADER_BYTES, &n, sizeof(n));
	return arena + at;
}

/* The loop makes malloc long enough for signals to hit it. */
void *malloc(size_t n)
{
	void *p;

	bump_inside++;
	for (volatile int i = 0; i < 200; i++)
		;
	p = take(16, n);
	if (!p)
		errno = ENOMEM;
	bump_inside--;
	return p;
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size)
		return NULL;
	return malloc(n * size); /* the arena is zero and used once */
}

void *realloc(void *old, size_t n)
{
	void *p = malloc(n);
	size_t old_size;

	if (!p || !old)
		return p;
	memcpy(&old_size, (char *)old - HEADER_BYTES, sizeof(old_size));
	memcpy(p, old, old_size < n ? old_size : n);
	free(old);
	return p;
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return take(alignment < 16 ? 16 : alignment, n);
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
	void *p = take(alignment < 16 ? 16 : alignment, n);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

#ifdef OWN_MALLOC
void *zoo_own_early(size_t n_bytes);
void *zoo_own_late(size_t n_bytes);

void *zoo_own_early(size_t n_bytes)
{
	return malloc(n_bytes);
}

void *zoo_own_late(size_t n_bytes)
{
	return malloc(n_bytes);
}
#endif
