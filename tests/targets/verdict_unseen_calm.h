/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_UNSEEN_CALM_H
#define VERDICT_UNSEEN_CALM_H
/* Scenarios in which nothing grows without a bound, though some of it looks so for a while. */
#include <math.h>
#include <stdio.h>

#include "verdict_zoo.h"

#define ZIPF_KEYS 5000

/* Keys by Zipf's law; what was used longest ago goes when there are 500. */
SITE(lru_by_zipf)
static void lru_zipf(void)
{
	static struct {
		void *value;
		double used;
	} keys[ZIPF_KEYS];
	static struct pace p;
	static unsigned n_kept;

	for (unsigned n = due(&p, 100, 0); n; n--) {
		unsigned key = (unsigned)pow(ZIPF_KEYS, random_unit()) - 1, oldest = ZIPF_KEYS;

		keys[key].used = now;
		if (keys[key].value)
			continue;
		keys[key].value = lru_by_zipf(240);
		if (++n_kept <= 500)
			continue;
		for (unsigned i = 0; i < ZIPF_KEYS; i++)
			if (keys[i].value && i != key &&
			    (oldest == ZIPF_KEYS || keys[i].used < keys[oldest].used))
				oldest = i;
		free(keys[oldest].value);
		keys[oldest].value = NULL;
		n_kept--;
	}
}

/* First in, first out, and 30 seconds until it is full. */
SITE(fifo_fills_in_30s)
static void fifo_30s(void)
{
	static struct ring ring;
	static struct pace p;

	for (unsigned n = due(&p, 45, 0); n; n--)
		ring_put(&ring, 1350, fifo_fills_in_30s(260));
}

SITE(ttl_of_40s)
static void ttl_40s(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 18, 0); n; n--)
		hold(&held, ttl_of_40s(320), now + 40);
	drop_due(&held);
}

/* Entries of five seconds, looked at every twelve. */
SITE(ttl_swept)
static void lazy_ttl(void)
{
	static struct held held;
	static struct pace p, sweep;

	for (unsigned n = due(&p, 30, 0); n; n--)
		hold(&held, ttl_swept(200), now + 5);
	for (unsigned n = due(&sweep, 1 / 12.0, 0); n; n--)
		drop_due(&held);
}

/* Lives of all lengths: most are short, some a hundred times as long. */
SITE(pareto_life)
static void pareto(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 50, 0); n; n--)
		hold(&held, pareto_life(140),
		     now + fmin(60, 0.4 * pow(1 - random_unit(), -1 / 1.4)));
	drop_due(&held);
}

SITE(life_of_two_kinds)
static void two_kinds(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--)
		hold(&held, life_of_two_kinds(170), now + (random_u64() % 20 ? 0.3 : 22));
	drop_due(&held);
}

/* Half as much in each four seconds as in those before. */
SITE(warm_by_halves)
static void warm_halves(void)
{
	static double done;

	for (; done < 800 * (1 - pow(0.5, now / 4)); done++)
		touch(warm_by_halves(180), 180);
}

/* Evenly for 25 seconds, such as an index that is read; then it is whole. */
SITE(warm_for_25s)
static void warm_25s(void)
{
	static double done;

	for (; done < 30 * fmin(now, 25); done++)
		touch(warm_for_25s(300), 300);
}

/* Slabs, each as large as all before; the demand wanders below its bound. */
SITE(slab_of_pool)
static void slabs(void)
{
	static struct pace p;
	static double demand = 100;
	static size_t cap;

	for (unsigned n = due(&p, 10, 0); n; n--) {
		demand = fmin(900, fmax(20, demand + 60 * (random_unit() - 0.5)));
		while (cap < demand) {
			size_t more = cap ? cap : 64;

			touch(slab_of_pool(more * 128), more * 128);
			cap += more;
		}
	}
}

/* A phase takes chunk after chunk; its end frees them all. */
SITE(arena_of_phase)
static void phases(void)
{
	static struct held held;
	static struct pace p, q;

	for (unsigned n = due(&p, 6, 0); n; n--)
		hold(&held, arena_of_phase(32768), 0);
	for (unsigned n = due(&q, 1 / 9.0, 0); n; n--)
		drop_all(&held);
}

/* Small blocks that stay for a while between large ones that do not: holes remain. */
SITE(pin_of_holes)
SITE(hole_between_pins)
static void holes(void)
{
	static struct ring pins;
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 4, 0); n; n--) {
		size_t size = 2000 + random_u64() % 6000;

		for (int i = 0; i < 6; i++) {
			hold(&held, hole_between_pins(size), now + 1);
			ring_put(&pins, 400, pin_of_holes(40));
		}
	}
	drop_due(&held);
}

/* Each sweep leaves a quarter. */
SITE(sawtooth_of_13s)
static void sawtooth_13s(void)
{
	static struct held held;
	static struct pace p, q;

	for (unsigned n = due(&p, 35, 0); n; n--)
		hold(&held, sawtooth_of_13s(230), 0);
	for (unsigned n = due(&q, 1 / 13.0, 0); n; n--)
		for (size_t keep = held.n / 4; held.n > keep;)
			drop_at(&held, random_u64() % held.n);
}

