// SPDX-License-Identifier: BSD-2-Clause
/* A child of ours calls stubs that look like allocation functions to the probes: the first argument
 * is a size or a pointer, what they return is the second one. It times all of them, waits until the
 * probes stand, and times them again; the difference is the probes'. */
#include "attach/calibrate.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/closer.h"
#include "attach/kernel.h"
#include "attach/place.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "plan/plan.h"
#include "process/identity.h"
#include "process/maps.h"

/* Short rounds, and many: other programs disturb some of them. */
#define N_ROUNDS 15
#define CALLS_EMULATED 200
#define CALLS_STEPPED 40
/* Nobody reads what is there. */
#define FIRST_ADDRESS 0x10000000ULL
#define ADDRESS_STEP 64
#define SIZE_BYTES 64
#define SIZE_LEFT_OUT_BYTES 1
#define MAX_OUTSTANDING 4096

#ifndef __x86_64__
#error "no stubs for this machine yet"
#endif

typedef uint64_t stub_function(uint64_t size_or_pointer, uint64_t pointer);

/* In assembly, as the instructions are what is measured. call_NAME: with a size, or with 0 for a
 * pointer. Each stub has its own call site: a stub called from where a skipped one was called last
 * would look like reached from there by a tail jump (bpf/thread.bpf.h, silent_encloses()). */
