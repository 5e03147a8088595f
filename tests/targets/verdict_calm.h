/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_CALM_H
#define VERDICT_CALM_H
/* Scenarios in which nothing grows without a bound, though some of it looks so for a while. */
#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verdict_zoo.h"

#define LRU_KEYS 4000

/* Random keys; what is not in the cache pushes out what was used longest ago. */
struct lru {
	void *values[LRU_KEYS];
	double used[LRU_KEYS];
	unsigned n;
};

static void lru_use(struct lru *c, unsigned key, unsigned cap, void *(*make)(size_t n))
{
	unsigned oldest = LRU_KEYS;

	c->used[key] = now;
	if (c->values[key])
		return;
	c->values[key] = make(200);
	if (++c->n <= cap)
		return;
	for (unsigned i = 0; i < LRU_KEYS; i++)
		if (c->values[i] && i != key &&
		    (oldest == LRU_KEYS || c->used[i] < c->used[oldest]))
			oldest = i;
	free(c->values[oldest]);
	c->values[oldest] = NULL;
	c->n--;
}

SITE(lru_fills_in_8s)
static void lru_8s(void)
{
	static struct lru c;
	static struct pace p;

	for (unsigned n = due(&p, 50, 0); n; n--)
		lru_use(&c, random_u64() % 2000, 350, lru_fills_in_8s);
}

SITE(lru_fills_in_20s)
static void lru_20s(void)
{
	static struct lru c;
	static struct pace p;

	for (unsigned n = due(&p, 50, 0); n; n--)
		lru_use(&c, random_u64() % LRU_KEYS, 850, lru_fills_in_20s);
}

/* Full when the trace begins: what goes was not seen to come. */
SITE(lru_full_before)
static void lru_full(void)
{
	static struct ring ring;
	static struct pace p;

	if (!ring.cap)
		for (int i = 0; i < 1500; i++)
			ring_put(&ring, 1500, lru_full_before(200));
	for (unsigned n = due(&p, 50, 0); n; n--)
		ring_put(&ring, 1500, lru_full_before(200));
}

SITE(ttl_of_3s)
static void ttl_3s(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 40, 0); n; n--)
		hold(&held, ttl_of_3s(300), now + 3);
	drop_due(&held);
}

SITE(ttl_of_15s)
static void ttl_15s(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 40, 0); n; n--)
		hold(&held, ttl_of_15s(300), now + 15);
	drop_due(&held);
}

SITE(replaced_at_random)
static void random_replacement(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 50, 0); n; n--) {
		if (held.n >= 500)
			drop_at(&held, random_u64() % held.n);
		hold(&held, replaced_at_random(200), 0);
	}
}

/* A memo of all results, of which there are not so many. */
SITE(memo_of_few)
static void memo_few(void)
{
	static void *known[300];
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--) {
		unsigned key = random_u64() % 300;

		if (!known[key])
			known[key] = memo_of_few(100);
	}
}

SITE(memo_by_zipf)
static void memo_zipf(void)
{
	static void *known[1000];
	static struct pace p;

	for (unsigned n = due(&p, 120, 0); n; n--) {
		/* Key k at a rate of 1 / k. */
		unsigned key = (unsigned)pow(1000, random_unit()) - 1;

		if (key < 1000 && !known[key])
			known[key] = memo_by_zipf(100);
	}
}

/* Thrown away as a whole when it is full. */
SITE(memo_flushed)
static void memo_flush(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--) {
		if (held.n >= 500)
			drop_all(&held);
		hold(&held, memo_flushed(150), 0);
	}
}

SITE(warm_at_once)
SITE(churn_when_warm)
static void warm_fast(void)
{
	static struct held held;
	static struct pace p, q;

	for (unsigned n = now < 4 ? due(&p, 400, 0) : 0; n; n--)
		hold(&held, warm_at_once(200), 0);
	for (unsigned n = due(&q, 200, 0); n; n--)
		free(churn_when_warm(100));
}

SITE(warm_slowly)
static void warm_slow(void)
{
	static double done;

	for (; done < 1000 * (1 - exp(-now / 9)); done++)
		touch(warm_slowly(200), 200);
}

SITE(warm_by_logarithm)
static void warm_log(void)
{
	static double done;

	for (; done < 200 * log1p(now * 3); done++)
		touch(warm_by_logarithm(200), 200);
}

