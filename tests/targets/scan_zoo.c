// SPDX-License-Identifier: BSD-2-Clause
/* Blocks that are reachable in many ways, and blocks that are lost, with what a scan must say of each.
 *
 * `{"ready":PID}` on stdout; a line `go` on stdin begins; then the blocks as one JSON line, and the program waits for its input to
 * end. Addresses are kept scrambled, and what functions leave behind on the stack is overwritten: the program itself must not be the
 * one who points to what it lost. A block's `says`: reachable, direct, cycle (LeakSanitizer: indirect) or indirect; `start`, where
 * other, is what holds when only pointers to the start of a block count; `lsan`, where other, what LeakSanitizer says.
 *
 * Built with -fsanitize=leak it prints LeakSanitizer's report to stderr when it gets a second line. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SITE __attribute__((noipa)) static
#define TAKE static inline __attribute__((always_inline))
#define KEY 0x5a5a5a5a5a5a5a5aULL
#define MOST 4096

static struct {
	uint64_t scrambled;
	size_t size;
	const char *function, *says, *start, *lsan;
} entries[MOST];
static int n_entries;

static void *in_bss[16];
static void *in_data[2] = {&in_data, &in_bss};
static __thread void *volatile in_tls; /* nobody reads it: else the compiler would not write it */
static int never[2];

SITE void enter(void *block, size_t size, const char *function, const char *says, const char *start,
		const char *lsan)
{
	if (!block || n_entries == MOST)
		abort();
	entries[n_entries].scrambled = (uint64_t)block ^ KEY;
	entries[n_entries].size = size;
	entries[n_entries].function = function;
	entries[n_entries].says = says;
	entries[n_entries].start = start;
	entries[n_entries++].lsan = lsan;
}

#define take(size, says) take_as(size, says, says, says)
#define take_as(size, says, start, lsan)                                                           \
	({                                                                                         \
		size_t size_ = opaque(size);                                                       \
		void *block_ = calloc(1, size_);                                                   \
		enter(block_, size_, __func__, says, start, lsan);                                 \
		(void **)block_;                                                                   \
	})