#define STUB(name, first, before_return)                                                           \
	__attribute__((visibility("hidden"))) stub_function name;                                  \
	static __attribute__((noinline)) void call_##name(uint64_t size_bytes, unsigned n_calls)   \
	{                                                                                          \
		for (unsigned i = 0; i < n_calls; i++) {                                           \
			uint64_t pointer = FIRST_ADDRESS + (uint64_t)i * ADDRESS_STEP;             \
                                                                                                   \
			name(size_bytes ? size_bytes : pointer, pointer);                          \
		}                                                                                  \
	}                                                                                          \
	__attribute__((visibility("hidden"))) stub_function name##_ret;                            \
	__asm__(".pushsection .text\n\t.p2align 4\n\t.type " #name ", @function\n" #name           \
		":\n\t" first "\n\tmov %rsi, %rax\n\t" before_return "\n" #name "_ret:\n\tret\n\t" \
		".size " #name ", .-" #name "\n\t.popsection")
#define STUB_EMULATED(name) STUB(name, "push %rbp", "pop %rbp")
#define STUB_STEPPED(name) STUB(name, "test %rdi, %rdi", "")

STUB_EMULATED(stub_free_emulated);
STUB_EMULATED(stub_allocate_emulated);
STUB_EMULATED(stub_exits_emulated);
STUB_EMULATED(stub_floor_emulated);
STUB_EMULATED(stub_floor_return_emulated);
STUB_STEPPED(stub_free_stepped);
STUB_STEPPED(stub_allocate_stepped);
STUB_STEPPED(stub_exits_stepped);
STUB_STEPPED(stub_floor_stepped);
STUB_STEPPED(stub_floor_return_stepped);

/* Where the probes go. empty: with programs that do nothing. */
static const struct probed_stub {
	stub_function *stub, *ret;
	enum plan_function function;
	enum plan_end end;
	bool empty;
} probed_stubs[] = {
	{stub_free_emulated, NULL, PLAN_FREE, PLAN_END_NONE, false},
	{stub_free_stepped, NULL, PLAN_FREE, PLAN_END_NONE, false},
	{stub_allocate_emulated, NULL, PLAN_MALLOC, PLAN_END_RETURN, false},
	{stub_allocate_stepped, NULL, PLAN_MALLOC, PLAN_END_RETURN, false},
	{stub_exits_emulated, stub_exits_emulated_ret, PLAN_MALLOC, PLAN_END_EXITS, false},
	{stub_exits_stepped, stub_exits_stepped_ret, PLAN_MALLOC, PLAN_END_EXITS, false},
	{stub_floor_emulated, NULL, PLAN_FREE, PLAN_END_NONE, true},
	{stub_floor_stepped, NULL, PLAN_FREE, PLAN_END_NONE, true},
	{stub_floor_return_emulated, NULL, PLAN_MALLOC, PLAN_END_RETURN, true},
	{stub_floor_return_stepped, NULL, PLAN_MALLOC, PLAN_END_RETURN, true},
};

/* What the child times, in this order: whatever a step allocates, the next one frees, so that each
 * free finds its block and no address comes back while it is recorded. Of two steps for one result
 * the last counts. size_bytes 0: a free. */
static const struct step {
	void (*call)(uint64_t size_bytes, unsigned n_calls);
	uint64_t size_bytes;
	unsigned n_calls;
	size_t result; /* offset in struct calibration */
} steps[] = {
#define RESULT(cost, what) offsetof(struct calibration, cost.what)
	{call_stub_allocate_emulated, SIZE_BYTES, CALLS_EMULATED, RESULT(emulated, allocate_ns)},
	{call_stub_free_emulated, 0, CALLS_EMULATED, RESULT(emulated, free_ns)},
	{call_stub_exits_emulated, SIZE_BYTES, CALLS_STEPPED, RESULT(emulated, allocate_exits_ns)},
	{call_stub_free_emulated, 0, CALLS_STEPPED, RESULT(emulated, free_ns)},
	{call_stub_allocate_emulated, SIZE_LEFT_OUT_BYTES, CALLS_EMULATED,
	 RESULT(emulated, skipped_ns)},
	{call_stub_floor_emulated, 0, CALLS_EMULATED, RESULT(emulated, floor_ns)},
	{call_stub_floor_return_emulated, 0, CALLS_EMULATED,
	 RESULT(emulated, floor_with_return_ns)},
	{call_stub_allocate_stepped, SIZE_BYTES, CALLS_STEPPED, RESULT(stepped, allocate_ns)},
	{call_stub_free_stepped, 0, CALLS_STEPPED, RESULT(stepped, free_ns)},
	{call_stub_exits_stepped, SIZE_BYTES, CALLS_STEPPED, RESULT(stepped, allocate_exits_ns)},
	{call_stub_free_stepped, 0, CALLS_STEPPED, RESULT(stepped, free_ns)},
	{call_stub_allocate_stepped, SIZE_LEFT_OUT_BYTES, CALLS_STEPPED,
	 RESULT(stepped, skipped_ns)},
	{call_stub_floor_stepped, 0, CALLS_STEPPED, RESULT(stepped, floor_ns)},
	{call_stub_floor_return_stepped, 0, CALLS_STEPPED, RESULT(stepped, floor_with_return_ns)},
#undef RESULT
};

struct timing {
	double call_ns[ARRAY_SIZE(steps)];
};

static double time_step(const struct step *s)
{
	uint64_t start = clock_monotonic_ns();

	s->call(s->size_bytes, s->n_calls);
	return (double)(clock_monotonic_ns() - start) / s->n_calls;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void time_all(struct timing *ret)
{
	double rounds[ARRAY_SIZE(steps)][N_ROUNDS];

	for (size_t r = 0; r < N_ROUNDS; r++)
		for (size_t s = 0; s < ARRAY_SIZE(steps); s++)
			rounds[s][r] = time_step(&steps[s]);
	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		qsort(rounds[s], N_ROUNDS, sizeof(rounds[s][0]), compare);
		ret->call_ns[s] = rounds[s][N_ROUNDS / 2];
	}
}

/* Answers each byte with a timing; ends with us, as the socket does. */
static _Noreturn void run_child(int fd)
{
	struct timing timing;
	char go;

	while (read(fd, &go, 1) == 1) {
		time_all(&timing);
		if (write(fd, &timing, sizeof(timing)) != sizeof(timing))
			break;
	}
	_exit(0);
}

struct rig {
	pid_t child;
	int socket;
	struct kernel *kernel, *empty;
	struct closer *closer;
	struct links links;
};

static int start_child(struct rig *r, struct diag *d)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return diag_set(d, errno, "calibration: no socket: %s", strerror(errno));
	r->child = fork();
	if (!r->child) {
		close(sockets[0]);
		run_child(sockets[1]);
	}
	close(sockets[1]);
	r->socket = sockets[0];
	return r->child < 0 ? diag_set(d, errno, "calibration: cannot fork: %s", strerror(errno))
			    : 0;
}

static int get_timing(const struct rig *r, struct timing *ret, struct diag *d)
{
	if (send(r->socket, "", 1, MSG_NOSIGNAL) != 1 ||
	    recv(r->socket, ret, sizeof(*ret), MSG_WAITALL) != sizeof(*ret))
		return diag_set(d, EIO, "calibration: the process that is measured ended");
	return 0;
}

