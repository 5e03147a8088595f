/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_THIRD_LEAKS_H
#define VERDICT_THIRD_LEAKS_H
/* Scenarios in which something grows without a bound. */
#include <pthread.h>
#include <stdio.h>

#include "verdict_zoo.h"

static void *volatile lost; /* the last one is still known, all before it are not */

/* A request's timer goes when it fires; that of a request that was cancelled is taken out of the wheel and forgotten. */
SITE(leak_timer)
static void timers(void)
{
	static struct held wheel;
	static struct pace p;

	for (unsigned n = due(&p, 24, 0); n; n--) {
		void *timer = leak_timer(112);

		if (random_u64() % 12 == 0)
			lost = timer;
		else
			hold(&wheel, timer, now + 2);
	}
	drop_due(&wheel);
}

/* A watch for every version of a file, in a list. */
SITE(leak_watch)
static void watches(void)
{
	static struct held list;
	static struct pace p;

	for (unsigned n = due(&p, 0.8, 0); n; n--)
		hold(&list, leak_watch(136), 0);
}

/* Documents of twenty nodes; whoever frees them does not know one kind. */
SITE(leak_json_node)
static void documents(void)
{
	static struct held open;
	static struct pace p;

	for (unsigned n = due(&p, 6, 0); n; n--) {
		for (int i = 0; i < 19; i++)
			hold(&open, leak_json_node(56), now + 0.6);
		lost = leak_json_node(56);
	}
	drop_due(&open);
}

/* Lists of three, of which the head is freed. */
SITE(leak_address)
static void addresses(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 2, 0); n; n--) {
		free(leak_address(96));
		lost = leak_address(96);
		lost = leak_address(96);
	}
}

/* What threads keep under a key without a destructor. */
SITE(leak_under_key)
static pthread_key_t key;
static void *keyed_thread(void *arg)
{
	pthread_setspecific(key, leak_under_key(180));
	return arg;
}

static void keyed(void)
{
	static struct pace p;
	static bool made;
	pthread_t id;

	if (!made)
		made = !pthread_key_create(&key, NULL);
	for (unsigned n = due(&p, 2.5, 0); n; n--)
		if (!pthread_create(&id, NULL, keyed_thread, NULL))
			pthread_join(id, NULL);
}

/* All that users ever said. */
SITE(leak_history)
static void history(void)
{
	static struct held all;
	static struct pace p;

	for (unsigned n = due(&p, 28, 0); n; n--)
		hold(&all, leak_history(24 + random_u64() % 40), 0);
}

/* A statement for each text, where the texts have numbers in them; each with its plan. */
SITE(leak_statement)
SITE(leak_plan)
static void statements(void)
{
	static struct held cache;
	static struct pace p;

	for (unsigned n = due(&p, 4, 0); n; n--) {
		hold(&cache, leak_statement(800), 0);
		hold(&cache, leak_plan(150), 0);
	}
}

/* 3,000 a second come and go by the same line; every two seconds one does not. */
SITE(leak_one_of_thousands)
static void one_of_thousands(void)
{
	static struct pace p, q;
	unsigned n = due(&p, 3000, 0);

	for (n = n > 300 ? 300 : n; n; n--)
		free(leak_one_of_thousands(64));
	for (n = due(&q, 0.5, 0); n; n--)
		lost = leak_one_of_thousands(64);
}

/* What a new version does once it is switched on. */
SITE(leak_since_switch)
static void switched_on(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 20, 0); n; n--) {
		void *block = leak_since_switch(144);

		if (now > 18 && n % 2)
			lost = block;
		else
			hold(&held, block, now + 0.5);
	}
	drop_due(&held);
}

/* While the other side fails, five seconds of twenty. */
SITE(leak_while_failing)
static void failing(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 20, 0); n; n--) {
		void *block = leak_while_failing(200);

		if (n % 2 && (unsigned)now % 20 < 5)
			lost = block;
		else
			free(block);
	}
}

/* Of each pair of buffers that are swapped. */
SITE(leak_swapped)
static void swapped(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 0.5, 0); n; n--) {
		free(leak_swapped(200000));
		lost = leak_swapped(200000);
	}
}

/* The object goes, what counts its references stays, as somebody may ask. */
SITE(leak_control_block)
SITE(object_of_control_block)
static void weak(void)
{
	static struct held objects;
	static struct pace p;

	for (unsigned n = due(&p, 10, 0); n; n--) {
		lost = leak_control_block(48);
		hold(&objects, object_of_control_block(300), now + 3);
	}
	drop_due(&objects);
}

/* Thirty connections at once, every ten seconds. */
SITE(leak_of_reconnect)
static void reconnects(void)
{
	static struct held open;
	static struct pace p;

	for (unsigned n = due(&p, 0.1, -8); n; n--) {
		drop_all(&open);
		for (int i = 0; i < 30; i++) {
			lost = leak_of_reconnect(400);
			hold(&open, leak_of_reconnect(400), 0);
		}
	}
}

/* A ring that is made anew, its predecessor forgotten. */
SITE(leak_old_ring)
static void rings(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 1 / 6.0, 0); n; n--)
		lost = leak_old_ring(16384);
}

SITE_FUNCTION char *leak_duplicate(const char *text)
{
	return strdup(text);
}

static void duplicates(void)
{
	static struct pace p;

	for (unsigned n = due(&p, 3, 0); n; n--)
		lost = leak_duplicate("the value of a header, copied once more than it is freed");
}

/* One user in eight never logs out, and no session has an end of its own. */
SITE(leak_session)
static void logins(void)
{
	static struct held users;
	static struct pace p;

	for (unsigned n = due(&p, 8, 0); n; n--) {
		void *session = leak_session(500);

		if (random_u64() % 8 == 0)
			lost = session;
		else
			hold(&users, session, now + 2 + 8 * random_unit());
	}
	drop_due(&users);
}

/* Two hundred sessions, each with a transcript that becomes longer. */
SITE_FUNCTION void *grow_transcript(void *p, size_t n)
{
	return realloc(p, n);
}

static void transcripts(void)
{
	static void *text[200];
	static size_t size[200];
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--) {
		unsigned i = random_u64() % 200;

		size[i] += 96;
		text[i] = touch(grow_transcript(text[i], size[i]), size[i]);
	}
}

#endif