SITE(warm_in_stages)
static void warm_stages(void)
{
	static const double stages[] = {1, 5, 12};
	static unsigned n_done;

	for (; n_done < 3 && now >= stages[n_done]; n_done++)
		for (int i = 0; i < 200; i++)
			touch(warm_in_stages(300), 300);
}

/* Blocks are never given back, but used again; the load has a peak at the start. */
SITE(pool_chunk)
static void pool(void)
{
	static unsigned n_chunks;
	unsigned wanted = now < 6 ? (unsigned)(now * 20) : 120;

	for (; n_chunks < wanted; n_chunks++)
		touch(pool_chunk(4000), 4000);
}

/* The load becomes more for a while, then stays. */
SITE(pool_of_ramp)
static void ramp(void)
{
	static unsigned n;

	for (; n < fmin(now, 13) * 30; n++)
		touch(pool_of_ramp(500), 500);
}

SITE(arena_of_request)
static void arena(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 20, 0); n; n--) {
		void *chunks[10];

		for (int i = 0; i < 10; i++)
			chunks[i] = arena_of_request(4096);
		for (int i = 0; i < 10; i++)
			free(chunks[i]);
	}
}

/* Every second block goes, and what comes next is larger: the holes stay. */
SITE(fragment_small)
SITE(fragment_larger)
static void fragmentation(void)
{
	static struct ring kept;
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 2, 0); n; n--) {
		size_t size = 200 + 8 * (random_u64() % 200);

		drop_all(&held);
		for (int i = 0; i < 50; i++) {
			hold(&held, fragment_larger(size), 0);
			if (i % 10 == 0)
				ring_put(&kept, 60, fragment_small(24));
		}
	}
}

SITE(sawtooth_of_2s)
SITE(sawtooth_of_7s)
static void sawtooth(void)
{
	static struct held held, other;
	static struct pace p, q, r, s;

	for (unsigned n = due(&p, 100, 0); n; n--)
		hold(&held, sawtooth_of_2s(100), 0);
	for (unsigned n = due(&q, 0.5, 0); n; n--)
		drop_all(&held);
	for (unsigned n = due(&r, 100, 0); n; n--)
		hold(&other, sawtooth_of_7s(100), 0);
	for (unsigned n = due(&s, 1 / 7.0, 0); n; n--)
		drop_all(&other);
}

/* A collector leaves a quarter, always as much. */
SITE(collected)
static void collector(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 80, 0); n; n--) {
		hold(&held, collected(120), 0);
		while (held.n >= 400) {
			drop_at(&held, random_u64() % held.n);
			if (held.n < 400 && held.n > 100)
				while (held.n > 100)
					drop_at(&held, random_u64() % held.n);
		}
	}
}

SITE(batch_of_20s)
static void batch(void)
{
	static struct held held;
	static struct pace p, q;

	for (unsigned n = fmod(now, 20) < 12 ? due(&p, 50, 0) : 0; n; n--)
		hold(&held, batch_of_20s(300), 0);
	for (unsigned n = due(&q, 0.05, 0); n; n--)
		drop_all(&held);
}

/* Children end with what they have. */
SITE(left_to_exit)
static void fork_server(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1, 0); n; n--) {
		pid_t child = fork();

		if (!child) {
			for (int i = 0; i < 50; i++)
				left_to_exit(100);
			_exit(0);
		}
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* The consumer falls behind and catches up. */
SITE(queue_bounded)
static void queue_waves(void)
{
	static void *queue[1 << 12];
	static unsigned head, tail;
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--)
		queue[head++ % (1 << 12)] = queue_bounded(200);
	for (unsigned wanted = 200 + 190 * sin(now / 4); head - tail > wanted;)
		free(queue[tail++ % (1 << 12)]);
}

/* It fills up to its bound, and then its producer waits. */
SITE(queue_full)
static void queue_fills(void)
{
	static void *queue[1 << 12];
	static unsigned head, tail;
	static struct pace in, out;

	for (unsigned n = due(&out, 30, 0); n && tail < head; n--)
		free(queue[tail++ % (1 << 12)]);
	for (unsigned n = due(&in, 60, 0); n && head - tail < 600; n--)
		queue[head++ % (1 << 12)] = queue_full(200);
}

