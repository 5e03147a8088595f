/* SPDX-License-Identifier: BSD-2-Clause */
/* The ledger test's target: threads that allocate, resize and free at random, each other's
 * blocks too, while threads die and processes fork; then the table of what is live. Options:
 * --ops N per thread, --threads N, --generations N (threads die and are replaced that often),
 * --slots N (bound of live blocks), --seed N; --fill N: only N allocations of one thread,
 * nothing is freed. */
#include <malloc.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ledger.h"

enum { MAX_THREADS = 64, N_CHILD_FREES = 100, N_CHILD_BLOCKS = 60 };

struct storm {
	uint64_t ops, threads, generations, slots, seed, fill;
};

static struct storm options = {.ops = 250000,
			       .threads = 4,
			       .generations = 5,
			       .slots = 20000,
			       .seed = 1};

/* The blocks in play. A thread takes a pointer out by exchange, so one thread owns it at a time,
 * and the copy that a fork makes holds only blocks that nobody was working on. */
static void **slots;

static uint64_t next_random(uint64_t *state)
{
	/* xorshift64*, Vigna 2016 */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* Mostly small, now and then beyond the mmap threshold, sometimes nothing. */
static size_t random_size(uint64_t random)
{
	if (random % 5000 == 0)
		return 200000 + random % 100000;
	if (random % 20 == 0)
		return random % 20000;
	return random % 300;
}

static void **random_slot(uint64_t random)
{
	return &slots[random % options.slots];
}

SITE void *zoo_storm_malloc(size_t n)
{
	return zoo_malloc(n);
}

SITE void *zoo_storm_calloc(size_t n)
{
	return zoo_calloc(n / 8 + 1, 8);
}

SITE void *zoo_storm_realloc_null(size_t n)
{
	return zoo_realloc(NULL, n + 1);
}

SITE void *zoo_storm_posix_memalign(size_t n)
{
	void *p = NULL;

	return zoo_posix_memalign(&p, (size_t)32 << n % 5, n) ? NULL : p;
}

SITE void *zoo_storm_aligned_alloc(size_t n)
{
	return zoo_aligned_alloc(64, (n + 63) & ~(size_t)63);
}

SITE void *zoo_storm_memalign(size_t n)
{
	void *p = memalign(ledger_opaque(128), ledger_opaque(n));

	ledger_add(p, n, __func__);
	return p;
}

SITE void *zoo_storm_valloc(size_t n)
{
	void *p = valloc(ledger_opaque(n));

	ledger_add(p, n, __func__);
	return p;
}

SITE void *zoo_storm_realloc(void *p, size_t n)
{
	return zoo_realloc(p, n + 1);
}

SITE void zoo_storm_realloc_fails(void *p)
{
	if (zoo_realloc(p, (size_t)1 << 62))
		ledger_die("realloc to 2^62 bytes succeeded");
}

static void *allocate(uint64_t random)
{
	size_t n = random_size(random >> 8);

	switch (random % 64) {
	case 0 ... 7:
		return zoo_storm_calloc(n);
	case 8 ... 11:
		return zoo_storm_realloc_null(n);
	case 12 ... 14:
		return zoo_storm_posix_memalign(n);
	case 15 ... 17:
		return zoo_storm_aligned_alloc(n);
	case 18 ... 20:
		return zoo_storm_memalign(n);
	case 21:
		return zoo_storm_valloc(n % 4096);
	default:
		return zoo_storm_malloc(n);
	}
}

/* One to three calls. The block that ends up in the slot is freed by whoever draws the slot
 * next. */
static void storm_once(uint64_t *state)
{
	uint64_t random = next_random(state), kind = random % 100;
	void *p = __atomic_exchange_n(random_slot(random >> 32), NULL, __ATOMIC_ACQ_REL);

	if (!p)
		p = allocate(next_random(state));
	else if (kind < 15)
		p = zoo_storm_realloc(p, random_size(next_random(state)));
	else if (kind < 16)
		zoo_storm_realloc_fails(p);
	else if (kind < 17) {
		zoo_realloc(p, 0);
		return;
	} else {
		zoo_free(p);
		return;
	}
	p = __atomic_exchange_n(random_slot(next_random(state) >> 16), p, __ATOMIC_ACQ_REL);
	zoo_free(p);
}

static void storm(uint64_t n_ops, uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;

	for (uint64_t i = 0; i < n_ops; i++)
		storm_once(&state);
}

/* Ends by its number in one of four ways: returns, pthread_exit, cancelled, and without libc
 * being told. */
static void *worker(void *arg)
{
	uint64_t number = (uintptr_t)arg;

	storm(options.ops / options.generations, options.seed * 1000 + number);
	switch (number % 4) {
	case 1:
		pthread_exit(NULL);
	case 2:
		pthread_cancel(pthread_self());
		pthread_testcancel();
		break;
	case 3:
		syscall(SYS_exit, 0);
	}
	return NULL;
}

/* The child of a fork amid the storm: frees what it inherited, allocates, and is gone without a
 * word to libc. */
static void run_child(uint64_t seed)
{
	void *own[N_CHILD_BLOCKS];
	uint64_t state = seed + 1;

	ledger_reset("child");
	for (unsigned i = 0; i < N_CHILD_FREES; i++) {
		void *p = *random_slot(i);

		*random_slot(i) = NULL;
		free(p);
		ledger.inherited_frees += p != NULL;
	}
	for (unsigned i = 0; i < N_CHILD_BLOCKS; i++)
		own[i] = allocate(next_random(&state));
	for (unsigned i = 0; i < N_CHILD_BLOCKS; i += 2)
		zoo_free(own[i]);
	ledger_print();
	_exit(0);
}

/* Two children while the threads run. */
static void fork_amid(uint64_t generation)
{
	for (uint64_t i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid < 0)
			ledger_die("fork");
		if (!pid)
			run_child(options.seed + generation * 2 + i);
		if (waitpid(pid, NULL, 0) != pid)
			ledger_die("waitpid");
	}
}

static void run_generation(uint64_t generation)
{
	pthread_t threads[MAX_THREADS];

	for (uint64_t i = 0; i < options.threads; i++) {
		uint64_t number = generation * MAX_THREADS + i + generation % 4;

		if (pthread_create(&threads[i], NULL, worker, (void *)(uintptr_t)number))
			ledger_die("pthread_create");
	}
	fork_amid(generation);
	for (uint64_t i = 0; i < options.threads; i++)
		pthread_join(threads[i], NULL);
}

static void fill(void)
{
	uint64_t state = options.seed;

	for (uint64_t i = 0; i < options.fill; i++)
		zoo_storm_malloc(next_random(&state) % 200);
}

static void parse(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint64_t *value;
	} known[] = {
		{"--ops", &options.ops},
		{"--threads", &options.threads},
		{"--generations", &options.generations},
		{"--slots", &options.slots},
		{"--seed", &options.seed},
		{"--fill", &options.fill},
	};

	for (int i = 1; i + 1 < argc; i++)
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (!strcmp(argv[i], known[k].name))
				*known[k].value = strtoull(argv[++i], NULL, 10);
	if (!options.generations || !options.seed || options.slots < N_CHILD_FREES ||
	    options.threads > MAX_THREADS)
		ledger_die("ledger_storm: nonsense option");
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	slots = mmap(NULL, options.slots * sizeof(*slots), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED)
		ledger_die("mmap");
	ledger_start(argc, argv);
	if (options.fill)
		fill();
	else
		for (uint64_t generation = 0; generation < options.generations; generation++)
			run_generation(generation);
	ledger_finish();
	return 0;
}
