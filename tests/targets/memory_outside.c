// SPDX-License-Identifier: BSD-2-Clause
/* A program whose resident memory grows though what it has of malloc does not: memory_outside HOW. It grows by about a
 * megabyte a second until its parent ends:
 *
 *	holes    blocks shrink to a tenth of what they took at first; nothing that comes fits into what they leave
 *	threads  threads that touch their stacks and stay
 *	code     mappings that can be executed, as a JIT makes them
 *	mapped   other mappings
 *	files    no memory of its own: it writes a file, whose pages count to its cgroup
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define STEP_US 20000
#define STEPS_PER_SECOND (1000000 / STEP_US)
#define N_OLD 60000
#define OLD_SIZE 200
#define WIDE_SIZE 4000
#define KEPT_SIZE 230
#define STACK_TOUCHED (256 << 10)

static __attribute__((noipa)) void *touch(void *p, size_t n)
{
	if (!p || p == MAP_FAILED)
		abort();
	return memset(p, 1, n);
}

/* Of the old blocks every second one goes, so that no two of their holes become one; for each comes one that is as large, and shrinks
 * when there is another behind it. */
static void *old[N_OLD];
static void holes_begin(void)
{
	for (size_t i = 0; i < N_OLD; i++)
		old[i] = touch(malloc(OLD_SIZE), OLD_SIZE);
}

static void holes(void)
{
	static size_t next;
	static void *last;

	for (int i = 0; i < 6 && next < N_OLD; i++, next += 2) {
		void *wide = touch(malloc(WIDE_SIZE), WIDE_SIZE);

		free(old[next]);
		old[next] = realloc(last, KEPT_SIZE);
		last = wide;
	}
}

static void *stays(void *arg)
{
	touch(__builtin_alloca(STACK_TOUCHED), STACK_TOUCHED);
	for (;;)
		pause();
	return arg;
}

static void threads(void)
{
	static unsigned n_done;
	pthread_t id;

	if (++n_done % (STEPS_PER_SECOND / 4) == 0 && n_done / STEPS_PER_SECOND < 120 &&
	    pthread_create(&id, NULL, stays, NULL))
		abort();
}

static void code(void)
{
	const size_t n = 20 << 10;

	touch(mmap(NULL, n, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	      n);
}

static void mapped(void)
{
	const size_t n = 20 << 10;

	touch(mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), n);
}

static void files(void)
{
	static FILE *f;
	static char piece[20 << 10];

	if (!f)
		f = tmpfile();
	if (!f || fwrite(piece, sizeof(piece), 1, f) != 1)
		abort();
}

static const struct {
	const char *name;
	void (*begin)(void);
	void (*step)(void);
} hows[] = {
	{"holes", holes_begin, holes}, {"threads", NULL, threads}, {"code", NULL, code},
	{"mapped", NULL, mapped},      {"files", NULL, files},
};

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; argc == 2 && i < sizeof(hows) / sizeof(hows[0]); i++) {
		if (strcmp(argv[1], hows[i].name))
			continue;
		if (hows[i].begin)
			hows[i].begin();
		printf("{\"ready\": %d}\n", (int)getpid());
		fflush(stdout);
		for (;; usleep(STEP_US))
			hows[i].step();
	}
	fprintf(stderr, "usage: memory_outside holes|threads|code|mapped|files\n");
	return 2;
}
