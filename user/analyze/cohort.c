// SPDX-License-Identifier: BSD-2-Clause
/* A leak is told from a cache not by size, but by who dies. Of each slot of births it is known how many blocks were alive at a
 * moment some time ago (`then`) and how many are alive now.
 *
 *	blocks alive    a leak                     a cache of ten seconds         a queue, oldest first
 *	by birth        ######################     ................######         ........##############
 *	                born earlier -> later
 *
 * What was older than some age at `then` and was hardly freed since has settled: it is taken that whatever becomes so old
 * stays. Then the settled blocks of now, by birth, are what is left for good. If they arrive evenly to the end, it is a leak. If they
 * became ever fewer it was a warm-up; if they came all at once it was a start or a table; if none settles it is a cache, a queue or a
 * session, whatever its size does. A site that does both (one block in a thousand is lost) is seen as well as one that only
 * leaks. */
#include "analyze/cohort.h"

#include <math.h>

#define SLOTS_MIN 5	    /* of births: else it is not known how evenly they arrive */
#define SETTLED_MIN 16	    /* blocks that stay */
#define WATCHED_MIN 16	    /* blocks in whose freeing nothing was seen of a cache's end */
#define SETTLED_MIN_PURE 10 /* the same two of sites of which nothing was ever freed */
#define WATCHED_MIN_PURE 6
#define FREED_RATIO 0.02 /* of what has settled: so few is none */
#define FREED_HIGH 0.12	 /* as the upper bound that so few watched allow */
#define BIRTHS_SECONDS_MIN 15.0
#define SLOWER_SIGMAS                                                                              \
	0.8 /* the second half beside the first: unless it is more than by chance ... */
#define SLOWER_RATIO 0.9      /* ... and to speak of */
#define FRONT_MOST 0.08	      /* share that arrived ahead of time (Kolmogorov, Smirnov) */
#define BACK_MOST 0.27	      /* behind time: loads become more */
#define CHANCE 0.8	      /* over the root of their number: on top of both */
#define LAST_QUARTER_MIN 0.12 /* share of the last quarter of the time */
#define SETTLES_RATIO                                                                              \
	0.34 /* of the age of the oldest birth: what takes longer to settle is not known to */
#define BEFORE_RATIO 0.25 /* of the time: a shorter start may have been as fast as it will */
#define BEFORE_FASTER 1.3
#define WATCHED_RATIO 0.2 /* of the age of the oldest birth: shorter watching proves nothing */

struct search {
	const double *edges;
	double began;
	bool none_freed;
	const struct cohorts *then, *now;
	/* Sums over the slots before the index. */
	double before_then[COHORT_SLOTS + 1], before_now[COHORT_SLOTS + 1];
};

static void sum(struct search *s)
{
	s->before_then[0] = s->before_now[0] = 0;
	for (size_t i = 0; i < COHORT_SLOTS; i++) {
		/* A free that was read before its allocation leaves a slot below zero for a moment. */
		double then = (int32_t)s->then->born[i] > 0 ? s->then->born[i] : 0;
		double now = (int32_t)s->now->born[i] > 0 ? s->now->born[i] : 0;

		s->before_then[i + 1] = s->before_then[i] + then;
		s->before_now[i + 1] = s->before_now[i] + now;
	}
}

static double settled_min(const struct search *s)
{
	return s->none_freed ? SETTLED_MIN_PURE : SETTLED_MIN;
}

static double watched_min(const struct search *s)
{
	return s->none_freed ? WATCHED_MIN_PURE : WATCHED_MIN;
}

static double start_of(const struct search *s, size_t slot)
{
	return fmax(s->edges[slot], s->began);
}

/* The last slot edge at or before a time. */
static size_t edge_before(const struct search *s, double seconds)
{
	size_t i = 0;

	while (i < COHORT_SLOTS && s->edges[i + 1] <= seconds)
		i++;
	return i;
}

/* How far the blocks' arrival in the slots from..to is from even. */
struct arrival {
	double n, front, dispersion, first_half, last_quarter;
};

static double arrived_until(const struct search *s, size_t from, size_t to, double seconds)
{
	for (size_t i = from; i < to; i++) {
		double start = start_of(s, i), end = s->edges[i + 1];

		if (seconds < end)
			return s->before_now[i] - s->before_now[from] +
			       (s->before_now[i + 1] - s->before_now[i]) * (seconds - start) /
				       (end - start);
	}
	return s->before_now[to] - s->before_now[from];
}

