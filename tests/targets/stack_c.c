/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of every shape that a C compiler makes. Walks of random depth go through them in random order and allocate at their
 * ends, and on their ways: pushed arguments, alloca, over-aligned locals (the frame's CFA is then a word on the stack), frames that
 * no page guard fits, variable arguments, callbacks through qsort, calls that never return, tail calls, longjmp. Built at each
 * level of optimization, by two compilers, with and without frame pointers, and linked in all ways. */
#include <alloca.h>
#include <setjmp.h>
#include <stdarg.h>

#include "stack.h"

enum { WALKS = 60, MAX_DEPTH = 40 };

struct walk {
	uint64_t random;
	int depth; /* calls still to make */
};

struct big {
	uint64_t words[16];
};

typedef uint64_t step_fn(struct walk *w);

static uint64_t next_random(struct walk *w)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return w->random >> 33;
}

/* What the compiler must keep in memory. */
static void touch(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static uint64_t step(struct walk *w);

STACK_FN uint64_t step_plain(struct walk *w)
{
	uint64_t got = step(w);

	stack_malloc(100 + next_random(w) % 50);
	return got + 1;
}

STACK_FN uint64_t many(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
		       uint64_t g, uint64_t h, uint64_t i, struct walk *w)
{
	uint64_t got = step(w);

	return got + a * b + c * d + e * f + g * h + i;
}

STACK_FN uint64_t step_arguments(struct walk *w)
{
	uint64_t x = w->random;

	return many(x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, w) + x;
}

STACK_FN uint64_t step_alloca(struct walk *w)
{
	char *room = alloca(16 + next_random(w) % 3000);
	uint64_t got;

	touch(room);
	got = step(w);
	touch(room);
	return got;
}

STACK_FN uint64_t step_vla(struct walk *w)
{
	uint32_t room[1 + next_random(w) % 500];
	uint64_t got;

	touch(room);
	got = step(w);
	stack_malloc(sizeof(room));
	return got + room[0] % 2;
}

STACK_FN uint64_t step_aligned(struct walk *w)
{
	__attribute__((aligned(64))) char room[64];
	uint64_t got;

	touch(room);
	got = step(w);
	touch(room);
	return got;
}

STACK_FN uint64_t step_aligned_alloca(struct walk *w)
{
	__attribute__((aligned(128))) char room[256];
	char *more = alloca(1 + next_random(w) % 200);
	uint64_t got;

	touch(room);
	touch(more);
	got = step(w);
	stack_malloc(40);
	touch(room);
	return got;
}

STACK_FN uint64_t step_huge(struct walk *w)
{
	char room[100000];
	uint64_t got;

	touch(room);
	got = step(w);
	touch(room);
	return got;
}

STACK_FN struct big step_struct(struct walk *w, struct big by_value)
{
	by_value.words[next_random(w) % 16] += step(w);
	return by_value;
}

STACK_FN uint64_t step_by_struct(struct walk *w)
{
	struct big b = {{w->random}};

	b = step_struct(w, b);
	return b.words[3];
}

STACK_FN uint64_t variable(int n, ...)
{
	va_list list;
	struct walk *w = NULL;
	uint64_t got;

	va_start(list, n);
	for (int i = 0; i < n; i++)
		w = va_arg(list, struct walk *);
	got = step(w);
	va_end(list);
	return got;
}

STACK_FN uint64_t step_variable(struct walk *w)
{
	return variable(9, w, w, w, w, w, w, w, w, w, 1.0) + 1;
}

/* More values than registers, so that all are saved. */
STACK_FN uint64_t step_registers(struct walk *w)
{
	uint64_t a = next_random(w), b = next_random(w), c = next_random(w), d = next_random(w),
		 e = next_random(w), f = next_random(w), g = next_random(w);
	double x = (double)a, y = (double)b;
	uint64_t got = step(w);

	return got + (a ^ b) + (c ^ d) + (e ^ f) + g + (uint64_t)(x * y);
}

/* qsort compares without a context. */
static struct walk *compared;

static int compare(const void *a, const void *b)
{
	struct walk *w = compared;

	if (w) {
		compared = NULL;
		step(w);
	}
	return *(const int *)a - *(const int *)b;
}

STACK_FN uint64_t step_qsort(struct walk *w)
{
	int few[5] = {3, 1, 4, 1, 5};

	compared = w;
	qsort(few, 5, sizeof(*few), compare);
	compared = NULL;
	return (uint64_t)few[0];
}

/* A call that is the last instruction of its function: the return address lies past the function's end. */
__attribute__((noreturn)) STACK_FN void leave(struct walk *w, jmp_buf out)
{
	step(w);
	stack_malloc(60);
	longjmp(out, 1);
}

__attribute__((noreturn)) STACK_FN void leave_at_once(struct walk *w, jmp_buf out)
{
	touch(out);
	leave(w, out);
}

STACK_FN uint64_t step_no_return(struct walk *w)
{
	jmp_buf out;

	if (!setjmp(out))
		leave_at_once(w, out);
	stack_malloc(61); /* after a longjmp */
	return 1;
}

STACK_FN uint64_t step_tail(struct walk *w)
{
	next_random(w);
	return step_plain(w);
}

STACK_FN uint64_t step_early_return(struct walk *w)
{
	char room[40];
	uint64_t got;

	if (next_random(w) % 2 == 0)
		return step_registers(w);
	touch(room);
	got = step(w);
	if (next_random(w) % 3 == 0)
		stack_malloc(70);
	touch(room);
	return got;
}

static step_fn *const shapes[] = {
	step_plain,	     step_arguments, step_alloca,    step_vla,		step_aligned,
	step_aligned_alloca, step_huge,	     step_by_struct, step_variable,	step_registers,
	step_qsort,	     step_no_return, step_tail,	     step_early_return,
};

/* One call deeper, or the walk's end. */
static uint64_t step(struct walk *w)
{
	if (w->depth > 0) {
		w->depth--;
		return shapes[next_random(w) % (sizeof(shapes) / sizeof(*shapes))](w);
	}
	stack_malloc(200 + next_random(w) % 100);
	return 0;
}

int main(int argc, char **argv)
{
	struct walk w = {.random = 1};

	stack_start(argc, argv);
	for (int i = 0; i < WALKS; i++) {
		w.depth = (int)(next_random(&w) % MAX_DEPTH);
		step(&w);
	}
	stack_finish();
	return 0;
}
