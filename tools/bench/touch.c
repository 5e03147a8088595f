// SPDX-License-Identifier: BSD-2-Clause
/* The program whose growth is followed: touches new pages on demand, timed by itself.
 *
 *	prints  "target PID"
 *	reads   "N_PAGES"
 *	prints  "result WALL_NS CPU_NS", of all of them
 *
 * and so on to the end of its input. The pages are given back each time. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void touch(uint64_t n_pages)
{
	size_t n_bytes = n_pages * PAGE_BYTES;
	uint64_t wall_ns, cpu_ns;
	volatile char *memory =
		mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || madvise((void *)memory, n_bytes, MADV_NOHUGEPAGE))
		abort();
	wall_ns = now_ns(CLOCK_MONOTONIC);
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < n_bytes; i += PAGE_BYTES)
		memory[i] = 1;
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	wall_ns = now_ns(CLOCK_MONOTONIC) - wall_ns;
	munmap((void *)memory, n_bytes);
	printf("result %" PRIu64 " %" PRIu64 "\n", wall_ns, cpu_ns);
}

int main(void)
{
	uint64_t n_pages;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("target %d\n", getpid());
	while (scanf("%" SCNu64, &n_pages) == 1 && n_pages)
		touch(n_pages);
	return 0;
}
