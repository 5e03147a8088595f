/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_LEAKS_H
#define VERDICT_LEAKS_H
/* Scenarios in which something grows without a bound. */
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <unistd.h>

#include "verdict_zoo.h"

static void *volatile lost; /* the last one is still known, all before it are not */

SITE(leak_linear)
static void linear(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 20, 0); n; n--)
		lost = leak_linear(500);
}

SITE(leak_linear_slow)
static void linear_slow(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 2, 0); n; n--)
		lost = leak_linear_slow(50);
}

SITE(leak_fast)
static void fast(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 500, 0); n; n--)
		lost = leak_fast(64);
}

SITE(leak_large)
static void large(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1, 0); n; n--)
		lost = leak_large(300000);
}

/* As much churn as the processor allows, up to 100,000 a second. */
SITE(leak_in_storm)
SITE(churn_of_storm)
static void storm(void)
{
	static struct pace p, q;
	unsigned n = due(&q, 100000, 0);

	for (n = n > 1000 ? 1000 : n; n; n--)
		free(churn_of_storm(48));
	for (n = due(&p, 2, 0); n; n--)
		lost = leak_in_storm(50);
}

SITE(leak_one_in_thousand)
static void one_in_thousand(void)
{
	static struct pace p;
	static unsigned n_done;

	for (unsigned n = due(&p, 2000, 0); n; n--) {
		void *block = leak_one_in_thousand(100);

		if (++n_done % 1000)
			free(block);
		else
			lost = block;
	}
}

SITE(leak_bursts_3s)
static void bursts_3s(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1 / 3.0, -1) * 60; n; n--)
		lost = leak_bursts_3s(200);
}

SITE(leak_bursts_7s)
static void bursts_7s(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1 / 7.0, -3) * 150; n; n--)
		lost = leak_bursts_7s(200);
}

SITE(leak_poisson)
static void poisson(void)
{
	static double next;

	for (; next <= now; next += -__builtin_log(1 - random_unit()) / 3)
		lost = leak_poisson(300);
}

SITE(leak_accelerating)
static void accelerating(void)
{
	static double done;

	for (; done < now * (20 + now / 4); done++)
		lost = leak_accelerating(128);
}

SITE(leak_random_sizes)
static void random_sizes(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 15, 0); n; n--)
		lost = leak_random_sizes(16 + random_u64() % 4000);
}

SITE(leak_late)
static void late(void)
{
	static unsigned n_done;
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--) {
		void *block = leak_late(100);

		if (now > 12 && n_done++ % 3 == 0)
			lost = block;
		else
			free(block);
	}
}

SITE(leak_after_warmup)
static void after_warmup(void)
{
	static struct pace p, q;

	for (unsigned n = (now < 4 ? due(&p, 300, 0) : 0) + due(&q, 10, 4); n; n--)
		lost = leak_after_warmup(100);
}

/* Eight threads work; one of them leaks. */
SITE(leak_of_one_thread)
SITE(churn_of_threads)
static double thread_clock;
static void *thread_main(void *arg)
{
	const bool leaks = arg;
	double seen = 0;

	for (;;) {
		double to;

		__atomic_load(&thread_clock, &to, __ATOMIC_RELAXED);
		for (; seen < to; seen += 0.1) {
			for (int i = 0; i < 5; i++)
				free(churn_of_threads(100));
			if (leaks)
				lost = leak_of_one_thread(120);
		}
		usleep(20000);
	}
	return NULL;
}

static void one_thread(void)
{
	static bool started;
	pthread_t id;

	__atomic_store(&thread_clock, &now, __ATOMIC_RELAXED);
	for (int i = 0; i < 8 && !started; i++)
		if (pthread_create(&id, NULL, thread_main, i == 5 ? &started : NULL))
			abort();
	started = true;
}

struct node {
	struct node *next, *other;
	char text[48];
};

/* Of each list only the head is freed. */
SITE(leak_list_tail)
static void list_tail(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 10, 0); n; n--) {
		struct node *head = NULL;

		for (int i = 0; i < 4; i++) {
			struct node *node = leak_list_tail(sizeof(*node));

			node->next = head;
			head = node;
		}
		free(head);
	}
}

SITE(leak_cycle)
static void cycle(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 8, 0); n; n--) {
		struct node *a = leak_cycle(sizeof(*a)), *b = leak_cycle(sizeof(*b));

		a->other = b;
		b->other = a;
	}
}