/* Returns false when it is so far that the rest does not matter. */
static bool measure(const struct search *s, size_t from, size_t to, struct arrival *ret)
{
	double start = start_of(s, from), length = s->edges[to] - start, chi = 0, chance;

	*ret = (struct arrival){.n = s->before_now[to] - s->before_now[from]};
	chance = CHANCE / sqrt(ret->n);
	for (size_t i = from; i < to; i++) {
		double share = (s->edges[i + 1] - start_of(s, i)) / length;
		double expected = ret->n * share;
		double n = s->before_now[i + 1] - s->before_now[i];
		double away = (s->before_now[i + 1] - s->before_now[from]) / ret->n -
			      (s->edges[i + 1] - start) / length;

		chi += (n - expected) * (n - expected) / expected;
		if (away > FRONT_MOST + chance || -away > BACK_MOST + chance)
			return false;
		ret->front = fmax(ret->front, away);
	}
	ret->dispersion = fmax(1, chi / (double)(to - from - 1));
	ret->first_half = arrived_until(s, from, to, start + length / 2);
	ret->last_quarter = ret->n - arrived_until(s, from, to, start + length * 3 / 4);
	return true;
}

/* Whether it goes on to the end, and no slower than chance makes it look. */
static bool goes_on(const struct arrival *a)
{
	const double slack = 1 / sqrt(a->n), second = a->n - a->first_half;
	const double slower = (a->first_half - second) / sqrt(a->n * a->dispersion);

	if (a->last_quarter < (LAST_QUARTER_MIN - 0.3 * slack) * a->n || a->last_quarter < 2)
		return false;
	return slower < SLOWER_SIGMAS || second > SLOWER_RATIO * a->first_half;
}

/* The last edge before which, of the births from a slot on, hardly any was freed between the two moments; from: none. */
static size_t find_settled(const struct search *s, size_t from, size_t last)
{
	for (size_t settled = last; settled > from; settled--) {
		double watched = s->before_then[settled] - s->before_then[from];
		double freed = watched - (s->before_now[settled] - s->before_now[from]);

		if (watched < watched_min(s))
			break;
		if (s->none_freed)
			return settled;
		if (freed <= FREED_RATIO * watched + 0.3 && freed + 2 <= FREED_HIGH * watched)
			return settled;
	}
	return from;
}

/* Whether so much more came before that a window in which it came evenly may be one of a warm-up that slows down. */
static bool slows_down(const struct search *s, size_t first, size_t from, const struct arrival *a,
		       double seconds)
{
	double before = s->before_now[from] - s->before_now[first];
	double start = start_of(s, from), length = start - s->began;

	return length > BEFORE_RATIO * (s->now->seconds - s->began) &&
	       before / length > BEFORE_FASTER * a->n / seconds;
}

/* Judges the births from a slot on. */
static bool try(const struct search *s, size_t first, size_t from, size_t last, struct residue *ret)
{
	double start = start_of(s, from), age, watched, freed, length;
	size_t settled, to;
	struct arrival a;

	if (s->now->seconds - s->then->seconds < WATCHED_RATIO * (s->now->seconds - start))
		return false;
	settled = find_settled(s, from, last);
	age = s->then->seconds - s->edges[settled];
	to = edge_before(s, s->now->seconds - age);
	length = s->edges[to] - start;
	if (settled == from || age > SETTLES_RATIO * (s->now->seconds - start) ||
	    to < from + SLOTS_MIN || length < BIRTHS_SECONDS_MIN ||
	    s->before_now[to] - s->before_now[from] < settled_min(s))
		return false;
	if (!measure(s, from, to, &a) || !goes_on(&a) || slows_down(s, first, from, &a, length))
		return false;
	watched = s->before_then[settled] - s->before_then[from];
	freed = fmax(0, watched - (s->before_now[settled] - s->before_now[from]));
	*ret = (struct residue){
		.from_seconds = start,
		.to_seconds = s->edges[to],
		.n = a.n,
		.settled_seconds = age,
		.n_watched = watched,
		.n_freed = freed,
		.dispersion = a.dispersion,
		.quality = (1 - exp(-length / 25)) * (1 - exp(-a.n / 25)) *
			   (1 - 3 * fmin(freed / watched, 0.3)) * (1 - fmin(a.front, 0.5)),
	};
	return true;
}

double cohort_gone(const double *edges, double began, double born_before, double age_seconds,
		   const struct cohorts *then, const struct cohorts *now)
{
	double gone = 0;

	for (size_t i = 0; i < COHORT_SLOTS && edges[i + 1] <= born_before; i++) {
		int32_t n = (int32_t)(then->born[i] - now->born[i]);

		if (n > 0 && edges[i + 1] > began && edges[i + 1] <= then->seconds &&
		    now->seconds - fmax(edges[i], began) >= age_seconds)
			gone += n;
	}
	return gone;
}

bool cohort_residue(const double *edges, double began, bool none_freed, const struct cohorts *then,
		    const struct cohorts *now, struct residue *ret)
{
	struct search s = {
		.edges = edges, .began = began, .none_freed = none_freed, .then = then, .now = now};
	size_t first = edge_before(&s, began), last = edge_before(&s, then->seconds);

	sum(&s);
	if (s.before_now[COHORT_SLOTS] < settled_min(&s) || s.before_then[last] < watched_min(&s))
		return false;
	for (size_t from = first; from < last; from++)
		if (try(&s, first, from, last, ret))
			return true;
	return false;
}
