/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is touched without an allocator: each function brings a known number of bytes, of small and huge pages, by its own
 * hand and by the kernel's, and some of it is given back.
 *
 * Protocol as in ledger.h, but the ledger is bytes by function: what it brought and what of that is left. --now: no waiting for
 * `go`; --churn: nothing grows, malloc and free run instead. */
#include <alloca.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITE __attribute__((noipa)) static
#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define HUGE_BYTES (2 * MIB)

static struct {
	const char *function;
	size_t brought, left;
} ledger[32];
static size_t n_ledger;

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static void enter(const char *function, size_t brought, size_t left)
{
	ledger[n_ledger].function = function;
	ledger[n_ledger].brought = brought;
	ledger[n_ledger++].left = left;
}

static char *map(size_t n_bytes, int flags)
{
	char *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* Small pages whatever the machine's setting. */
static char *map_small(size_t n_bytes)
{
	char *p = map(n_bytes, MAP_PRIVATE);

	if (madvise(p, n_bytes, MADV_NOHUGEPAGE))
		die("MADV_NOHUGEPAGE");
	return p;
}

static inline __attribute__((always_inline)) void touch(volatile char *p, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i += PAGE)
		p[i] = 1;
}

SITE void growth_small(void)
{
	touch(map_small(32 * MIB), 32 * MIB);
	enter(__func__, 32 * MIB, 32 * MIB);
}

SITE void growth_huge(void)
{
	char *p = map(66 * MIB, MAP_PRIVATE);

	p += -(uintptr_t)p & (HUGE_BYTES - 1);
	if (madvise(p, 64 * MIB, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE");
	touch(p, 64 * MIB);
	enter(__func__, 64 * MIB, 64 * MIB);
}

/* What is read first has the zero page: no memory yet. */
SITE void growth_read(const volatile char *p, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i += PAGE)
		(void)p[i];
	enter(__func__, 0, 0);
}

SITE void growth_written_later(void)
{
	char *p = map_small(8 * MIB);

	growth_read(p, 8 * MIB);
	touch(p, 8 * MIB);
	enter(__func__, 8 * MIB, 8 * MIB);
}

/* The kernel touches it, by read(2). */
SITE void growth_by_kernel(void)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, map_small(16 * MIB), 16 * MIB) != (ssize_t)(16 * MIB))
		die("/dev/zero");
	close(fd);
	enter(__func__, 16 * MIB, 16 * MIB);
}

SITE void growth_brk(void)
{
	char *p = sbrk(0);

	p = sbrk(8 * MIB + (-(uintptr_t)p & (PAGE - 1)));
	if (p == (void *)-1)
		die("sbrk");
	p += -(uintptr_t)p & (PAGE - 1);
	if (madvise(p, 8 * MIB, MADV_NOHUGEPAGE))
		die("MADV_NOHUGEPAGE");
	touch(p, 8 * MIB);
	enter(__func__, 8 * MIB, 8 * MIB);
}

SITE void growth_populate(void)
{
	map(8 * MIB, MAP_PRIVATE | MAP_POPULATE);
	enter(__func__, 8 * MIB, 8 * MIB);
}

/* Half of it is dropped, half of the rest unmapped. */
SITE void growth_given_back(void)
{
	char *p = map_small(32 * MIB);

	touch(p, 32 * MIB);
	if (madvise(p, 16 * MIB, MADV_DONTNEED) || munmap(p + 16 * MIB, 8 * MIB))
		die("MADV_DONTNEED, munmap");
	if (!madvise(p, 32 * MIB + 1, MADV_DONTNEED + 1000))
		die("advice without sense");
	enter(__func__, 32 * MIB, 8 * MIB);
}

SITE void growth_shrunk(void)
{
	char *p = sbrk(8 * MIB);

	touch(p, 8 * MIB);
	if (sbrk(-8 * (intptr_t)MIB) == (void *)-1)
		die("sbrk");
	enter(__func__, 8 * MIB, 0);
}

SITE void growth_moved(void)
{
	char *p = map_small(8 * MIB), *block;

	touch(p, 8 * MIB);
	block = map(64 * MIB, MAP_PRIVATE);
	p = mremap(p, 8 * MIB, 16 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, block);
	if (p == MAP_FAILED || munmap(p, 4 * MIB))
		die("mremap");
	enter(__func__, 8 * MIB, 4 * MIB);
}

/* Replaced by a mapping at the same address, of which nothing is touched. */
SITE void growth_replaced(void)
{
	char *p = map_small(8 * MIB);

	touch(p, 8 * MIB);
	if (mmap(p, 8 * MIB, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, -1,
		 0) != p)
		die("MAP_FIXED");
	enter(__func__, 8 * MIB, 0);
}

