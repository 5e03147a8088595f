/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_UNSEEN_LEAKS_H
#define VERDICT_UNSEEN_LEAKS_H
/* Scenarios in which something grows without a bound. */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verdict_zoo.h"

static void *volatile lost; /* the last one is still known, all before it are not */

/* 100 bytes a second among 100,000 allocations a second, of which some live for a while. */
SITE(leak_hundred_a_second)
SITE(work_of_traffic)
SITE(request_of_traffic)
static void traffic(void)
{
	static struct ring requests;
	static struct pace p, q, r;
	unsigned n = due(&q, 100000, 0);

	for (n = n > 1000 ? 1000 : n; n; n--)
		free(work_of_traffic(32 + n % 64));
	for (n = due(&r, 200, 0); n; n--)
		ring_put(&requests, 50, request_of_traffic(600));
	for (n = due(&p, 1, 0); n; n--)
		lost = leak_hundred_a_second(100);
}

/* Sixteen threads with blocks that live for some rounds; one of them loses a block now and then. */
SITE(leak_of_one_in_sixteen)
SITE(work_of_sixteen)
static double sixteen_clock;
static void *sixteen_main(void *arg)
{
	const bool leaks = arg;
	void *kept[8] = {NULL};
	double seen = 0;
	unsigned round = 0;

	for (;; usleep(30000)) {
		double to;

		__atomic_load(&sixteen_clock, &to, __ATOMIC_RELAXED);
		for (; seen < to; seen += 0.25) {
			free(kept[round % 8]);
			kept[round++ % 8] = work_of_sixteen(256);
			if (leaks && round % 2)
				lost = leak_of_one_in_sixteen(64);
		}
	}
	return NULL;
}

static void one_in_sixteen(void)
{
	static bool started;
	pthread_t id;

	__atomic_store(&sixteen_clock, &now, __ATOMIC_RELAXED);
	for (int i = 0; i < 16 && !started; i++)
		if (pthread_create(&id, NULL, sixteen_main, i == 11 ? &started : NULL))
			abort();
	started = true;
}

struct link {
	struct link *next, *before;
	char text[80];
};

/* Lists of ten; the one that cuts them frees what follows, but stops halfway. */
SITE(leak_cut_list)
static void cut_list(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 3, 0); n; n--) {
		struct link *head = NULL;

		for (int i = 0; i < 10; i++) {
			struct link *link = leak_cut_list(sizeof(*link));

			link->next = head;
			head = link;
		}
		for (int i = 0; i < 5; i++) {
			struct link *next = head->next;

			free(head);
			head = next;
		}
	}
}

/* Rings of five, which point to each other both ways. */
SITE(leak_ring_of_five)
static void ring_of_five(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1.5, 0); n; n--) {
		struct link *all[5];

		for (int i = 0; i < 5; i++)
			all[i] = leak_ring_of_five(sizeof(*all[i]));
		for (int i = 0; i < 5; i++) {
			all[i]->next = all[(i + 1) % 5];
			all[i]->before = all[(i + 4) % 5];
		}
	}
}

/* A vector whose growth forgets the old piece; begun anew when it is large. */
SITE(leak_old_vector)
static void old_vectors(void)
{
	static struct pace p;
	static void *vector;
	static size_t size = 64;

	for (unsigned n = due(&p, 4, 0); n; n--) {
		size = size >= 2048 ? 64 : size * 2;
		vector = leak_old_vector(size);
	}
	lost = vector;
}

SITE(leak_bursts_15s)
static void bursts_15s(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1 / 15.0, -10) * 300; n; n--)
		lost = leak_bursts_15s(150);
}

/* The load comes and goes, and so does the leak. */
SITE(leak_by_load)
static void by_load(void)
{
	static double done;

	for (; done < 12 * now + 38 * (1 - cos(now / 3.2)); done++)
		lost = leak_by_load(220);
}

/* Each reload replaces all but what it cannot find again. */
SITE(leak_of_reload)
static void leaky_reload(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 1 / 4.0, -4); n; n--) {
		if (held.n)
			lost = held.items[--held.n].p;
		drop_all(&held);
		for (int i = 0; i < 40; i++)
			hold(&held, leak_of_reload(500), 0);
	}
}

/* Objects of some seconds; of one in fifty a reference is left. */
SITE(leak_of_references)
static void references(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 40, 0); n; n--) {
		void *object = leak_of_references(180);

		if (random_u64() % 50 == 0)
			lost = object;
		else
			hold(&held, object, now - 4 * log(1 - random_unit()));
	}
	drop_due(&held);
}

/* Sessions end, their subscriptions stay. */
SITE(leak_subscription)
SITE(session_of_subscriber)
static void subscriptions(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 7, 0); n; n--) {
		hold(&held, session_of_subscriber(900), now + 5);
		lost = leak_subscription(72);
	}
	drop_due(&held);
}