SITE(leak_tree)
static struct node *make_tree(int depth)
{
	struct node *node = leak_tree(sizeof(*node));

	node->next = depth ? make_tree(depth - 1) : NULL;
	node->other = depth ? make_tree(depth - 1) : NULL;
	return node;
}

static void tree(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1, 0); n; n--)
		lost = make_tree(4);
}

/* One request in twenty fails and forgets its buffer. */
SITE(leak_error_path)
static void error_path(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 100, 0); n; n--) {
		void *buffer = leak_error_path(256);

		if (random_u64() % 20 == 0)
			lost = buffer;
		else
			free(buffer);
	}
}

SITE(leak_thrown_over)
static void thrown(jmp_buf *back, bool fails)
{
	void *buffer = leak_thrown_over(180);

	lost = buffer;
	if (fails)
		longjmp(*back, 1);
	free(buffer);
}

static void exception(void)
{
	static struct pace p;
	static volatile unsigned n;
	static jmp_buf back;

	for (n = due(&p, 60, 0); n; n--)
		if (!setjmp(back))
			thrown(&back, random_u64() % 10 == 0);
}

SITE_FUNCTION char *leak_strdup(const char *text)
{
	return strdup(text);
}

static void string_copies(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 12, 0); n; n--)
		lost = leak_strdup("a name that nobody frees");
}

SITE_FUNCTION char *leak_asprintf(unsigned n)
{
	char *text;

	return asprintf(&text, "session %u of somebody", n) < 0 ? NULL : text;
}

static void printed(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 12, 0); n; n--)
		lost = leak_asprintf(n);
}

SITE_FUNCTION void *leak_calloc(void)
{
	return calloc(4, 100);
}

static void zeroed(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 6, 0); n; n--)
		lost = leak_calloc();
}

SITE_FUNCTION void *leak_aligned(void)
{
	void *p;

	return posix_memalign(&p, 64, 256) ? NULL : p;
}

static void aligned(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 7, 0); n; n--)
		lost = leak_aligned();
}

/* The pointer before the realloc was copied; what it gave is lost. */
SITE_FUNCTION void *leak_realloc(void *p)
{
	return realloc(p, 300);
}

SITE_FUNCTION void *first_of_realloc(void)
{
	return malloc(20);
}

static void reallocated(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 9, 0); n; n--)
		lost = leak_realloc(first_of_realloc());
}

/* A table of all that ever came: nothing is lost, everything stays. */
SITE(leak_registry)
static void registry(void)
{
	static struct node *table[64];
	static struct pace p;

	for (unsigned n = due(&p, 11, 0); n; n--) {
		struct node *node = leak_registry(sizeof(*node));

		node->next = table[random_u64() % 64];
		table[random_u64() % 64] = node;
	}
}

/* Sessions end after three seconds or so, one in twenty never. */
SITE(leak_unclosed_session)
static void unclosed_sessions(void)
{
	static struct pace p;
	static struct held held;

	for (unsigned n = due(&p, 80, 0); n; n--) {
		void *session = leak_unclosed_session(150);

		if (random_u64() % 20)
			hold(&held, session, now - 3 * __builtin_log(1 - random_unit()));
		else
			lost = session;
	}
	drop_due(&held);
}

/* One site, told apart by nothing: a cache for five seconds, and a twentieth for ever. */
SITE(leak_beside_ttl)
static void beside_ttl(void)
{
	static struct pace p;
	static struct held held;

	for (unsigned n = due(&p, 60, 0); n; n--) {
		void *block = leak_beside_ttl(150);

		if (random_u64() % 20)
			hold(&held, block, now + 5);
		else
			lost = block;
	}
	drop_due(&held);
}

/* One wrapper for all, told apart by who calls it. */
SITE(xmalloc)
SITE_FUNCTION void *leak_by_wrapper(void)
{
	return xmalloc(80);
}

SITE_FUNCTION void *cache_by_wrapper(void)
{
	return xmalloc(80);
}

SITE_FUNCTION void *churn_by_wrapper(void)
{
	return xmalloc(80);
}

static void wrapper(void)
{
	static struct pace p, q, r;
	static struct ring ring;

	for (unsigned n = due(&p, 8, 0); n; n--)
		lost = leak_by_wrapper();
	for (unsigned n = due(&q, 60, 0); n; n--)
		ring_put(&ring, 300, cache_by_wrapper());
	for (unsigned n = due(&r, 300, 0); n; n--)
		free(churn_by_wrapper());
}

