/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_LEDGER_H
#define SEEP_TESTS_LEDGER_H
/* What a target itself knows of its live blocks: the ground truth that seep's `block` records must
 * equal.
 *
 * Every allocation of a target goes through the wrappers below. They are always inlined, so the
 * allocator is called from the function that the ledger names, and they keep address, requested
 * size and function in a table of their own, in mmap'ed memory: the ledger never allocates by
 * malloc, takes no lock and works in a signal handler. A block is entered after the allocator
 * returned it and taken out before it is freed, so no address is in the table twice.
 *
 * Protocol: `{"ready":PID}` on stdout; a line `go` on stdin starts the work; the ledger as one
 * JSON line; a line `end` or the end of stdin ends the program. --auto: no waiting and no ready
 * line, the ledger is appended to the file that $LEDGER_FILE names; --hold: with --auto, wait
 * for `end` all the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A function that a stack must show: never inlined, cloned or renamed. */
#define SITE __attribute__((noipa)) static
#define LEDGER_INLINE static inline __attribute__((always_inline, unused))
#define LEDGER_FN static __attribute__((noipa, unused))

enum {
	LEDGER_SLOTS = 1 << 20, /* x 32 B, touched as used; more live blocks than that: abort */
	LEDGER_LINE_BYTES = 192,
};

/* address 0: never used, 1: taken out. kind: "malloc", or "mmap" and "brk" for ranges. */
struct ledger_slot {
	uintptr_t address;
	size_t size_bytes;
	const char *function, *kind;
};

/* Counts of successful calls: a realloc that returned a block is an allocation, and a free too
 * when it got one. */
struct ledger {
	struct ledger_slot *slots;
	uint64_t allocations, frees, allocated_bytes, freed_bytes;
	uint64_t inherited_frees; /* of blocks from before the fork */
	uint64_t unknown_frees;	  /* double and foreign frees, announced by the target */
	char notes[512]; /* further members of the JSON object, each with a leading comma */
	const char *role;
	int automatic, hold;
};

static struct ledger ledger;

LEDGER_FN void ledger_die(const char *what)
{
	if (write(2, what, strlen(what)) < 0 || write(2, "\n", 1) < 0)
		_exit(98);
	_exit(99);
}

/* Hides a value from the optimizer: no call is folded, split off or warned about. */
LEDGER_INLINE size_t ledger_opaque(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

/* Also in a fork's child: whatever it inherited is not its own. */
LEDGER_FN void ledger_reset(const char *role)
{
	size_t n_bytes = LEDGER_SLOTS * sizeof(*ledger.slots);

	if (ledger.slots && munmap(ledger.slots, n_bytes))
		ledger_die("ledger: munmap");
	ledger.slots = (struct ledger_slot *)mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
						  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
						  0);
	if (ledger.slots == MAP_FAILED)
		ledger_die("ledger: mmap");
	ledger.allocations = ledger.frees = ledger.allocated_bytes = ledger.freed_bytes = 0;
	ledger.inherited_frees = ledger.unknown_frees = 0;
	ledger.notes[0] = '\0';
	ledger.role = role;
}

LEDGER_INLINE size_t ledger_hash(uintptr_t address)
{
	return (size_t)((address >> 4) * 0x9e3779b97f4a7c15ull >> 44) & (LEDGER_SLOTS - 1);
}

