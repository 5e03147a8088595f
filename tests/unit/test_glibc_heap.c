// SPDX-License-Identifier: BSD-2-Clause
/* The walk is judged by the allocator itself: a child allocates and frees at random in several threads, keeps a ledger in shared memory,
 * writes down what mallinfo2() says, and stands still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/maps.h"
#include "reach/glibc_heap.h"

#ifndef __SANITIZE_ADDRESS__ /* it brings a malloc of its own */
#define N_THREADS 3
#define N_BLOCKS 4000

struct ledger {
	struct {
		uint64_t address, usable;
		bool held;
	} blocks[(N_THREADS + 1) * N_BLOCKS];
	struct mallinfo2 info;
	atomic_int n_ready;
	atomic_bool written;
};

struct load {
	struct ledger *ledger;
	unsigned index;
};

static size_t some_size(unsigned *seed)
{
	unsigned r = rand_r(seed);

	return r % 100 == 0 ? 150000 + r % 100000 : r % 10 == 0 ? r % 9000 : 1 + r % 300;
}

static void allocate(struct load *load)
{
	unsigned seed = 7 + load->index;

	for (size_t i = load->index * N_BLOCKS, n = 0; n < N_BLOCKS; i++, n++) {
		void *p = malloc(some_size(&seed));

		load->ledger->blocks[i].address = (uint64_t)p;
		load->ledger->blocks[i].usable = malloc_usable_size(p);
		load->ledger->blocks[i].held = true;
		memset(p, 0x41, malloc_usable_size(p));
	}
	for (size_t i = load->index * N_BLOCKS, n = 0; n < N_BLOCKS; i++, n++) {
		if (rand_r(&seed) % 3)
			continue;
		free((void *)load->ledger->blocks[i].address);
		load->ledger->blocks[i].held = false;
	}
}

static void *run(void *arg)
{
	struct load *load = arg;

	allocate(load);
	atomic_fetch_add(&load->ledger->n_ready, 1);
	for (;;)
		pause();
	return NULL;
}

static void child(struct ledger *ledger)
{
	static struct load loads[N_THREADS + 1];
	pthread_t threads[N_THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* No mapping of a chunk's own may turn into one that lies in an arena. */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	for (unsigned i = 0; i <= N_THREADS; i++)
		loads[i] = (struct load){ledger, i};
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_create(&threads[i], NULL, run, &loads[i + 1]);
	allocate(&loads[0]);
	while (atomic_load(&ledger->n_ready) < N_THREADS)
		usleep(1000);
	ledger->info = mallinfo2();
	atomic_store(&ledger->written, true);
	for (;;)
		pause();
}

static const struct heap_chunk *find(const struct glibc_heap *heap, uint64_t address)
{
	size_t low = 0, high = heap->n_chunks;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (heap->chunks[middle].address == address)
			return &heap->chunks[middle];
		if (heap->chunks[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool is_used(const struct heap_chunk *c)
{
	return c && (c->state == HEAP_USED || c->state == HEAP_MAPPED);
}

static void compare(const struct ledger *ledger, const struct glibc_heap *heap)
{
	const struct mallinfo2 *info = &ledger->info;
	size_t n_held = 0;

	for (size_t i = 0; i < (N_THREADS + 1) * N_BLOCKS; i++) {
		const struct heap_chunk *c = find(heap, ledger->blocks[i].address);

		if (!ledger->blocks[i].held)
			continue;
		n_held++;
		assert_true(is_used(c));
		assert_int_equal(heap_chunk_usable(c), ledger->blocks[i].usable);
	}
	assert_int_equal(heap->n_arenas, N_THREADS + 1);
	assert_int_equal(heap->n_tcaches, N_THREADS + 1);
	assert_int_equal(heap->unparsed_bytes, 0);
	assert_true(heap->by_state[HEAP_TCACHED].n && heap->by_state[HEAP_FAST].n);
	assert_int_equal(heap->by_state[HEAP_MAPPED].n, info->hblks);
	assert_int_equal(heap->by_state[HEAP_MAPPED].bytes, info->hblkhd);
	assert_int_equal(heap->by_state[HEAP_FAST].bytes, info->fsmblks);
	assert_int_equal(heap->by_state[HEAP_FREE].bytes + heap->by_state[HEAP_FAST].bytes +
				 heap->by_state[HEAP_TOP].bytes,
			 info->fordblks);
	/* What else libc allocated for itself is little: each thread's tcache and TLS, stdio. */
	assert_in_range(heap->by_state[HEAP_USED].n + heap->by_state[HEAP_MAPPED].n, n_held,
			n_held + 30);
}

static void equals_the_allocators_own_figures(void **state)
{
	struct ledger *ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct glibc_heap heap;
	struct maps maps = {0};
	struct diag d = {0};
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(ledger, MAP_FAILED);
	pid = fork();
	if (!pid)
		child(ledger);
	while (!atomic_load(&ledger->written))
		usleep(1000);
	assert_int_equal(maps_read(pid, &maps, &d), 0);
	assert_int_equal(glibc_heap_read(pid, &maps, &heap, &d), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	compare(ledger, &heap);
	glibc_heap_done(&heap);
	maps_done(&maps);
	munmap(ledger, sizeof(*ledger));
}
#endif

static uint64_t heap_bytes(const struct maps *maps)
{
	uint64_t n = 0;

	for (size_t i = 0; i < maps->n; i++)
		if (!strcmp(maps->items[i].path, "[heap]"))
			n += maps->items[i].end - maps->items[i].start;
	return n;
}

/* Of cat, which waits for its input: each byte of its one arena is in a chunk. */
static void of_another_program(void **state)
{
	struct glibc_heap heap = {0};
	struct maps maps = {0};
	struct diag d = {0};
	int input[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(input), 0);
	pid = fork();
	if (!pid) {
		dup2(input[0], 0);
		close(input[1]);
		execl("/bin/cat", "cat", NULL);
		_exit(1);
	}
	for (int i = 0; i < 500 && (heap.n_arenas != 1 || heap.unparsed_bytes); i++) {
		glibc_heap_done(&heap);
		maps_done(&maps);
		usleep(10000);
		assert_int_equal(maps_read(pid, &maps, &d), 0);
		assert_int_equal(glibc_heap_read(pid, &maps, &heap, &d), 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(input[0]);
	close(input[1]);
	assert_int_equal(heap.n_arenas, 1);
	assert_true(heap.by_state[HEAP_USED].n > 2);
	assert_int_equal(heap.by_state[HEAP_TOP].n, 1);
	assert_int_equal(heap.by_state[HEAP_USED].bytes + heap.by_state[HEAP_FREE].bytes +
				 heap.by_state[HEAP_TCACHED].bytes +
				 heap.by_state[HEAP_FAST].bytes + heap.by_state[HEAP_TOP].bytes,
			 heap_bytes(&maps));
	glibc_heap_done(&heap);
	maps_done(&maps);
}

static void is_gone(void **state)
{
	struct glibc_heap heap;
	struct maps maps = {0};
	struct diag d = {0};
	pid_t pid;

	(void)state;
	assert_int_equal(maps_read(getpid(), &maps, &d), 0);
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(glibc_heap_read(pid, &maps, &heap, &d), -ESRCH);
	assert_non_null(strstr(d.text, "cannot read its memory"));
	maps_done(&maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_ADDRESS__
		cmocka_unit_test(equals_the_allocators_own_figures),
#endif
		cmocka_unit_test(of_another_program),
		cmocka_unit_test(is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