SITE_FUNCTION int leak_regex(regex_t *r)
{
	return regcomp(r, "^[a-c]+x*$", REG_EXTENDED);
}

static void regexes(void)
{
	static struct pace p;
	regex_t r;

	for (unsigned n = due(&p, 2, 0); n; n--)
		leak_regex(&r);
}

/* Detached threads that leave their buffer behind. */
SITE(leak_of_ended_thread)
static void *buffered_thread(void *arg)
{
	static __thread void *buffer;

	buffer = leak_of_ended_thread(250);
	return buffer == arg ? arg : NULL;
}

static void ended_threads(void)
{
	static struct pace p;
	pthread_t id;

	for (unsigned n = due(&p, 4, 0); n; n--)
		if (!pthread_create(&id, NULL, buffered_thread, NULL))
			pthread_detach(id);
}

SITE(leak_image)
static void images(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 0.25, 0); n; n--)
		lost = leak_image(700000);
}

/* One line allocates for all; what becomes of a block is decided later. */
SITE(leak_among_cached)
static void among_cached(void)
{
	static struct ring ring;
	static struct pace p;
	static unsigned n_done;

	for (unsigned n = due(&p, 90, 0); n; n--) {
		void *block = leak_among_cached(160);

		if (++n_done % 45 == 0)
			lost = block;
		else if (n_done % 3 == 0)
			ring_put(&ring, 250, block);
		else
			free(block);
	}
}

/* All strings ever met; the table doubles. */
SITE(leak_interned)
SITE(grow_table_of_interned)
static void interned(void)
{
	static struct pace p;
	static size_t n_known, cap;
	static void *table;

	for (unsigned n = due(&p, 9, 0); n; n--) {
		if (n_known == cap) {
			free(table);
			cap = cap ? cap * 2 : 16;
			table = grow_table_of_interned(cap * 8);
		}
		memcpy((char *)table + n_known++ * 8, &(void *){leak_interned(40)}, 8);
	}
}

/* The server forgets what it knew of each child; children end with what they have. */
SITE(leak_record_of_child)
SITE(request_in_child)
static void child_serves(void)
{
	void *kept[20];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int round = 0; round < 6; round++, usleep(300000))
		for (int i = 0; i < 20; i++)
			kept[i] = request_in_child(400 + i);
	lost = kept[0];
	_exit(0);
}

static void prefork(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1, 0); n; n--) {
		lost = leak_record_of_child(300);
		if (!fork())
			child_serves();
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void *open_beside(const char *name)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *library;

	if (n < 0)
		abort();
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, name);
	library = dlopen(path, RTLD_NOW);
	if (!library)
		abort();
	return library;
}

/* A plugin that leaks, closed and loaded anew every eight seconds. */
static void plugin(void)
{
	static struct pace calls, turns;
	static void *library;
	static void (*work)(void);

	if (!library || due(&turns, 1 / 8.0, 0)) {
		if (library)
			dlclose(library);
		library = open_beside("libverdict_plugin.so");
		work = (void (*)(void))dlsym(library, "plugin_work");
	}
	for (unsigned n = due(&calls, 45, 0); n; n--)
		work();
}

static void throws(void)
{
	static struct pace p;
	static void (*request)(bool broken);

	if (!request)
		request = (void (*)(bool))dlsym(open_beside("libverdict_throws.so"),
						"request_throws");
	for (unsigned n = due(&p, 70, 0); n; n--)
		request(random_u64() % 14 == 0);
}

/* A retry keeps a copy that only success frees; from the 15th second on the other side is down. */
SITE(leak_copy_for_retry)
static void retries(void)
{
	static struct pace p;
	static unsigned n_done;

	for (unsigned n = due(&p, 25, 0); n; n--) {
		void *copy = leak_copy_for_retry(350);

		if (now < 15 || ++n_done % 5)
			free(copy);
		else
			lost = copy;
	}
}

SITE_FUNCTION void *grow_by_half(void *p, size_t n)
{
	return realloc(p, n);
}

static void vector_by_half(void)
{
	static struct pace p;
	static void *vector;
	static size_t size, cap = 512;

	for (unsigned n = due(&p, 120, 0); n; n--)
		if ((size += 48) > cap)
			vector = grow_by_half(vector, cap += cap / 2);
}

/* The consumer takes two of three. */
SITE(grow_backlog)
static void backlog(void)
{
	static struct pace in, out;
	static void *queue[1 << 14];
	static unsigned head, tail;

	for (unsigned n = due(&in, 24, 0); n; n--)
		queue[head++ % (1 << 14)] = grow_backlog(500);
	for (unsigned n = due(&out, 16, 0); n && tail < head; n--)
		free(queue[tail++ % (1 << 14)]);
}

#endif