SITE(queue_burst)
static void queue_bursts(void)
{
	static struct held held;
	static struct pace in, out;

	for (unsigned n = due(&in, 1 / 5.0, 0) * 150; n; n--)
		hold(&held, queue_burst(200), 0);
	for (unsigned n = due(&out, 40, 0); n && held.n; n--)
		drop_at(&held, 0);
}

SITE(session_of_20s)
static void sessions(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 25, 0); n; n--)
		hold(&held, session_of_20s(400), now - 15 * log(1 - random_unit()));
	drop_due(&held);
}

/* There are as many as ever, each for a minute or so. */
SITE(session_of_minutes)
static void long_sessions(void)
{
	static struct held held;
	static struct pace p;

	if (!held.cap)
		for (int i = 0; i < 1200; i++)
			hold(&held, session_of_minutes(400), -60 * log(1 - random_unit()));
	for (unsigned n = due(&p, 20, 0); n; n--)
		hold(&held, session_of_minutes(400), now - 60 * log(1 - random_unit()));
	drop_due(&held);
}

SITE_FUNCTION void *vector_up_and_down(void *p, size_t n)
{
	return realloc(p, n);
}

static void up_and_down(void)
{
	static struct pace p;
	static void *vector;

	for (unsigned n = due(&p, 5, 0); n; n--)
		vector = vector_up_and_down(vector, 5000 + (size_t)(4500 * sin(now)));
}

SITE_FUNCTION void *vector_to_64k(void *p, size_t n)
{
	return realloc(p, n);
}

static void bounded_vector(void)
{
	static struct pace p;
	static void *vector;
	static size_t size;

	for (unsigned n = due(&p, 4, 0); n && size < 65536; n--)
		vector = vector_to_64k(vector, size += 2048);
}

SITE(config_of_6s)
static void reload(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 1 / 6.0, -6); n; n--) {
		drop_all(&held);
		for (int i = 0; i < 150; i++)
			hold(&held, config_of_6s(100), 0);
	}
}

SITE_FUNCTION char *line_of_log(void)
{
	return strdup("something happened, and it is kept for a while");
}

static void log_ring(void)
{
	static struct ring ring;
	static struct pace p;

	for (unsigned n = due(&p, 40, 0); n; n--)
		ring_put(&ring, 300, line_of_log());
}

SITE(buffer_of_thread)
static void *short_thread(void *arg)
{
	free(buffer_of_thread(1000));
	return arg;
}

SITE_FUNCTION int thread_that_ends(pthread_t *id)
{
	return pthread_create(id, NULL, short_thread, NULL);
}

static void short_threads(void)
{
	static struct pace p;
	pthread_t id;

	for (unsigned n = due(&p, 5, 0); n; n--)
		if (!thread_that_ends(&id))
			pthread_join(id, NULL);
}

SITE(churn_fast)
static void fast_churn(void)
{
	static struct pace p;
	unsigned n = due(&p, 10000, 0);

	for (n = n > 300 ? 300 : n; n; n--)
		free(churn_fast(1 + random_u64() % 1000));
}

/* All came before the trace, or at its start. */
SITE(steady_state)
static void steady(void)
{
	static unsigned n;

	for (; n < 500; n++)
		touch(steady_state(100), 100);
}

SITE(generation)
static void generations(void)
{
	static struct held young, old;
	static struct pace p, q;

	for (unsigned n = due(&p, 50, 0); n; n--)
		hold(&young, generation(100), 0);
	for (unsigned n = due(&q, 0.2, 0); n; n--) {
		struct held swap = old;

		drop_all(&swap);
		old = young;
		young = swap;
	}
}

/* Opened one by one, then used over and over. */
SITE(connection_kept)
static void connections(void)
{
	static struct pace p;
	static unsigned n_open;

	for (unsigned n = due(&p, 2, 0); n && n_open < 20; n--, n_open++)
		touch(connection_kept(8000), 8000);
}

/* As many as there is to do, which comes and goes. */
SITE(load_of_waves)
static void waves(void)
{
	static struct held held;

	while (held.n < 300 + 250 * sin(now / 3))
		hold(&held, load_of_waves(300), 0);
	while (held.n > 300 + 250 * sin(now / 3))
		drop_at(&held, random_u64() % held.n);
}

#endif
