// SPDX-License-Identifier: BSD-2-Clause
/* Errors at free, and correct programs that look alike, by their names:
 *   free_errors CASE...
 * Each error is printed before it is made, "ERROR TYPE ADDRESS PID", so that a test knows what is to be found. At most of them
 * glibc ends the process. "pause" waits for a line from stdin. */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static void *volatile keep;

static void announce(const char *type, const void *address)
{
	printf("ERROR %s %p %d\n", type, address, getpid());
	fflush(stdout);
}

NOINLINE static void *allocate(size_t n)
{
	char *p = malloc(n);

	memset(p, 1, n);
	keep = p;
	return p;
}

NOINLINE static void release(void *p)
{
	free(p);
	keep = NULL;
}

/* Not the same code as release(), which the compiler would find out. */
NOINLINE static void release_again(void *p)
{
	free(p);
	keep = (void *)&keep;
}

/* Not by glibc's check of the cache's first entry: another block is freed between. */
static void double_free(void)
{
	void *p = allocate(3000), *q = allocate(3000);

	allocate(16);
	announce("double-free", p);
	release(p);
	release(q);
	release_again(p);
}

static void *release_thread(void *p)
{
	release(p);
	return NULL;
}

static void double_in_thread(void)
{
	void *p = allocate(100);
	pthread_t thread;

	announce("double-free", p);
	pthread_create(&thread, NULL, release_thread, p);
	pthread_join(thread, NULL);
	release_again(p);
}

static void realloc_freed(void)
{
	char *p = allocate(3000);

	allocate(16);
	announce("double-free", p);
	release(p);
	keep = realloc(p, 4000);
}

/* What realloc moved away was freed by it. */
static void free_moved(void)
{
	char *p = allocate(100), *q;

	allocate(100);
	q = realloc(p, 100000);
	announce("double-free", p);
	keep = q;
	release_again(p);
}

static void interior(void)
{
	char *p = allocate(256);

	announce("interior-free", p + 32);
	release(p + 32);
}

static void interior_odd(void)
{
	char *p = allocate(100000);

	announce("interior-free", p + 70001);
	release(p + 70001);
}

static void on_stack(void)
{
	char buffer[256];
	char *volatile p = buffer + 64;

	memset(buffer, 0, sizeof(buffer));
	announce("invalid-free", p);
	release(p);
}

static void in_data(void)
{
	static char buffer[256];
	char *volatile p = buffer + 64;

	announce("invalid-free", p);
	release(p);
}

static void of_mapping(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	announce("invalid-free", p + 16);
	release(p + 16);
}

/* ---- correct ---- */

static void reuse(void)
{
	for (int i = 0; i < 1000; i++) {
		void *p = allocate(40 + i % 64);

		release(p);
		p = allocate(40 + i % 64);
		release_again(p);
	}
}

static void moves(void)
{
	char *p = NULL;

	for (size_t n = 1; n < 1 << 22; n *= 2) {
		p = realloc(p, n);
		allocate(24);
	}
	p = realloc(p, 8);
	p = realloc(p, 16);
	p = realloc(p, 0);
	p = realloc(NULL, 100);
	keep = realloc(p, (size_t)1 << 46); /* fails */
	release(p);
}

static void aligned(void)
{
	void *p;

	release(memalign(256, 100));
	release(aligned_alloc(64, 128));
	if (!posix_memalign(&p, 4096, 100))
		release(p);
	release(valloc(10));
	release(pvalloc(10));
	release(calloc(10, 10));
	release(reallocarray(NULL, 10, 10));
	release(NULL);
}

static void by_libc(void)
{
	char *line = NULL, *text;
	size_t n = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && getline(&line, &n, f) > 0)
		keep = line;
	release(line);
	fclose(f);
	release(strdup("text"));
	if (asprintf(&text, "%d", 42) > 0)
		release(text);
	release(realpath("/proc/self", NULL));
	f = open_memstream(&text, &n);
	fprintf(f, "%1000d", 1);
	fclose(f);
	release(text);
	setenv("A", "b", 1);
	unsetenv("A");
	tzset();
}