/* As a dict of Python that serves as a cache: its table is rebuilt twice as large; at 1,200 entries all is cleared. */
SITE(table_of_dict)
SITE(entry_of_dict)
static void dict_cache(void)
{
	static struct held entries;
	static struct pace p;
	static void *table;
	static size_t cap;

	for (unsigned n = due(&p, 55, 0); n; n--) {
		if (entries.n >= 1200) {
			drop_all(&entries);
			cap = 0;
		}
		if (!cap || entries.n >= cap * 2 / 3) {
			free(table);
			cap = cap ? cap * 2 : 8;
			table = table_of_dict(cap * 24);
		}
		hold(&entries, entry_of_dict(50 + random_u64() % 60), 0);
	}
}

/* As sqlite's: pages are taken until there are 400, then used again; each statement allocates for itself. */
SITE(page_of_cache)
SITE(statement)
static void page_cache(void)
{
	static bool has[900];
	static struct pace p;
	static unsigned n_pages;

	for (unsigned n = due(&p, 30, 0); n; n--) {
		void *s = statement(1200), *column = statement(80);
		unsigned page = random_u64() % 900;

		if (!has[page] && n_pages < 400) {
			has[page] = true;
			n_pages++;
			touch(page_of_cache(4360), 4360);
		}
		free(column);
		free(s);
	}
}

/* As many connections as the load needs, from 4 to 30; one that was idle for ten seconds is closed. */
SITE(connection_of_pool)
SITE(buffer_of_connection)
static void connection_pool(void)
{
	static struct {
		void *connection, *buffer;
		double used;
	} pool[30];
	unsigned busy = (unsigned)(15 + 13 * sin(now / 6));

	for (unsigned i = 0; i < 30; i++) {
		if (i < busy)
			pool[i].used = now;
		if (i < busy && !pool[i].connection) {
			pool[i].connection = connection_of_pool(700);
			pool[i].buffer = buffer_of_connection(16384);
		} else if (i >= 4 && pool[i].connection && pool[i].used + 10 < now) {
			free(pool[i].connection);
			free(pool[i].buffer);
			pool[i].connection = NULL;
		}
	}
}

/* The last 1,600 lines of a log, of all lengths. */
SITE(line_of_ring)
static void ring_of_lines(void)
{
	static struct ring ring;
	static struct pace p;

	for (unsigned n = due(&p, 60, 0); n; n--)
		ring_put(&ring, 1600, line_of_ring(20 + random_u64() % 300));
}

/* Counters by labels, of which there are 500 sets. */
SITE(series_of_labels)
static void labels(void)
{
	static void *known[500];
	static struct pace p;

	for (unsigned n = due(&p, 30, 0); n; n--) {
		unsigned key = random_u64() % 500;

		if (!known[key])
			known[key] = series_of_labels(260);
	}
}

/* Full at all times: what comes waits for eight seconds. */
SITE(waits_for_8s)
static void standing_queue(void)
{
	static struct ring ring;
	static struct pace p;

	for (unsigned n = due(&p, 50, 0); n; n--)
		ring_put(&ring, 400, waits_for_8s(128));
}

SITE(frame_of_video)
static void video(void)
{
	static struct ring ring;
	static struct pace p;

	for (unsigned n = due(&p, 30, 0); n; n--)
		ring_put(&ring, 8, frame_of_video(100000));
}

/* Rows are read for ten seconds and written off in the five after them. */
SITE(row_of_import)
static void import(void)
{
	static struct held held;
	static struct pace p, q;
	const double at = fmod(now, 17);
	unsigned in = due(&p, 60, 0), out = due(&q, 150, 0);

	for (; at < 10 && in; in--)
		hold(&held, row_of_import(110), 0);
	for (; at >= 10 && out && held.n; out--)
		drop_at(&held, held.n - 1);
}

/* Whoever comes takes a slot; one in ten stays for half a minute, such as a websocket among requests. */
SITE(slot_of_client)
static void clients(void)
{
	static struct held held;
	static struct pace p;

	for (unsigned n = due(&p, 20, 0); n; n--)
		hold(&held, slot_of_client(600),
		     now - (random_u64() % 10 ? 1 : 28) * log(1 - random_unit()));
	drop_due(&held);
}

/* A cache was full before; a restart of its clients empties it once, and it fills again. */
SITE(refilled)
static void refill(void)
{
	static struct held held;
	static struct pace p;
	static bool emptied;

	if (!held.cap)
		for (int i = 0; i < 900; i++)
			hold(&held, refilled(210), 0);
	if (now > 10 && !emptied) {
		emptied = true;
		drop_all(&held);
	}
	for (unsigned n = due(&p, 40, 0); n; n--) {
		if (held.n >= 900)
			drop_at(&held, random_u64() % held.n);
		hold(&held, refilled(210), 0);
	}
}

/* Undo steps: fifty, each of some pieces. */
SITE(step_to_undo)
static void undo(void)
{
	static struct ring ring;
	static struct pace p;

	for (unsigned n = due(&p, 2, 0); n; n--)
		for (int i = 0; i < 4; i++)
			ring_put(&ring, 200, step_to_undo(90 + random_u64() % 500));
}

#endif
