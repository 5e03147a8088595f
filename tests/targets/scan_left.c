// SPDX-License-Identifier: BSD-2-Clause
/* Blocks that only memory out of use still points to, beside such that threads hold: what a scan of a process that stands has to tell
 * apart. Says so as scan_zoo.c does. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SITE __attribute__((noinline, noclone))
#define KEY 0x5555aaaa5555aaaaULL /* so that the table points to nothing */
#define N_FREED 20
#define STACK_BYTES (256 << 10)

struct entry {
	uint64_t scrambled;
	size_t size;
	const char *function, *says, *tagged;
};

static struct entry entries[64];
static int n_entries;
static int never[2];

SITE static void *note(void *block, size_t size, const char *function, const char *says)
{
	entries[n_entries++] = (struct entry){(uintptr_t)block ^ KEY, size, function, says, says};
	return block;
}

#define take(size, says) note(malloc(size), size, __func__, says)

/* In the middle of chunks too large for malloc's caches, and of small ones. */
SITE static void lost_in_freed(void)
{
	void **holders[N_FREED];

	for (int i = 0; i < N_FREED; i++) {
		holders[i] = malloc(i % 2 ? 3000 : 64);
		holders[i][4] = take(100 + i, "direct");
	}
	for (int i = 0; i < N_FREED; i++)
		free(holders[i]);
	memset(holders, 0, sizeof(holders));
	__asm__ volatile("" : : "r"(holders) : "memory");
}

SITE static void *lost_on_stack(void *arg)
{
	void *volatile on_stack[8];

	for (int i = 0; i < 8; i++)
		on_stack[i] = take(200 + i, "direct");
	return on_stack[7] ? arg : NULL;
}

SITE static void *wait_with_stack(void *arg)
{
	void *volatile on_stack = take(300, "reachable");
	char c;

	if (read(never[0], &c, 1) < 0)
		abort();
	return on_stack ? arg : NULL;
}

static void start(void *(*run)(void *), void *stack, int and_join)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	if (stack)
		pthread_attr_setstack(&attributes, stack, STACK_BYTES);
	if (pthread_create(&thread, &attributes, run, NULL))
		abort();
	if (and_join)
		pthread_join(thread, NULL);
	else
		usleep(100000);
}

static volatile uint64_t boxes[8];

/* As a JavaScript engine's values, or with a counter and flags. */
SITE static void held_by_tags(void)
{
	for (int i = 0; i < 8; i++) {
		uint64_t tags = i % 2 ? 0xfffb000000000000 : (uint64_t)(i + 1) << 48 | 5;

		boxes[i] = (uintptr_t)take(400 + i, "direct") | tags;
		entries[n_entries - 1].tagged = "reachable";
	}
}

SITE static void work(void)
{
	void *own =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (own == MAP_FAILED || pipe(never))
		abort();
	start(wait_with_stack, NULL, 0);
	start(wait_with_stack, own, 0);
	start(lost_on_stack, NULL, 1);
	held_by_tags();
	lost_in_freed();
}

SITE static void clear_stack(void)
{
	volatile char below[128 << 10];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

int main(void)
{
	char line[16];

	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	work();
	clear_stack();
	printf("{\"pid\":%d,\"blocks\":[", getpid());
	for (int i = 0; i < n_entries; i++)
		printf("%s{\"address\":\"0x%llx\",\"size\":%zu,\"function\":\"%s\",\"says\":\"%s\","
		       "\"tagged\":\"%s\"}",
		       i ? "," : "", (unsigned long long)(entries[i].scrambled ^ KEY),
		       entries[i].size, entries[i].function, entries[i].says, entries[i].tagged);
	printf("]}\n");
	fflush(stdout);
	clear_stack();
	while (fgets(line, sizeof(line), stdin))
		;
	_exit(0);
}