struct exchange {
	pthread_barrier_t barrier;
	void *blocks[2][1000];
};

struct party {
	struct exchange *with;
	int number;
};

/* Each frees what the other has allocated. */
static void *exchange_thread(void *arg)
{
	struct party *party = arg;
	struct exchange *e = party->with;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 1000; i++)
			e->blocks[party->number][i] = malloc(16 + i % 500);
		pthread_barrier_wait(&e->barrier);
		for (int i = 0; i < 1000; i++)
			free(e->blocks[!party->number][i]);
		pthread_barrier_wait(&e->barrier);
	}
	return NULL;
}

static void threads(void)
{
	struct exchange e;
	struct party parties[2] = {{&e, 0}, {&e, 1}};
	pthread_t thread[2];

	pthread_barrier_init(&e.barrier, NULL, 2);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, exchange_thread, &parties[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

static void inherited(void)
{
	void *p = allocate(100), *q = allocate(200);
	pid_t child = fork();

	if (!child) {
		release(p);
		p = allocate(100);
		release(p);
		release(q);
		exit(0);
	}
	waitpid(child, NULL, 0);
	release(p);
	release(q);
}

static void inherited_twice(void)
{
	void *p = allocate(3000), *q = allocate(3000);
	pid_t child;

	allocate(16);
	child = fork();
	if (!child) {
		announce("double-free", p);
		release(p);
		release(q);
		release_again(p);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	release(p);
	release(q);
}

static void vforked(void)
{
	void *p = allocate(100);
	pid_t child = vfork();

	if (!child) {
		free(p);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	p = allocate(100);
	release(p);
}

static void on_signal(int number)
{
	void *p = malloc(number + 50);

	free(p);
}

static void signals(void)
{
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 500; i++) {
		void *p = allocate(77);

		raise(SIGUSR1);
		release(p);
	}
}

static void libraries(void)
{
	for (int i = 0; i < 5; i++) {
		void *handle = dlopen("libm.so.6", RTLD_NOW);

		if (handle)
			dlclose(handle);
		dlopen("/nowhere/lib.so", RTLD_NOW);
		keep = dlerror();
	}
}

/* Known before it is traced, freed and freed again. */
static void *before;

static void prepare(void)
{
	before = allocate(3000);
	allocate(16);
}

static void double_of_before(void)
{
	void *q = allocate(3000);

	announce("double-free", before);
	release(before);
	release(q);
	release_again(before);
}

static void pause_for_line(void)
{
	puts("ready");
	fflush(stdout);
	getchar();
}

static const struct test_case {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"double_free", double_free},
	{"double_in_thread", double_in_thread},
	{"realloc_freed", realloc_freed},
	{"free_moved", free_moved},
	{"interior", interior},
	{"interior_odd", interior_odd},
	{"on_stack", on_stack},
	{"in_data", in_data},
	{"of_mapping", of_mapping},
	{"inherited_twice", inherited_twice},
	{"prepare", prepare},
	{"double_of_before", double_of_before},
	{"pause", pause_for_line},
	{"reuse", reuse},
	{"moves", moves},
	{"aligned", aligned},
	{"by_libc", by_libc},
	{"threads", threads},
	{"inherited", inherited},
	{"vforked", vforked},
	{"signals", signals},
	{"libraries", libraries},
};

int main(int argc, char **argv)
{
	size_t n = sizeof(cases) / sizeof(cases[0]), j;

	for (int i = 1; i < argc; i++) {
		for (j = 0; j < n && strcmp(cases[j].name, argv[i]); j++)
			;
		if (j == n) {
			fprintf(stderr, "free_errors: no case %s\n", argv[i]);
			return 2;
		}
		cases[j].run();
	}
	return 0;
}