LEDGER_FN void ledger_enter(uintptr_t address, size_t size_bytes, const char *function,
			    const char *kind)
{
	size_t i = ledger_hash(address);

	for (size_t n = 0; n < LEDGER_SLOTS; n++, i = (i + 1) & (LEDGER_SLOTS - 1)) {
		struct ledger_slot *s = &ledger.slots[i];
		uintptr_t old = __atomic_load_n(&s->address, __ATOMIC_RELAXED);

		if (old > 1 || !__atomic_compare_exchange_n(&s->address, &old, address, 0,
							    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		s->size_bytes = size_bytes;
		s->function = function;
		s->kind = kind;
		return;
	}
	ledger_die("ledger: full");
}

LEDGER_FN struct ledger_slot *ledger_find(uintptr_t address)
{
	size_t i = ledger_hash(address);

	for (size_t n = 0; n < LEDGER_SLOTS; n++, i = (i + 1) & (LEDGER_SLOTS - 1)) {
		uintptr_t have = __atomic_load_n(&ledger.slots[i].address, __ATOMIC_RELAXED);

		if (have == address)
			return &ledger.slots[i];
		if (!have)
			break;
	}
	return NULL;
}

/* access: p is not dereferenced, so the contents of a new block need not be set. */
__attribute__((access(none, 1))) LEDGER_FN void ledger_add(const void *p, size_t size_bytes,
							   const char *function)
{
	if (!p)
		return;
	__atomic_add_fetch(&ledger.allocations, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&ledger.allocated_bytes, size_bytes, __ATOMIC_RELAXED);
	ledger_enter((uintptr_t)p, size_bytes, function, "malloc");
}

/* Returns what was known of p: address 0 when nothing was. */
__attribute__((access(none, 1))) LEDGER_FN struct ledger_slot ledger_remove(const void *p)
{
	struct ledger_slot none = {0, 0, NULL, NULL}, was;
	struct ledger_slot *s = p ? ledger_find((uintptr_t)p) : NULL;

	if (!s)
		return none;
	was = *s;
	__atomic_store_n(&s->address, 1, __ATOMIC_RELEASE);
	__atomic_add_fetch(&ledger.frees, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&ledger.freed_bytes, was.size_bytes, __ATOMIC_RELAXED);
	return was;
}

/* A realloc that failed: the old block is as it was. */
LEDGER_FN void ledger_restore(const struct ledger_slot *was)
{
	if (!was->address)
		return;
	__atomic_sub_fetch(&ledger.frees, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&ledger.freed_bytes, was->size_bytes, __ATOMIC_RELAXED);
	ledger_enter(was->address, was->size_bytes, was->function, was->kind);
}

LEDGER_INLINE void *ledger_malloc(size_t n, const char *function)
{
	void *p = malloc(ledger_opaque(n));

	ledger_add(p, n, function);
	return p;
}

LEDGER_INLINE void *ledger_calloc(size_t n, size_t size, const char *function)
{
	void *p = calloc(ledger_opaque(n), ledger_opaque(size));

	ledger_add(p, n * size, function);
	return p;
}

/* realloc(p, 0) frees in glibc, jemalloc and tcmalloc and makes an empty block in musl and
 * mimalloc: NULL tells. */
LEDGER_INLINE void *ledger_realloc(void *old, size_t n, const char *function)
{
	struct ledger_slot was = ledger_remove(old);
	void *p = realloc(old, ledger_opaque(n));

	if (p)
		ledger_add(p, n, function);
	else if (n)
		ledger_restore(&was);
	return p;
}

LEDGER_INLINE int ledger_posix_memalign(void **ret, size_t alignment, size_t n,
					const char *function)
{
	int err = posix_memalign(ret, ledger_opaque(alignment), ledger_opaque(n));

	if (!err)
		ledger_add(*ret, n, function);
	return err;
}

LEDGER_INLINE void *ledger_aligned_alloc(size_t alignment, size_t n, const char *function)
{
	void *p = aligned_alloc(ledger_opaque(alignment), ledger_opaque(n));

	ledger_add(p, n, function);
	return p;
}

LEDGER_INLINE void ledger_free(void *p)
{
	ledger_remove(p);
	free(p);
}

/* By __func__, which is the caller's. */
#define zoo_malloc(n) ledger_malloc(n, __func__)
#define zoo_calloc(n, size) ledger_calloc(n, size, __func__)
#define zoo_realloc(p, n) ledger_realloc(p, n, __func__)
#define zoo_posix_memalign(ret, alignment, n) ledger_posix_memalign(ret, alignment, n, __func__)
#define zoo_aligned_alloc(alignment, n) ledger_aligned_alloc(alignment, n, __func__)
#define zoo_free(p) ledger_free(p)

LEDGER_FN void ledger_write(int fd, const char *text, size_t n_bytes)
{
	while (n_bytes) {
		ssize_t n = write(fd, text, n_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			ledger_die("ledger: write");
		text += n;
		n_bytes -= (size_t)n;
	}
}

/* The next line of stdin; 0 at its end. */
LEDGER_FN int ledger_read_line(char *line, size_t n_bytes)
{
	size_t n = 0;

	for (;;) {
		char c;
		ssize_t got = read(0, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		if (c == '\n')
			break;
		if (n + 1 < n_bytes)
			line[n++] = c;
	}
	line[n] = '\0';
	return 1;
}

LEDGER_FN void ledger_wait_for(const char *word)
{
	char line[64];

	while (ledger_read_line(line, sizeof(line)))
		if (!strcmp(line, word))
			return;
}

/* Adds `"name":value` to the printed object. */
LEDGER_FN void ledger_note(const char *name, unsigned long long value)
{
	size_t n = strlen(ledger.notes);

	snprintf(ledger.notes + n, sizeof(ledger.notes) - n, ",\"%s\":%llu", name, value);
}

LEDGER_FN size_t ledger_format(char *out)
{
	char *at = out;
	const char *comma = "";

	at += sprintf(at, "{\"ledger\":[");
	for (size_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct ledger_slot *s = &ledger.slots[i];

		if (s->address <= 1)
			continue;
		at += snprintf(
			at, LEDGER_LINE_BYTES,
			"%s{\"address\":\"0x%llx\",\"size\":%zu,\"function\":\"%.100s\",\"kind\":\"%s\"}",
			comma, (unsigned long long)s->address, s->size_bytes, s->function, s->kind);
		comma = ",";
	}
	at += snprintf(
		at, 512 + sizeof(ledger.notes),
		"],\"pid\":%d,\"role\":\"%s\",\"allocations\":%llu,\"frees\":%llu,\"allocated_bytes\":%llu,"
		"\"freed_bytes\":%llu,\"inherited_frees\":%llu,\"unknown_frees\":%llu%s}\n",
		(int)getpid(), ledger.role, (unsigned long long)ledger.allocations,
		(unsigned long long)ledger.frees, (unsigned long long)ledger.allocated_bytes,
		(unsigned long long)ledger.freed_bytes, (unsigned long long)ledger.inherited_frees,
		(unsigned long long)ledger.unknown_frees, ledger.notes);
	return (size_t)(at - out);
}

/* Prints the ledger as one line, by one write where the kernel takes it whole: processes may
 * share the file. */
LEDGER_FN void ledger_print(void)
{
	const char *path = ledger.automatic ? getenv("LEDGER_FILE") : NULL;
	size_t n_live = 0, n_bytes;
	int fd = 1;
	char *text;

	for (size_t i = 0; i < LEDGER_SLOTS; i++)
		n_live += ledger.slots[i].address > 1;
	n_bytes = (n_live + 8) * LEDGER_LINE_BYTES + sizeof(ledger.notes);
	text = (char *)mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	if (text == MAP_FAILED)
		ledger_die("ledger: mmap");
	if (path)
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		ledger_die("ledger: $LEDGER_FILE cannot be opened");
	ledger_write(fd, text, ledger_format(text));
	if (path)
		close(fd);
	munmap(text, n_bytes);
}

/* Once, before any allocation of the target's own. Takes --auto, --hold and --role NAME from
 * anywhere in argv. */
LEDGER_FN void ledger_start(int argc, char **argv)
{
	char ready[64];

	ledger_reset("main");
	for (int i = 1; i < argc; i++) {
		ledger.automatic |= !strcmp(argv[i], "--auto");
		ledger.hold |= !strcmp(argv[i], "--hold");
		if (!strcmp(argv[i], "--role") && i + 1 < argc)
			ledger.role = argv[i + 1];
	}
	if (ledger.automatic)
		return;
	snprintf(ready, sizeof(ready), "{\"ready\":%d}\n", (int)getpid());
	ledger_write(1, ready, strlen(ready));
	ledger_wait_for("go");
}

/* Prints the ledger and waits until the test has looked. */
LEDGER_FN void ledger_finish(void)
{
	ledger_print();
	if (!ledger.automatic || ledger.hold)
		ledger_wait_for("end");
}

#endif