SITE void growth_stack(void)
{
	volatile char *p = alloca(4 * MIB);

	for (size_t i = 4 * MIB; i > 0; i -= PAGE)
		p[i - 1] = 1;
	enter(__func__, 4 * MIB, 4 * MIB);
}

SITE void *growth_thread(void *arg)
{
	(void)arg;
	touch(map_small(8 * MIB), 8 * MIB);
	enter(__func__, 8 * MIB, 8 * MIB);
	return NULL;
}

/* Memory of other kinds. */
SITE void growth_shared(void)
{
	touch(map(8 * MIB, MAP_SHARED), 8 * MIB);
	enter(__func__, 0, 0);
}

SITE void growth_file(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	size_t n_bytes = (size_t)lseek(fd, 0, SEEK_END);
	const volatile char *p = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		die("/proc/self/exe");
	for (size_t i = 0; i < n_bytes; i += PAGE)
		(void)p[i];
	close(fd);
	enter(__func__, 0, 0);
}

/* In the child: pages that it has of its parent are copied, which is not its growth. */
SITE void growth_copied(char *p, size_t n_bytes)
{
	touch(p, n_bytes);
	enter(__func__, 0, 0);
}

SITE void growth_child(void)
{
	touch(map_small(8 * MIB), 8 * MIB);
	enter(__func__, 8 * MIB, 8 * MIB);
}

/* Children that work in this memory until they execute something: what that is laid out in is not. */
SITE void growth_spawn(void)
{
	char *argv[] = {"growth_pages", "--exit", NULL};

	for (int i = 0; i < 50; i++) {
		pid_t pid = vfork();

		if (!pid) {
			execv("/proc/self/exe", argv);
			_exit(98);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("vfork");
	}
	enter(__func__, 0, 0);
}

static size_t anonymous_bytes(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	size_t kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Anonymous: %zu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

static void print_ledger(const char *role, size_t before)
{
	size_t now = anonymous_bytes();

	printf("{\"role\":\"%s\",\"pid\":%d,\"anonymous_before\":%zu,\"anonymous\":%zu,\"functions\":{",
	       role, getpid(), before, now);
	for (size_t i = 0; i < n_ledger; i++)
		printf("%s\"%s\":[%zu,%zu]", i ? "," : "", ledger[i].function, ledger[i].brought,
		       ledger[i].left);
	printf("}}\n");
	fflush(stdout);
}

static void fork_child(void)
{
	char *inherited = map_small(8 * MIB);
	pid_t pid;

	touch(inherited, 8 * MIB);
	enter(__func__, 8 * MIB, 8 * MIB);
	pid = fork();
	if (!pid) {
		n_ledger = 0;
		growth_copied(inherited, 8 * MIB);
		growth_child();
		print_ledger("child", 0);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		die("fork");
}

static void grow(void)
{
	pthread_t thread;

	growth_small();
	growth_huge();
	growth_written_later();
	growth_by_kernel();
	growth_brk();
	growth_populate();
	growth_given_back();
	growth_shrunk();
	growth_moved();
	growth_replaced();
	growth_stack();
	growth_shared();
	growth_file();
	growth_spawn();
	if (pthread_create(&thread, NULL, growth_thread, NULL) || pthread_join(thread, NULL))
		die("thread");
	fork_child();
}

/* Blocks come and go in memory that is there. */
SITE void growth_churn(size_t n)
{
	static void *blocks[64];

	for (size_t i = 0; i < n; i++) {
		size_t slot = i % 64;

		free(blocks[slot]);
		blocks[slot] = malloc(16 + 16 * slot);
		if (!blocks[slot])
			die("malloc");
		memset(blocks[slot], 1, 16);
	}
}

static int wait_for(const char *word)
{
	char line[32];

	while (fgets(line, sizeof(line), stdin))
		if (!strncmp(line, word, strlen(word)))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	int now = argc > 1 && !strcmp(argv[1], "--now");
	int churn = argc > 1 && !strcmp(argv[1], "--churn");
	size_t before;

	if (argc > 1 && !strcmp(argv[1], "--exit"))
		return 0;
	growth_churn(1000);
	if (!now) {
		printf("{\"ready\":%d}\n", getpid());
		fflush(stdout);
		if (!wait_for("go"))
			return 0;
	}
	before = anonymous_bytes();
	if (churn)
		growth_churn(2000000);
	else
		grow();
	print_ledger("main", before);
	if (!now)
		wait_for("end");
	return 0;
}
