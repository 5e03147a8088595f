// SPDX-License-Identifier: BSD-2-Clause
/* A program that holds blocks from many call sites:  blocks N_SITES
 *
 *	prints  "target PID ADDRESS_OF_MALLOC ADDRESS_OF_FREE"
 *	reads   "N_BLOCKS", allocates that many, the sites in turn, and keeps them
 *	prints  "result N_BLOCKS"
 *
 * A site is a call stack: two functions that call themselves and each other, a level for each bit
 * of the site's number. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SITE_BITS 10
#define BLOCK_BYTES 32

typedef void *descend_function(unsigned site, unsigned depth);

static descend_function descend_zero, descend_one;

static inline void *descend(unsigned site, unsigned depth)
{
	if (!depth)
		return malloc(BLOCK_BYTES);
	return site & 1 ? descend_one(site >> 1, depth - 1) : descend_zero(site >> 1, depth - 1);
}

/* The empty statement after the call keeps it a call, not a jump: each level is a frame. */
static __attribute__((noinline)) void *descend_zero(unsigned site, unsigned depth)
{
	void *block = descend(site, depth);

	__asm__ volatile("" : "+r"(block));
	return block;
}

static __attribute__((noinline)) void *descend_one(unsigned site, unsigned depth)
{
	void *block = descend(site, depth);

	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}

int main(int argc, char **argv)
{
	unsigned n_sites = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long n_blocks;

	if (!n_sites || n_sites > 1u << SITE_BITS)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("target %d %p %p\n", getpid(), (void *)malloc, (void *)free);
	while (scanf("%lu", &n_blocks) == 1) {
		for (unsigned long i = 0; i < n_blocks; i++)
			if (!descend(i % n_sites, SITE_BITS))
				abort();
		printf("result %lu\n", n_blocks);
	}
	return 0;
}
