// SPDX-License-Identifier: BSD-2-Clause
/* Blocks that were allocated, held, lost and freed before anybody looked, of sizes for every list of glibc's malloc, in two arenas. Says so
 * as scan_zoo.c does, before it waits. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SITE __attribute__((noinline, noclone))
#define KEY 0x5555aaaa5555aaaaULL /* so that the table points to nothing */
#define EACH 4

static const size_t sizes[] = {1, 24, 25, 100, 500, 1032, 1033, 5000, 60000, 200000, 3000000};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct entry {
	uint64_t scrambled;
	size_t size;
	const char *says;
};

static struct entry entries[4 * EACH * N_SIZES];
static int n_entries;
static void *volatile held[2 * EACH * N_SIZES];
static int n_held;
static int never[2];

SITE static void *note(void *block, size_t size, const char *says)
{
	memset(block, 0, size);
	entries[n_entries++] = (struct entry){(uintptr_t)block ^ KEY, size, says};
	return block;
}

/* One of each size is held, one lost, one lost by a lost one; and one of the same size is free. */
SITE static void allocate(void)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		for (int j = 0; j < EACH; j++) {
			void *given_back = malloc(sizes[i]);
			void **lost;

			held[n_held++] = note(malloc(sizes[i]), sizes[i], "reachable");
			lost = note(malloc(sizes[i] + 8), sizes[i] + 8, "direct");
			*lost = note(malloc(sizes[i]), sizes[i], "indirect");
			memset(given_back, 0, sizes[i]);
			free(given_back);
		}
	}
}

SITE static void clear_stack(void)
{
	volatile char below[64 << 10];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

static void *work(void *arg)
{
	char c;

	allocate();
	clear_stack();
	if (write(*(int *)arg, "", 1) != 1 || read(never[0], &c, 1) < 0)
		abort();
	return NULL;
}

int main(void)
{
	int done[2];
	pthread_t thread;
	char line[16], c;

	if (pipe(never) || pipe(done) || pthread_create(&thread, NULL, work, &done[1]) ||
	    read(done[0], &c, 1) != 1)
		abort();
	allocate();
	clear_stack();
	printf("{\"ready\":%d}\n{\"pid\":%d,\"blocks\":[", getpid(), getpid());
	for (int i = 0; i < n_entries; i++)
		printf("%s{\"address\":\"0x%llx\",\"size\":%zu,\"says\":\"%s\"}", i ? "," : "",
		       (unsigned long long)(entries[i].scrambled ^ KEY), entries[i].size,
		       entries[i].says);
	printf("]}\n");
	fflush(stdout);
	clear_stack();
	while (fgets(line, sizeof(line), stdin))
		;
	_exit(0);
}
