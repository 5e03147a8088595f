/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_STACK_H
#define SEEP_TESTS_STACK_H
/* What a target itself knows of the stack at each of its allocations: the ground truth that seep's frames must equal.
 *
 * The macros below allocate and, from the same function, call backtrace() of libc, which unwinds by CFI through libgcc: an
 * implementation that shares nothing with seep. Where there is no CFI (libstack_chain.c) the truth is a shadow stack. All that
 * a program notes stays live, and no address comes twice.
 *
 * Protocol: ledger.h's. The ledger is one line: `stacks`, the noted blocks with return addresses as they were in memory, leaf
 * first; `phases`, the modules of each phase, because after dlclose another may be at the same address; `pid`, `role`. --child: no
 * handshake, and the process ends when it has printed. */
#include <execinfo.h>
#include <link.h>
#include <sys/file.h>

#ifdef __clang__
#define noipa noinline /* the nearest that it has */
#endif
#include "ledger.h"

/* Never inlined or cloned: a frame of its own. */
#define STACK_FN LEDGER_FN

enum {
	STACK_MAX_FRAMES = 256,
	STACK_MAX_RECORDS = 1 << 15, /* x 2.2 KB, touched as used */
	STACK_MAX_MODULES = 24,
	STACK_MAX_PHASES = 48,
	STACK_LOCK_FD = 63, /* stack_print's, in processes with parents that opened it */
};

struct stack_record {
	uintptr_t address;
	size_t size_bytes;
	uintptr_t leaf_start, leaf_end; /* the leaf function's extent by its FDE; 0: it has none */
	char function[32], through[24];
	uint16_t phase, n_frames;
	uint8_t fresh;
	uintptr_t frames[STACK_MAX_FRAMES];
};

struct stack_module {
	char path[512];
	uintptr_t bias, start, end;
};

/* fresh: code was mapped a moment ago, and seep may not know it yet. */
static struct {
	struct stack_record *records;
	struct stack_module (*phases)[STACK_MAX_MODULES];
	uint32_t n_records, n_phases;
	uint8_t fresh;
	int child;
} stacks;

/* libgcc's; fde points at its length, CIE pointer, start and number of bytes, 4 bytes each as x86-64's compilers write them. */
struct stack_bases {
	void *tbase, *dbase, *func;
};
#ifdef __cplusplus
extern "C"
#endif
	const char *
	_Unwind_Find_FDE(void *pc, struct stack_bases *bases);

STACK_FN void *stack_map(size_t n_bytes)
{
	void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ledger_die("stack: mmap");
	return p;
}

/* frames: return addresses from the function that allocated on. through: what seep may see below that function, see
 * test_stacks.py. */
STACK_FN void stack_record(void *p, size_t n_bytes, const char *function, const char *through,
			   void *const *frames, int n_frames)
{
	uint32_t i = __atomic_fetch_add(&stacks.n_records, 1, __ATOMIC_RELAXED);
	struct stack_record *r = &stacks.records[i];
	struct stack_bases bases;
	const char *fde;
	uint32_t n_code;

	if (i >= STACK_MAX_RECORDS || n_frames < 1 || n_frames > STACK_MAX_FRAMES || !p)
		ledger_die("stack: no room, no stack, or no block");
	r->address = (uintptr_t)p;
	r->size_bytes = n_bytes;
	snprintf(r->function, sizeof(r->function), "%s", function);
	snprintf(r->through, sizeof(r->through), "%s", through);
	r->phase = (uint16_t)stacks.n_phases;
	r->fresh = stacks.fresh;
	r->n_frames = (uint16_t)n_frames;
	memcpy(r->frames, frames, (size_t)n_frames * sizeof(*frames));
	fde = _Unwind_Find_FDE((char *)frames[0] - 1, &bases);
	if (!fde)
		return;
	memcpy(&n_code, fde + 12, sizeof(n_code));
	r->leaf_start = (uintptr_t)bases.func;
	r->leaf_end = r->leaf_start + n_code;
}

/* Notes the stack of its caller. */
STACK_FN void stack_note(void *p, size_t n_bytes, const char *function, const char *through)
{
	void *frames[STACK_MAX_FRAMES + 1];
	int n = backtrace(frames, STACK_MAX_FRAMES + 1);

	stack_record(p, n_bytes, function, through, frames + 1, n - 1);
}

/* The barrier keeps the call from being the function's last. */
#define stack_keep(p, n_bytes, through)                                                            \
	do {                                                                                       \
		stack_note(p, n_bytes, __func__, through);                                         \
		__asm__ volatile("" ::: "memory");                                                 \
	} while (0)

#define stack_malloc(n)                                                                            \
	do {                                                                                       \
		size_t stack_size_ = ledger_opaque(n);                                             \
		void *stack_block_ = malloc(stack_size_);                                          \
		stack_keep(stack_block_, stack_size_, "");                                         \
	} while (0)

