/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames whose stack no backtrace() can know, since the library is built without .eh_frame: with .debug_frame alone, and with
 * no CFI at all. Each function keeps its return address on a shadow stack instead. */
#include <alloca.h>
#include <stdlib.h>
#include <string.h>

#include "stack_chain.h"

#define CHAIN_FN __attribute__((noinline)) static

static struct chain *chain;

/* Not inlined into: the frame is the function's own. */
#define ENTER() (chain->shadow[chain->n++] = __builtin_return_address(0))
#define LEAVE() (chain->n--)

static void touch(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static long go_on(int depth);

CHAIN_FN void allocate(size_t n_bytes)
{
	void *p;

	ENTER();
#ifdef ZERO_FP
	/* Without frame pointers the register may be 0 anywhere, not in the outermost frame alone. */
	__asm__ volatile("xor %%ebp, %%ebp" : : : "rbp", "cc");
#endif
	p = malloc(n_bytes);
	chain->note(chain, p, n_bytes, "allocate");
	LEAVE();
}

CHAIN_FN long plain(int depth)
{
	long got;

	ENTER();
	got = go_on(depth);
	LEAVE();
	return got + 1;
}

CHAIN_FN long huge(int depth)
{
	char room[50000];
	long got;

	ENTER();
	touch(room);
	got = go_on(depth);
	touch(room);
	LEAVE();
	return got;
}

CHAIN_FN long some(int depth)
{
	char *room;
	long got;

	ENTER();
	room = alloca((size_t)depth * 100 + 1);
	touch(room);
	got = go_on(depth);
	touch(room);
	LEAVE();
	return got;
}

CHAIN_FN long many(long a, long b, long c, long d, long e, long f, long g, long h, int depth)
{
	long got;

	ENTER();
	got = go_on(depth);
	LEAVE();
	return got + a * b + c * d + e * f + g * h;
}

CHAIN_FN long go_on(int depth)
{
	long got = 0;

	ENTER();
	allocate(200 + (size_t)depth);
	switch (depth > 0 ? depth % 4 : -1) {
	case 0:
		got = plain(depth - 1);
		break;
	case 1:
		got = huge(depth - 1);
		break;
	case 2:
		got = some(depth - 1);
		break;
	case 3:
		got = many(depth, 2, 3, 4, 5, 6, 7, 8, depth - 1);
		break;
	}
	LEAVE();
	return got + depth;
}

void stack_chain_run(struct chain *c, int depth)
{
	chain = c;
	chain->n = 0;
	ENTER();
	go_on(depth);
	LEAVE();
}
