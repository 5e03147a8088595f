// SPDX-License-Identifier: BSD-2-Clause
/* Mappings that change while stacks are taken:
 *	mappings churn SECONDS A.so B.so	two libraries, one at a time, at the same address; another thread allocates, a
 *						third one maps and unmaps memory
 *	mappings prefork N			N children that live at once
 *	mappings chain N			N programs, each executed by the one before, in one process
 * Prints what it did. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FN __attribute__((noinline, noclone))

typedef void work_fn(int depth, void (*back)(int depth));

static work_fn *work;
static _Atomic int stop;

static void touch(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

FN static void allocate(size_t n_bytes)
{
	void *p = malloc(n_bytes);

	touch(p);
	free(p);
	touch(&p);
}

FN static void again(int depth)
{
	work(depth, again);
	touch(&depth);
}

static void *steady(void *arg)
{
	while (!stop) {
		allocate(3003);
		usleep(50);
	}
	return arg;
}

static void *mapper(void *arg)
{
	while (!stop) {
		munmap(mmap(NULL, 1 << 16, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 16);
		usleep(500);
	}
	return arg;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int churn(double seconds, char **paths)
{
	long n = 0, n_same = 0;
	pthread_t threads[2];
	double end = now() + seconds;
	void *last = NULL;

	pthread_create(&threads[0], NULL, steady, NULL);
	pthread_create(&threads[1], NULL, mapper, NULL);
	for (; now() < end; n++) {
		void *library = dlopen(paths[n & 1], RTLD_NOW);

		work = library ? (work_fn *)dlsym(library, "work") : NULL;
		if (!work)
			return 1;
		n_same += (void *)work == last;
		last = (void *)work;
		for (int i = 0; i < 5; i++) {
			again(3);
			/* Long enough for the tracer to learn of it, or too short, or just not quite. */
			if (n % 64 < 32 && n % 3 == i % 3)
				usleep(300 * (n % 7));
		}
		dlclose(library);
	}
	stop = 1;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("%ld\n", n_same);
	return 0;
}

static int prefork(int n)
{
	for (int i = 0; i < n; i++) {
		if (fork())
			continue;
		for (int k = 0; k < 10; k++)
			allocate(100);
		usleep(200000);
		allocate(100);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

static int chain(char **argv, int n)
{
	static char left[16];

	allocate(100);
	snprintf(left, sizeof(left), "%d", n - 1);
	argv[2] = left;
	return n ? execv("/proc/self/exe", argv) : 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "churn"))
		return churn(atof(argv[2]), argv + 3);
	if (argc == 3 && !strcmp(argv[1], "prefork"))
		return prefork(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "chain"))
		return chain(argv, atoi(argv[2]));
	return 2;
}