STACK_FN int stack_see_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct stack_module *m = (struct stack_module *)arg, *last = m + STACK_MAX_MODULES - 1;
	int i;

	(void)size;
	while (m->end && m < last)
		m++;
	if (m == last) /* the last one stays empty */
		ledger_die("stack: too many modules");
	m->bias = info->dlpi_addr;
	m->start = (uintptr_t)-1;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		m->start = start < m->start ? start : m->start;
		m->end = start + segment->p_memsz > m->end ? start + segment->p_memsz : m->end;
	}
	if (info->dlpi_name && *info->dlpi_name)
		snprintf(m->path, sizeof(m->path), "%s", info->dlpi_name);
	else if (readlink("/proc/self/exe", m->path, sizeof(m->path) - 1) < 0)
		ledger_die("stack: /proc/self/exe");
	return 0;
}

/* What is noted from here on is in code that may not have been there before. */
STACK_FN void stack_end_phase(void)
{
	if (stacks.n_phases == STACK_MAX_PHASES)
		ledger_die("stack: too many phases");
	dl_iterate_phdr(stack_see_module, stacks.phases[stacks.n_phases]);
	stacks.n_phases++;
}

/* Once at the start, and in a fork's child: what it inherited is not its own. */
STACK_FN void stack_reset(const char *role)
{
	void *warm[4];

	stacks.records =
		(struct stack_record *)stack_map(sizeof(struct stack_record) * STACK_MAX_RECORDS);
	stacks.phases = (struct stack_module(*)[STACK_MAX_MODULES])stack_map(
		sizeof(*stacks.phases) * STACK_MAX_PHASES);
	stacks.n_records = stacks.n_phases = 0;
	ledger.role = role;
	backtrace(warm, 4); /* loads libgcc, which allocates */
}

STACK_FN void stack_start(int argc, char **argv)
{
	int i;

	stack_reset("main");
	for (i = 1; i < argc; i++)
		stacks.child |= !strcmp(argv[i], "--child");
	if (!stacks.child)
		ledger_start(argc, argv);
	else
		ledger.role = "child";
}

STACK_FN char *stack_format_record(char *at, const struct stack_record *r)
{
	int i;

	at += sprintf(at,
		      "{\"address\":%zu,\"size\":%zu,\"function\":\"%s\",\"through\":\"%s\","
		      "\"phase\":%u,\"fresh\":%u,\"leaf\":[%zu,%zu],\"frames\":[",
		      (size_t)r->address, r->size_bytes, r->function, r->through, r->phase,
		      r->fresh, (size_t)r->leaf_start, (size_t)r->leaf_end);
	for (i = 0; i < r->n_frames; i++)
		at += sprintf(at, "%s%zu", i ? "," : "", (size_t)r->frames[i]);
	return at + sprintf(at, "]}");
}

STACK_FN size_t stack_format(char *out)
{
	char *at = out + sprintf(out, "{\"stacks\":[");
	uint32_t i;

	for (i = 0; i < stacks.n_records; i++) {
		at += sprintf(at, "%s", i ? "," : "");
		at = stack_format_record(at, &stacks.records[i]);
	}
	at += sprintf(at, "],\"phases\":[");
	for (i = 0; i < stacks.n_phases; i++) {
		const struct stack_module *m = stacks.phases[i];

		at += sprintf(at, "%s[", i ? "," : "");
		for (; m->end; m++)
			at += sprintf(at,
				      "%s{\"path\":\"%s\",\"bias\":%zu,\"start\":%zu,\"end\":%zu}",
				      m == stacks.phases[i] ? "" : ",", m->path, (size_t)m->bias,
				      (size_t)m->start, (size_t)m->end);
		at += sprintf(at, "]");
	}
	at += sprintf(at, "],\"pid\":%d,\"role\":\"%s\"}\n", (int)getpid(), ledger.role);
	return (size_t)(at - out);
}

/* Processes that share a stdout or a file take turns. */
STACK_FN void stack_print(void)
{
	size_t n_bytes = sizeof(struct stack_module) * STACK_MAX_PHASES * STACK_MAX_MODULES +
			 (size_t)stacks.n_records * (STACK_MAX_FRAMES * 20 + 400);
	const char *path = ledger.automatic || stacks.child ? getenv("LEDGER_FILE") : NULL;
	char *text = (char *)stack_map(n_bytes);
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : 1;
	int lock = open("/proc/self/fd/63", O_RDWR | O_CLOEXEC);

	stack_end_phase();
	if (fd < 0 || (lock >= 0 && flock(lock, LOCK_EX)))
		ledger_die("stack: flock");
	ledger_write(fd, text, stack_format(text));
	if (path)
		close(fd);
	if (lock >= 0)
		close(lock);
	munmap(text, n_bytes);
}

/* Prints the ledger (as ledger.h: --auto, to $LEDGER_FILE) and waits until the test has looked. */
STACK_FN void stack_finish(void)
{
	stack_print();
	if (!stacks.child && (!ledger.automatic || ledger.hold))
		ledger_wait_for("end");
}

#endif