/* Jobs that free all at their end but their log. */
SITE(leak_log_of_job)
SITE(work_of_job)
static void jobs(void)
{
	static struct pace p, q;
	static struct held held;

	for (unsigned n = due(&q, 40, 0); n; n--)
		hold(&held, work_of_job(400), 0);
	for (unsigned n = due(&p, 0.5, 0); n; n--) {
		drop_all(&held);
		lost = leak_log_of_job(1000);
		lost = leak_log_of_job(100);
	}
}

SITE(leak_in_batches)
static void batches(void)
{
	static struct pace p, q;
	static struct held held;

	for (unsigned n = due(&q, 30, 0); n; n--)
		hold(&held, leak_in_batches(400), 0);
	for (unsigned n = due(&p, 0.25, 0); n; n--) {
		/* It forgets the last twenty. */
		for (int i = 0; i < 20 && held.n; i++)
			lost = held.items[--held.n].p;
		drop_all(&held);
	}
}

SITE(leak_half)
static void half(void)
{
	static struct pace p;
	static unsigned n_done;

	for (unsigned n = due(&p, 10, 0); n; n--) {
		void *block = leak_half(90);

		if (n_done++ % 2)
			lost = block;
		else
			free(block);
	}
}

/* Ended threads that nobody joins. */
static void *ends(void *arg)
{
	return arg;
}

SITE_FUNCTION int leak_threads(pthread_t *id)
{
	return pthread_create(id, NULL, ends, NULL);
}

static void unjoined(void)
{
	static struct pace p;
	pthread_t id;

	for (unsigned n = due(&p, 2, 0); n; n--)
		leak_threads(&id);
}

/* Streams that are never closed: the allocations are libc's. */
SITE_FUNCTION void *leak_stream_buffer(void)
{
	FILE *f = fmemopen("one line\nmore\n", 14, "r");

	return f;
}

static void streams(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 4, 0); n; n--)
		lost = leak_stream_buffer();
}

/* A prefork server's worker: in a child of the process that is traced. */
SITE(leak_of_worker)
SITE(churn_of_worker)
static void worker(void)
{
	static struct pace p, q;

	for (unsigned n = due(&q, 100, 0); n; n--)
		free(churn_of_worker(64));
	for (unsigned n = due(&p, 5, 0); n; n--)
		lost = leak_of_worker(400);
}

SITE(leak_slow_big)
static void slow_big(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1, 0); n; n--)
		lost = leak_slow_big(10000);
}

SITE(leak_two_sizes)
static void two_sizes(void)
{
	static struct pace p, q;

	for (unsigned n = due(&p, 1, 0); n; n--)
		lost = leak_two_sizes(60000);
	for (unsigned n = due(&q, 30, 0); n; n--)
		lost = leak_two_sizes(24);
}

/* It grows by pieces that replace each other. */
SITE_FUNCTION void *grow_vector(void *p, size_t n)
{
	return realloc(p, n);
}

static void vector_linear(void)
{
	static struct pace p;
	static void *vector;
	static size_t size;

	for (unsigned n = due(&p, 5, 0); n; n--)
		vector = grow_vector(vector, size += 4096);
}

SITE_FUNCTION void *grow_doubling(void *p, size_t n)
{
	return realloc(p, n);
}

static void vector_doubling(void)
{
	static struct pace p;
	static void *vector;
	static size_t size, cap;

	for (unsigned n = due(&p, 500, 0); n; n--)
		if ((size += 64) > cap)
			vector = grow_doubling(vector, cap = cap ? cap * 2 : 1024);
}

SITE_FUNCTION void *grow_text(void *p, size_t n)
{
	return realloc(p, n);
}

static void text(void)
{
	static struct pace p;
	static void *log;
	static size_t size;

	for (unsigned n = due(&p, 20, 0); n; n--)
		log = grow_text(log, size += 100);
}

/* More comes in than goes out. */
SITE(grow_queue)
static void queue_unbounded(void)
{
	static struct pace in, out;
	static void *queue[1 << 16];
	static unsigned head, tail;

	for (unsigned n = due(&in, 60, 0); n; n--)
		queue[head++ % (1 << 16)] = grow_queue(200);
	for (unsigned n = due(&out, 45, 0); n && tail < head; n--)
		free(queue[tail++ % (1 << 16)]);
}

#endif