TAKE size_t opaque(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

SITE void held_in_bss(void)
{
	in_bss[0] = take(40, "reachable");
}

SITE void held_in_data(void)
{
	in_data[1] = take(48, "reachable");
}

SITE void held_in_tls(void)
{
	in_tls = take(56, "reachable");
}

SITE void held_of_no_size(void)
{
	in_bss[1] = take(0, "reachable");
}

SITE void held_inside(void)
{
	in_bss[2] = (char *)take_as(64, "reachable", "direct", "reachable") + 20;
}

SITE void held_past_end(void)
{
	in_bss[3] = (char *)take(24, "direct") + 24;
}

/* LeakSanitizer knows no roots in mappings. */
SITE void held_in_mapping(void)
{
	void **m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	m[60000] = take_as(72, "reachable", "reachable", "direct");
}

SITE void held_in_shared_memory(void)
{
	int fd = memfd_create("scan_zoo", MFD_CLOEXEC);
	void **m;

	if (ftruncate(fd, 1 << 20))
		abort();
	m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	m[70000] = take_as(80, "reachable", "reachable", "direct");
}

SITE void held_by_list(void)
{
	void **node = in_bss[4] = take(88, "reachable");

	for (int i = 0; i < 200; i++)
		node = *node = take(88, "reachable");
}

SITE void held_when_grown(void)
{
	char *p = malloc(opaque(100));

	if (!p)
		abort();
	p = realloc(p, 5000);
	enter(p, 5000, __func__, "reachable", "reachable", "reachable");
	in_bss[5] = p;
}

SITE void lost_block(void)
{
	take(104, "direct");
}

SITE void lost_hidden(void)
{
	in_bss[6] = (void *)((uint64_t)take(112, "direct") ^ 0xff00ff00ff00ff00);
}

SITE void lost_unaligned(void)
{
	uint64_t p = (uint64_t)take(120, "direct");

	memcpy((char *)in_bss + 8 * 8 + 4, &p, sizeof(p));
}

SITE void lost_list(void)
{
	void **node = take(136, "direct");

	for (int i = 0; i < 100; i++)
		node = *node = take(136, "indirect");
}

SITE void lost_tail(void)
{
	void **kept = in_bss[11] = take(152, "reachable"), **node;

	kept = *kept = take(152, "reachable");
	node = take(152, "direct");
	*kept = (void *)((uint64_t)node ^ KEY);
	for (int i = 0; i < 5; i++)
		node = *node = take(152, "indirect");
}

SITE void lost_self(void)
{
	void **p = take(168, "direct");

	*p = p;
}

/* A ring of n, all of them indirect by LeakSanitizer's definition; seep chooses one for each ring. */
#define ring(size, n)                                                                              \
	({                                                                                         \
		void **first_ = take_as(size, "ring", "ring", "indirect"), **last_ = first_;       \
		for (int i_ = 1; i_ < (n); i_++)                                                   \
			last_ = *last_ = take_as(size, "ring", "ring", "indirect");                \
		*last_ = first_;                                                                   \
		last_;                                                                             \
	})

SITE void lost_ring(void)
{
	ring(184, 2);
}

SITE void lost_ring_with_tail(void)
{
	void **p = ring(200, 7);

	p = p[1] = take(216, "indirect");
	*p = take(216, "indirect");
}

SITE void lost_ring_of_other(void)
{
	void **p = take(232, "direct");

	p = *p = take(232, "indirect");
	*p = p;
	p = p[1] = take(232, "indirect");
	*p = take(232, "indirect");
	((void **)*p)[1] = p;
}

SITE void *plant(int depth)
{
	void **p = take(depth == 6 ? 248 : 264, depth == 6 ? "direct" : "indirect");

	if (depth)
		for (int i = 0; i < 2; i++)
			p[i] = plant(depth - 1);
	return p;
}

SITE void lost_tree(void)
{
	plant(6);
}

/* Only a pointer to its middle is in an otherwise lost block. */
SITE void lost_inside(void)
{
	void **p = take(280, "direct");

	p[3] = (char *)take_as(280, "indirect", "direct", "indirect") + 100;
}

SITE void lost_large(void)
{
	void **p = take(8 << 20, "direct");

	p[1000000] = take(296, "indirect");
	p[0] = take(296, "indirect");
}

SITE void *wait_with_stack(void *arg)
{
	void *volatile on_stack = take(312, "reachable");
	char c;

	(void)arg;
	if (read(never[0], &c, 1) < 0)
		abort();
	return on_stack;
}

/* The block's only pointer is in r12 while the thread waits. */
SITE void *wait_with_register(void *arg)
{
	register long in_r12 __asm__("r12") = (long)take(328, "reachable");
	long n = SYS_read;
	char c;

	(void)arg;
	__asm__ volatile("syscall"
			 : "+a"(n), "+r"(in_r12)
			 : "D"(never[0]), "S"(&c), "d"(1)
			 : "rcx", "r11", "rbx", "r13", "r14", "r15", "r8", "r9", "r10", "memory");
	return (void *)in_r12;
}

SITE void clear_stack(void)
{
	volatile char below[128 << 10];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

SITE void work(void)
{
	pthread_t thread;

	held_in_bss();
	held_in_data();
	held_in_tls();
	held_of_no_size();
	held_inside();
	held_past_end();
	held_in_mapping();
	held_in_shared_memory();
	held_by_list();
	held_when_grown();
	lost_block();
	lost_hidden();
	lost_unaligned();
	lost_list();
	lost_tail();
	lost_self();
	lost_ring();
	lost_ring_with_tail();
	lost_ring_of_other();
	lost_tree();
	lost_inside();
	lost_large();
	if (pipe(never) || pthread_create(&thread, NULL, wait_with_stack, NULL))
		abort();
	usleep(100000);
	if (pthread_create(&thread, NULL, wait_with_register, NULL))
		abort();
	usleep(100000);
}

static void print_entries(void)
{
	printf("{\"pid\":%d,\"blocks\":[", getpid());
	for (int i = 0; i < n_entries; i++)
		printf("%s{\"address\":\"0x%llx\",\"size\":%zu,\"function\":\"%s\",\"says\":\"%s\","
		       "\"start\":\"%s\",\"lsan\":\"%s\"}",
		       i ? "," : "", (unsigned long long)(entries[i].scrambled ^ KEY),
		       entries[i].size, entries[i].function, entries[i].says, entries[i].start,
		       entries[i].lsan);
	printf("]}\n");
	fflush(stdout);
}

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

int main(void)
{
	char line[16];

	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	work();
	clear_stack();
	print_entries();
	clear_stack();
	while (fgets(line, sizeof(line), stdin))
		if (__lsan_do_recoverable_leak_check)
			__lsan_do_recoverable_leak_check();
	_exit(0);
}
