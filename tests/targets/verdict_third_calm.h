/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_THIRD_CALM_H
#define VERDICT_THIRD_CALM_H
/* Scenarios in which nothing grows without a bound, though some of it looks so for a while. */
#include <math.h>

#include "verdict_zoo.h"

/* Sixty-four compiled expressions; a new one takes the place of any. */
SITE(compiled)
static void expressions(void)
{
	static void *slots[64];
	static struct pace p;

	for (unsigned n = due(&p, 10, 0); n; n--) {
		unsigned i = random_u64() % 64;

		free(slots[i]);
		slots[i] = compiled(900);
	}
}

#define LFU_KEYS 2000

/* What was used least often goes when there are 300; favourites stay for good. */
SITE(lfu_entry)
static void lfu(void)
{
	static struct {
		void *value;
		unsigned n_used;
	} keys[LFU_KEYS];
	static struct pace p;
	static unsigned n_kept;

	for (unsigned n = due(&p, 40, 0); n; n--) {
		unsigned key = (unsigned)pow(LFU_KEYS, random_unit()) - 1, least = LFU_KEYS;

		keys[key].n_used++;
		if (keys[key].value)
			continue;
		keys[key].value = lfu_entry(220);
		if (++n_kept <= 300)
			continue;
		for (unsigned i = 0; i < LFU_KEYS; i++)
			if (keys[i].value && i != key &&
			    (least == LFU_KEYS || keys[i].n_used < keys[least].n_used))
				least = i;
		free(keys[least].value);
		keys[least].value = NULL;
		n_kept--;
	}
}

/* Nodes are retired, and freed two epochs of two seconds later. */
SITE(retired_node)
static void epochs(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 45, 0); n; n--)
		hold(&held, retired_node(120), 2 * (floor(now / 2) + 3));
	drop_due(&held);
}

/* Strings that nobody has asked for in ten seconds go every twenty. */
SITE(string_of_table)
static void collected_strings(void)
{
	static struct held held;
	static struct pace p, sweep;

	for (unsigned n = due(&p, 30, 0); n; n--)
		hold(&held, string_of_table(40), now + 10);
	for (unsigned n = due(&sweep, 1 / 20.0, 0); n; n--)
		drop_due(&held);
}

/* Five hundred tasks every seven seconds, done within four. */
SITE(task)
static void tasks(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 1 / 7.0, 0); n; n--)
		for (int i = 0; i < 500; i++)
			hold(&held, task(72), now + 4.0 * i / 500);
	drop_due(&held);
}

/* What fails is tried again after 1, 2, 4, 8, 16 seconds, then given up. */
SITE(attempt)
static void backoff(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 14, 0); n; n--) {
		double life = 0;

		for (int wait = 1; wait <= 16 && (wait == 1 || random_u64() % 2); wait *= 2)
			life += wait;
		hold(&held, attempt(260), now + life);
	}
	drop_due(&held);
}

/* A table that moves piece by piece into one twice as large, up to 4,096 entries, which are then replaced. */
SITE(table_rehashed)
SITE(entry_rehashed)
static void rehashed(void)
{
	static struct held entries;
	static struct pace p;
	static void *table, *before;
	static size_t cap = 64;

	if (!table)
		table = table_rehashed(cap * 8);
	for (unsigned n = due(&p, 120, 0); n; n--) {
		if (entries.n >= 3000)
			drop_at(&entries, random_u64() % entries.n);
		hold(&entries, entry_rehashed(64), 0);
		if (entries.n > cap && cap < 4096) {
			free(before);
			before = table;
			table = table_rehashed((cap *= 2) * 8);
		} else if (before && entries.n > cap * 3 / 4) {
			free(before);
			before = NULL;
		}
	}
}

/* Sessions end when they were idle for 25 seconds; most are used again before. */
SITE(sliding_session)
static void sliding(void)
{
	static struct held held;
	static struct pace in, use;

	for (unsigned n = due(&in, 3, 0); n; n--)
		hold(&held, sliding_session(420), now + 25);
	for (unsigned n = due(&use, 2, 0); n && held.n; n--)
		held.items[random_u64() % held.n].until = now + 25;
	drop_due(&held);
}