/* seep's own file, and what to add to an address of a stub for its offset there. */
static int open_stubs(uint64_t *ret_difference, struct diag *d)
{
	struct maps maps = {0};
	const struct mapping *m;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return diag_set(d, errno, "/proc/self/exe: %s", strerror(errno));
	err = maps_read(getpid(), &maps, d);
	m = err ? NULL : maps_find(&maps, (uintptr_t)probed_stubs[0].stub);
	if (m)
		*ret_difference = m->file_offset - m->start;
	else if (!err)
		err = diag_set(d, ENOENT, "calibration: seep's own text is not mapped");
	maps_done(&maps);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int place(struct rig *r, bool empty, struct diag *d)
{
	struct plan_exit exits[ARRAY_SIZE(probed_stubs)];
	struct plan_probe probes[ARRAY_SIZE(probed_stubs)];
	/* As in an allocator that is known: its malloc may be skipped. */
	struct plan plan = {.allocator = PLAN_ALLOCATOR_GLIBC, .items = probes};
	uint64_t difference = 0;
	_cleanup_close_ int fd = open_stubs(&difference, d);

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < ARRAY_SIZE(probed_stubs); i++) {
		const struct probed_stub *s = &probed_stubs[i];

		if (s->empty != empty)
			continue;
		exits[plan.n].offset = (uintptr_t)s->ret + difference;
		probes[plan.n] = (struct plan_probe){
			.function = s->function,
			.symbol = s->function == PLAN_FREE ? "free" : "malloc",
			.end = s->end,
			.offset = (uintptr_t)s->stub + difference,
			.exits = &exits[plan.n],
			.n_exits = s->ret ? 1 : 0,
		};
		plan.n++;
	}
	return place_plan(empty ? r->empty : r->kernel, r->child, fd, &plan, PLACE_ALL, &r->links,
			  d);
}

static int open_kernels(struct rig *r, enum link_kind link, struct diag *d)
{
	struct kernel_options options = {
		.link = link,
		.min_size_bytes = SIZE_LEFT_OUT_BYTES + 1,
		.max_outstanding = MAX_OUTSTANDING,
		.max_sites = 64,
		.max_stacks = 64,
		.max_frames = 127,
	};
	int err = kernel_open(&options, &r->kernel, d);

	if (err)
		return err;
	options.link = kernel_link(r->kernel);
	options.empty = true;
	return kernel_open(&options, &r->empty, d);
}

/* Traces the child as any process. */
static int trace_child(struct rig *r, struct diag *d)
{
	uint64_t ticks = 0, ns_per_tick = NS_PER_SECOND / sysconf(_SC_CLK_TCK);
	int64_t instance;
	int err;

	err = identity_start_ticks(r->child, &ticks);
	if (err)
		return diag_set(d, -err, "calibration: the process that is measured ended");
	instance = kernel_add_process(r->kernel, r->child, ticks * ns_per_tick, false, d);
	if (instance < 0)
		return instance;
	err = place(r, false, d);
	return err ? err : place(r, true, d);
}

static int measure(struct rig *r, struct calibration *ret, struct diag *d)
{
	struct timing bare, probed;
	int err = get_timing(r, &bare, d);

	if (!err)
		err = trace_child(r, d);
	if (!err)
		err = get_timing(r, &probed, d);
	if (err)
		return err;
	ret->link = kernel_link(r->kernel);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		double cost_ns = fmax(probed.call_ns[i] - bare.call_ns[i], 0);

		memcpy((char *)ret + steps[i].result, &cost_ns, sizeof(cost_ns));
	}
	return 0;
}

static void rig_done(struct rig *r)
{
	if (r->closer)
		closer_links(r->closer, &r->links);
	closer_destroy(r->closer);
	if (r->socket >= 0)
		close(r->socket);
	if (r->child > 0)
		waitpid(r->child, NULL, 0);
	kernel_close(r->empty);
	kernel_close(r->kernel);
}

int calibrate(enum link_kind link, struct calibration *ret, struct diag *d)
{
	struct rig r = {.socket = -1};
	int err = open_kernels(&r, link, d);

	if (!err)
		err = start_child(&r, d);
	if (!err)
		err = closer_create(&r.closer, d);
	if (!err)
		err = measure(&r, ret, d);
	rig_done(&r);
	return err;
}

double calibration_cost_ns(const struct calibration *c, const struct plan_probe *probe)
{
	const struct calibration_hit *hit = probe->cost == PLAN_STEPPED ? &c->stepped
									: &c->emulated;

	switch (probe->end) {
	case PLAN_END_RETURN:
		return hit->allocate_ns;
	case PLAN_END_EXITS:
		return hit->allocate_exits_ns;
	case PLAN_END_NONE:
		break;
	}
	return hit->free_ns;
}
