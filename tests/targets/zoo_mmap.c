/* SPDX-License-Identifier: BSD-2-Clause */
/* Address ranges that the program maps itself: partial munmap, mremap, brk; and what must not
 * count as such: malloc's own mappings and thread stacks. */
#include <pthread.h>

#include "ledger.h"

enum { PAGE = 4096 };

static void range_add(void *p, size_t n_pages, const char *function, const char *kind)
{
	if (p == MAP_FAILED)
		ledger_die("mmap or sbrk");
	ledger_enter((uintptr_t)p, n_pages * PAGE, function, kind);
}

/* Cuts [at, at + n_pages) out of the range that starts at p. */
static void range_cut(char *p, char *at, size_t n_pages)
{
	struct ledger_slot *s = ledger_find((uintptr_t)p);
	struct ledger_slot was;
	char *end;

	if (!s)
		ledger_die("no such range");
	was = *s;
	s->address = 1;
	end = p + was.size_bytes;
	if (at > p)
		ledger_enter((uintptr_t)p, (size_t)(at - p), was.function, was.kind);
	at += n_pages * PAGE;
	if (at < end)
		ledger_enter((uintptr_t)at, (size_t)(end - at), was.function, was.kind);
}

static char *map_pages(size_t n_pages)
{
	return mmap(NULL, n_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
}

static void unmap_pages(char *range, char *at, size_t n_pages)
{
	if (munmap(at, n_pages * PAGE))
		ledger_die("munmap");
	range_cut(range, at, n_pages);
}

SITE void zoo_mmap_leak(void)
{
	char *gone = map_pages(10);

	range_add(gone, 10, __func__, "mmap");
	unmap_pages(gone, gone, 10);
	range_add(map_pages(5), 5, __func__, "mmap");
}

/* Front, back and middle. */
SITE void zoo_mmap_cut(void)
{
	char *p = map_pages(20);

	range_add(p, 20, __func__, "mmap");
	unmap_pages(p, p, 2);
	unmap_pages(p + 2 * PAGE, p + 17 * PAGE, 3);
	unmap_pages(p + 2 * PAGE, p + 8 * PAGE, 4);
}

/* A fixed mapping over a part replaces that part. */
SITE void zoo_mmap_over(void)
{
	char *p = map_pages(8);

	range_add(p, 8, "zoo_mmap_over", "mmap");
	if (mmap(p + 3 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		ledger_die("mmap");
	range_cut(p, p + 3 * PAGE, 2);
	range_add(p + 3 * PAGE, 2, "zoo_mmap_over", "mmap");
}

SITE void zoo_mremap(void)
{
	char *p = map_pages(4), *barrier = map_pages(1), *q;

	range_add(p, 4, __func__, "mmap");
	range_add(barrier, 1, __func__, "mmap");
	q = mremap(p, 4 * PAGE, 40 * PAGE, MREMAP_MAYMOVE);
	range_cut(p, p, 4);
	range_add(q, 40, __func__, "mmap");
	if (mremap(q, 40 * PAGE, 30 * PAGE, 0) != q)
		ledger_die("mremap");
	range_cut(q, q + 30 * PAGE, 10);
}

/* sbrk, before malloc ever touches the break: given back in part. */
SITE void zoo_brk(void)
{
	char *p = sbrk(16 * PAGE);

	range_add(p, 16, __func__, "brk");
	if (sbrk(-6 * PAGE) == (void *)-1)
		ledger_die("sbrk");
	range_cut(p, p + 10 * PAGE, 6);
}

/* Beyond malloc's mmap threshold, and in an arena and a stack of another thread. */
SITE void zoo_malloc_maps(void)
{
	zoo_malloc(1 << 20);
	zoo_free(zoo_malloc(3 << 20));
	zoo_realloc(zoo_malloc(1 << 20), 5 << 20);
}

static void *thread(void *arg)
{
	zoo_malloc_maps();
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t id;

	ledger_start(argc, argv);
	zoo_brk();
	zoo_mmap_leak();
	zoo_mmap_cut();
	zoo_mmap_over();
	zoo_mremap();
	zoo_malloc_maps();
	if (pthread_create(&id, NULL, thread, NULL) || pthread_join(id, NULL))
		ledger_die("pthread");
	ledger_finish();
	return 0;
}