/* Each of two hundred buffers becomes as large as the largest message it ever had. */
SITE_FUNCTION void *grown_buffer(void *p, size_t n)
{
	return realloc(p, n);
}

static void buffers(void)
{
	static void *buffer[200];
	static size_t size[200];
	static struct pace p;

	for (unsigned n = due(&p, 100, 0); n; n--) {
		unsigned i = random_u64() % 200;
		size_t message = 256 << random_u64() % 5;

		if (message > size[i])
			buffer[i] = touch(grown_buffer(buffer[i], size[i] = message), message);
	}
}

/* The configuration is read anew every five seconds; who reads the old one may do so for two more. */
SITE(part_of_configuration)
static void configurations(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 0.2, -5); n; n--)
		for (int i = 0; i < 300; i++)
			hold(&held, part_of_configuration(90), now + 7);
	drop_due(&held);
}

/* A table in memory for twelve seconds, then it is written off in one. */
SITE(node_of_memtable)
static void memtable(void)
{
	static struct held held;
	static struct pace in, out;
	const bool flushes = fmod(now, 13) > 12;
	unsigned n_in = due(&in, 80, 0), n_out = due(&out, 1000, 0);

	for (; !flushes && n_in; n_in--)
		hold(&held, node_of_memtable(100 + random_u64() % 100), 0);
	for (; flushes && n_out && held.n; n_out--)
		drop_at(&held, held.n - 1);
}

/* A nursery of half a second; of what lives on half goes every fifteen. */
SITE(young_or_old)
static void promoted(void)
{
	static struct held old, young;
	static struct pace p, q;

	for (unsigned n = due(&p, 90, 0); n; n--)
		if (random_u64() % 10)
			hold(&young, young_or_old(70), now + 0.5);
		else
			hold(&old, young_or_old(70), 0);
	drop_due(&young);
	for (unsigned n = due(&q, 1 / 15.0, 0); n; n--)
		for (size_t keep = old.n / 2; old.n > keep;)
			drop_at(&old, random_u64() % old.n);
}

/* One request in two hundred waits for what happens next, for 45 seconds. */
SITE(request_or_poll)
static void long_polls(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 25, 0); n; n--)
		hold(&held, request_or_poll(640), now + (random_u64() % 200 ? 0.2 : 45));
	drop_due(&held);
}

/* Twenty spans of three seconds, each of fifty counters. */
SITE(counter_of_span)
static void spans(void)
{
	static struct ring ring;
	static struct pace p;

	for (unsigned n = due(&p, 1 / 3.0, 0); n; n--)
		for (int i = 0; i < 50; i++)
			ring_put(&ring, 1000, counter_of_span(80));
}

/* Whoever comes for the first time is noted; there are 1,500 people. */
SITE(visitor)
static void visitors(void)
{
	static bool known[1500];
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--) {
		unsigned i = random_u64() % 1500;

		if (!known[i])
			visitor(130);
		known[i] = true;
	}
}

/* An index that is read once, from the fifteenth second to the twentieth. */
SITE(piece_of_index)
static void index_read(void)
{
	static double done;

	for (; done < 200 * fmin(fmax(now - 15, 0), 5); done++)
		piece_of_index(3000);
}

SITE(life_of_5_to_60s)
static void any_ttl(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 12, 0); n; n--)
		hold(&held, life_of_5_to_60s(350), now + 5 + 55 * random_unit());
	drop_due(&held);
}

/* Written back when there are six hundred, or every ten seconds. */
SITE(dirty_page)
static void write_back(void)
{
	static struct held held;
	static struct pace p, q;
	bool all = due(&q, 0.1, 0);

	for (unsigned n = due(&p, 50 + 40 * sin(now / 9), 0); n; n--)
		hold(&held, dirty_page(512), 0);
	if (all || held.n >= 600)
		drop_all(&held);
}

#endif
