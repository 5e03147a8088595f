/* SPDX-License-Identifier: BSD-2-Clause */
/* Every function of the malloc family, with its odd arguments. Built against glibc, musl,
 * jemalloc, tcmalloc and mimalloc, shared and static, so it uses only what all of them define
 * (pvalloc apart: see below). */
#include <malloc.h>

#include "ledger.h"

static volatile size_t huge_bytes = (size_t)1 << 62;

static void fail(const char *what)
{
	ledger_die(what);
}

SITE void zoo_malloc_leak(void)
{
	for (size_t i = 1; i <= 20; i++)
		zoo_malloc(i * 7);
	for (int i = 0; i < 100; i++)
		zoo_free(zoo_malloc(100 + (size_t)i));
}

/* A block of no bytes is a block: it has an address that somebody must free. */
SITE void zoo_malloc_zero(void)
{
	zoo_malloc(0);
	zoo_free(zoo_malloc(0));
	zoo_free(NULL);
}

SITE void zoo_malloc_fails(void)
{
	if (zoo_malloc(huge_bytes))
		fail("malloc of 2^62 bytes succeeded");
}

SITE void zoo_calloc_leak(void)
{
	zoo_calloc(3, 50);
	zoo_calloc(1, 1000);
	zoo_free(zoo_calloc(4, 25));
	if (zoo_calloc(huge_bytes, 8))
		fail("calloc overflow succeeded");
}

/* Grows until a block was seen to grow in place and another one to move; some allocators never
 * do one of them. */
SITE void zoo_realloc_grow(void)
{
	unsigned in_place = 0, moved = 0;
	char *a = zoo_realloc(NULL, 16), *b = zoo_malloc(16);

	for (size_t n = 32; n < 3 << 20; n += n / 2) {
		char *grown = zoo_realloc(a, n);

		in_place += grown == a;
		moved += grown != a;
		a = grown;
		if (n < 4096)
			b = zoo_realloc(b, n);
	}
	ledger_note("grown_in_place", in_place);
	ledger_note("moved", moved);
}

SITE void zoo_realloc_shrink(void)
{
	char *p = zoo_malloc(5000);

	p = zoo_realloc(p, 100);
	p = zoo_realloc(p, 40);
	if (!p)
		fail("shrinking failed");
}

SITE void zoo_realloc_zero(void)
{
	zoo_realloc(zoo_malloc(77), 0);
}

SITE void *zoo_realloc_kept(void)
{
	return zoo_malloc(123);
}

/* The block stays, with its first site. */
SITE void zoo_realloc_fails(void)
{
	if (zoo_realloc(zoo_realloc_kept(), huge_bytes))
		fail("realloc to 2^62 bytes succeeded");
	if (zoo_realloc(NULL, huge_bytes))
		fail("realloc of NULL to 2^62 bytes succeeded");
}

SITE void zoo_reallocarray(void)
{
	struct ledger_slot was;
	void *p = zoo_malloc(10), *q;

	was = ledger_remove(p);
	q = reallocarray(p, ledger_opaque(6), ledger_opaque(11));
	ledger_add(q, 66, __func__);
	was = ledger_remove(q);
	if (reallocarray(q, huge_bytes, 8))
		fail("reallocarray overflow succeeded");
	ledger_restore(&was);
	q = reallocarray(NULL, ledger_opaque(2), ledger_opaque(9));
	ledger_add(q, 18, __func__);
}

SITE void zoo_posix_memalign_leak(void)
{
	void *p = NULL, *untouched = &p;

	if (zoo_posix_memalign(&p, 64, 200) || (uintptr_t)p % 64)
		fail("posix_memalign");
	if (zoo_posix_memalign(&p, 4096, 300) || (uintptr_t)p % 4096)
		fail("posix_memalign of a page");
	zoo_free(p);
	/* An alignment of 3 and too large a size: error codes, and the pointer is not a block. */
	if (!zoo_posix_memalign(&untouched, 3, 10) ||
	    !zoo_posix_memalign(&untouched, 64, huge_bytes))
		fail("posix_memalign took nonsense");
}

SITE void zoo_aligned_leak(void)
{
	void *p;

	zoo_aligned_alloc(256, 512);
	zoo_free(zoo_aligned_alloc(32, 64));
	p = memalign(ledger_opaque(128), ledger_opaque(333));
	ledger_add(p, 333, __func__);
	p = valloc(ledger_opaque(444));
	ledger_add(p, 444, __func__);
	ledger_remove(p);
	free(p);
	p = valloc(ledger_opaque(445));
	ledger_add(p, 445, __func__);
}

/* The block is never freed: jemalloc lacks pvalloc, so there it comes from glibc and jemalloc
 * must not see it again. */
SITE void zoo_pvalloc_leak(void)
{
#ifdef __GLIBC__
	void *p = pvalloc(ledger_opaque(555));

	ledger_add(p, 555, __func__);
#endif
}

SITE void zoo_churn(void)
{
	void *ring[64] = {NULL};

	for (unsigned i = 0; i < 20000; i++) {
		zoo_free(ring[i % 64]);
		ring[i % 64] = zoo_malloc(1 + i * 37 % 2000);
	}
	for (unsigned i = 0; i < 64; i++)
		zoo_free(ring[i]);
}

/* The same call under 20 stacks of different depth. The array and the sum keep each level's
 * frame real. */
SITE size_t zoo_depth(unsigned left)
{
	volatile char frame[64];

	frame[0] = (char)left;
	if (!left)
		return zoo_malloc(60) != NULL;
	return zoo_depth(left - 1) + (size_t)frame[0];
}

int main(int argc, char **argv)
{
	ledger_start(argc, argv);
	zoo_malloc_leak();
	zoo_malloc_zero();
	zoo_malloc_fails();
	zoo_calloc_leak();
	zoo_realloc_grow();
	zoo_realloc_shrink();
	zoo_realloc_zero();
	zoo_realloc_fails();
	zoo_reallocarray();
	zoo_posix_memalign_leak();
	zoo_aligned_leak();
	zoo_pvalloc_leak();
	zoo_churn();
	for (unsigned depth = 1; depth <= 20; depth++)
		zoo_depth(depth);
	ledger_finish();
	return 0;
}
