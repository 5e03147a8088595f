/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_ZOO_H
#define VERDICT_ZOO_H
/* What the scenarios of verdict_zoo.c share. A scenario does what is due by a clock of its own, which a speed factor scales, so what
 * it has done by then never depends on how often it gets to run. Each call site is a function of its own; its truth stands in
 * the table of scenarios. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A function that seep must see in the stack, however alike two of them are. */
#define SITE_FUNCTION static __attribute__((noipa, unused))
/* A call site by itself. */
#define SITE(name)                                                                                 \
	SITE_FUNCTION void *name(size_t n)                                                         \
	{                                                                                          \
		return touch(malloc(n), n);                                                        \
	}

static double now; /* scaled seconds since the start */

/* So that it is resident, and the allocation cannot be optimized away. */
static __attribute__((noipa)) void *touch(void *p, size_t n)
{
	if (!p)
		abort();
	memset(p, 1, n);
	return p;
}

static uint64_t random_state = 88172645463325252ULL;

/* The same numbers in every run. */
static uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static double random_unit(void)
{
	return (double)(random_u64() >> 11) / (double)(1ULL << 53);
}

/* Events at a rate: how many have become due since the last call. */
struct pace {
	double done;
};

static unsigned due(struct pace *p, double per_second, double since)
{
	double wanted = now > since ? (now - since) * per_second : 0;
	unsigned n = wanted > p->done ? (unsigned)(wanted - p->done) : 0;

	p->done += n;
	return n;
}

/* Blocks with the times at which they go. */
struct held {
	struct held_block {
		void *p;
		double until;
	} * items;
	size_t n, cap;
};

static void hold(struct held *h, void *p, double until)
{
	if (h->n == h->cap) {
		/* Its own memory is taken once, at the start. */
		if (h->cap)
			abort();
		h->cap = 1 << 16;
		h->items = calloc(h->cap, sizeof(*h->items));
		if (!h->items)
			abort();
	}
	h->items[h->n++] = (struct held_block){p, until};
}

static void drop_at(struct held *h, size_t i)
{
	free(h->items[i].p);
	h->items[i] = h->items[--h->n];
}

static void drop_due(struct held *h)
{
	for (size_t i = 0; i < h->n;)
		if (h->items[i].until <= now)
			drop_at(h, i);
		else
			i++;
}

static void drop_all(struct held *h)
{
	while (h->n)
		free(h->items[--h->n].p);
}

/* A ring in which what comes in pushes out the oldest. */
struct ring {
	void **slots;
	size_t n, cap, next;
};

static void ring_put(struct ring *r, size_t cap, void *p)
{
	if (!r->cap) {
		r->cap = cap;
		r->slots = calloc(cap, sizeof(*r->slots));
		if (!r->slots)
			abort();
	}
	free(r->slots[r->next]);
	r->slots[r->next] = p;
	r->next = (r->next + 1) % r->cap;
}

#endif
