// SPDX-License-Identifier: BSD-2-Clause
/* What is asked is whether the floor rises steadily, not whether the amount does.
 *
 *      amount of a collector's heap              the floor seen from its end: the least of all that follows
 *
 *          /|   /|   /|  /                                          /   <- the open excursion: as far as drops
 *         / |  / |  / | /                                    ______/       went before, it tells nothing
 *        /  | /  | /  |/   <- last trough              _____|      ^ end
 *       /   |/   |/                                   |
 *      /                                         _____|  <- growth that later drops did not take back
 *
 * Growth arrives in pieces: pages, arenas of 132 KiB, 64 pages at which a processor's counter empties, blocks of 64 MiB, a
 * collector's periods. A leak's pieces arrive evenly over time; those of a warm-up ever more rarely, those of a load all at
 * once, those of churn only near the end. So a window of time that ends now is cut into PARTS equal parts, and the growth of
 * the floor in each part gives what counts: in how many parts it grew in effect, how far its arrival is from even, how much
 * slower or faster the second half is, how large drops are beside it, what it did before, for how long it has gone on.
 *
 * A logistic function of these is the confidence. Its weights are fitted to the populations of tests/unit/simulated.c, in
 * which a tenth leaks, and test_trend prints how well they are calibrated on others. Windows are the whole life, its latter
 * half, quarter and so on; the one that speaks most for growth is taken, which the fit knows. */
#include "analyze/trend.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/series.h"

#define PARTS 16
#define WINDOW_SECONDS_MIN 12.0
#define SAMPLES_MIN 8
#define EARLY_SECONDS 30.0 /* before, nothing is certain */
#define EARLY_CONFIDENCE 0.4
#define GROWING_CONFIDENCE 0.5
#define NOISE_BYTES 65536.0
/* No less is called a change: counters of the kernel lag by 64 pages a processor. */
#define STEADY_BYTES 524288.0
#define STEADY_RATIO 0.01
#define WARM_RATIO 1.7	/* growth of the first half of a life over the second's */
#define HEAD_RATIO 0.03 /* of a window's growth: before so much came, it had not begun */
#define ALIKE_RATIO 3.0 /* rates of two lives that count as one */
/* An estimate holds for this part of the time that it was made from. */
#define RECHECK_RATIO 0.0625
#define RECHECK_SECONDS_MIN 2.0
#define RECHECK_SECONDS_MAX 60.0
#define CALM_RECHECK_SECONDS 8.0 /* growth may begin at any time */

enum feature {
	ONE,
	DURATION, /* log of minutes */
	PIECES,	  /* log of the number of parts in which it grew, in effect */
	UNEVEN, /* furthest that the share of the growth was from the share of the time (Kolmogorov, Smirnov) */
	SLOWER,	   /* log of the first half's growth over the second's, or 0 */
	FASTER,	   /* the reverse */
	DROPS,	   /* log of the deepest drop beside the growth */
	OLD_DROPS, /* the same, of the whole life */
	BEFORE, /* log of the growth in as much time before the window over the growth in it, or 0 */
	STIR,	/* log of the range of all before the window beside the growth */
	SIZE,	/* log of the growth over noise */
	OPEN,	/* length of the open excursion over the window's */
	LIFE,	/* log of the whole life over the window */
	N_FEATURES,
};

struct window {
	double from_ticks, to_ticks; /* where growth is judged */
	double floors[PARTS + 1];    /* of the parts' bounds */
	double growth, largest;	     /* in all and of one part */
	double drop, life_drop;	     /* the deepest, in the window and in the life */
	double feature[N_FEATURES];
	double score; /* log odds that it grows on */
};

struct life {
	double confidence, bytes_per_second;
};

struct trend {
	struct series series;
	struct trend_estimate estimate;
	struct life before; /* a restart */
	uint32_t judged_ticks;
	uint32_t valid_ticks;
	bool judged;
};

/* TERMS-BEGIN */
static const struct {
	unsigned char left, right;
	float weight;
} terms[] = {
	{ONE, ONE, -1.752},
	{ONE, DURATION, 0.645},
	{ONE, PIECES, 1.922},
	{ONE, UNEVEN, -2.101},
	{ONE, SLOWER, -2.496},
	{ONE, FASTER, -0.1787},
	{ONE, DROPS, 3.643},
	{ONE, OLD_DROPS, -3.789},
	{ONE, BEFORE, -3.266},
	{ONE, SIZE, 0.5261},
	{ONE, OPEN, 2.416},
	{ONE, LIFE, 0.1745},
	{DURATION, DURATION, -0.06095},
	{DURATION, PIECES, 0.1307},
	{DURATION, UNEVEN, -2.596},
	{DURATION, SLOWER, -0.002309},
	{DURATION, DROPS, 2.075},
	{DURATION, OLD_DROPS, -2.372},
	{DURATION, BEFORE, -0.3632},
	{DURATION, LIFE, 0.2305},
	{PIECES, PIECES, -0.7542},
	{PIECES, UNEVEN, -2.684},
	{UNEVEN, UNEVEN, -1.199},
	{SLOWER, SLOWER, 0.8151},
	{DROPS, DROPS, -0.6724},
	{OLD_DROPS, OLD_DROPS, 0.6056},
	{ONE, STIR, 2.503},
	{STIR, STIR, -0.631},
	{DURATION, STIR, 0.1513},
	{LIFE, STIR, -1.633},
	{BEFORE, BEFORE, 1.303},
	{SIZE, SIZE, 0.009291},
	{LIFE, LIFE, -0.1076},
	{LIFE, OLD_DROPS, -2.887},
};
#define N_TERMS (sizeof(terms) / sizeof(terms[0]))
/* TERMS-END */

int trend_create(struct trend **ret)
{
	struct trend *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	if (series_init(&t->series)) {
		free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void trend_destroy(struct trend *t)
{
	if (!t)
		return;
	series_done(&t->series);
	free(t);
}

void trend_add(struct trend *t, double time_seconds, double bytes)
{
	series_add(&t->series, time_seconds, bytes);
}

double trend_last(const struct trend *t)
{
	return t->series.n ? t->series.last : NAN;
}

/* The floors seen from the end, of all spans from the first on. */
static void floors_from_end(const struct series *s, size_t first, float *floors)
{
	float least = INFINITY;

	for (size_t i = s->n; i-- > first;) {
		least = fminf(least, s->spans[i].floor);
		floors[i] = least;
	}
}

/* Within a span that is not flat the floor is taken to rise evenly to the next one's. */
static double floor_at(const struct series *s, const float *floors, double ticks)
{
	size_t i = series_find(s, ticks);
	const struct series_span *span = &s->spans[i];
	double length = series_end(s, i) - (double)span->from_ticks, part;

	if (i + 1 >= s->n || span->peak == span->floor || length <= 0)
		return floors[i];
	part = fmin(1, fmax(0, (ticks - span->from_ticks) / length));
	return floors[i] + part * (floors[i + 1] - floors[i]);
}

static double deepest_drop(const struct series *s, size_t first)
{
	double peak = -INFINITY, drop = 0;

	for (size_t i = first; i < s->n; i++) {
		const struct series_span *span = &s->spans[i];

		drop = fmax(drop, fmax(span->drop, peak - span->floor));
		peak = fmax(peak, span->peak);
	}
	return drop;
}

/* The least value since the last drop that was at least half as deep as the deepest. */
static size_t last_trough(const struct series *s, size_t first, double deepest)
{
	size_t trough = s->n - 1;

	for (size_t i = s->n; i-- > first;) {
		const struct series_span *span = &s->spans[i];

		if (span->peak - s->spans[trough].floor >= deepest / 2 && i != trough)
			return trough;
		if (span->floor < s->spans[trough].floor)
			trough = i;
		if (span->drop >= deepest / 2)
			return trough;
	}
	return trough;
}

/* Finds the end of the growth that counts. Returns false when there is none. */
static bool bound_window(const struct series *s, const float *floors, struct window *w)
{
	size_t first = series_find(s, w->from_ticks);
	double top = floors[s->n - 1], start = floor_at(s, floors, w->from_ticks);

	w->drop = deepest_drop(s, first);
	w->to_ticks = s->last_ticks;
	if (w->drop > 0) {
		top = fmax(floors[last_trough(s, first, w->drop)], top - w->drop);
		for (size_t i = first; i < s->n; i++)
			if (floors[i] > top) {
				w->to_ticks = s->spans[i].from_ticks;
				break;
			}
	}
	w->growth = top - start;
	if (w->growth <= 0 || w->to_ticks - w->from_ticks < WINDOW_SECONDS_MIN / 2 * SERIES_TICKS)
		return false;
	for (size_t i = 0; i <= PARTS; i++) {
		double ticks = w->from_ticks + (w->to_ticks - w->from_ticks) * i / PARTS;

		w->floors[i] = fmin(top, floor_at(s, floors, ticks));
	}
	w->floors[PARTS] = top;
	return true;
}

/* How unevenly growth arrives. */
static void measure_parts(struct window *w)
{
	double squares = 0, uneven = 0, slack = 0.05 * w->growth;
	double first = w->floors[PARTS / 2] - w->floors[0];
	double second = w->floors[PARTS] - w->floors[PARTS / 2];
	double ratio = log((second + slack) / (first + slack));

	w->largest = 0;
	for (size_t i = 1; i <= PARTS; i++) {
		double growth = w->floors[i] - w->floors[i - 1];
		double arrived = (w->floors[i] - w->floors[0]) / w->growth;

		squares += growth * growth;
		uneven = fmax(uneven, fabs(arrived - (double)i / PARTS));
		w->largest = fmax(w->largest, growth);
	}
	w->feature[PIECES] = log(w->growth * w->growth / squares);
	w->feature[UNEVEN] = uneven;
	w->feature[SLOWER] = fmax(0, -ratio);
	w->feature[FASTER] = fmax(0, ratio);
}

/* Between the floor and the peak of the spans in [from, to). */
static double range_between(const struct series *s, double from_ticks, double to_ticks)
{
	size_t i = series_find(s, from_ticks);
	double low = s->spans[i].floor, high = s->spans[i].peak;

	while (++i < s->n && series_end(s, i) <= to_ticks) {
		low = fmin(low, s->spans[i].floor);
		high = fmax(high, s->spans[i].peak);
	}
	return high - low;
}

/* Log of how much faster it grew in the time as long before the window. */
static double faster_before(const struct series *s, const float *floors, const struct window *w)
{
	double length = w->to_ticks - w->from_ticks;
	double from = fmax(s->border_ticks, w->from_ticks - length), before;

	if (w->from_ticks - from < length / 4)
		return 0;
	before = (floor_at(s, floors, w->from_ticks) - floor_at(s, floors, from)) /
		 (w->from_ticks - from);
	return fmin(fmax(0, log(before / (w->growth / length))), 4);
}

static void judge_window(const struct series *s, const float *floors, struct window *w)
{
	double seconds = (w->to_ticks - w->from_ticks) / SERIES_TICKS;
	double *x = w->feature;

	measure_parts(w);
	x[ONE] = 1;
	x[DURATION] = fmin(log(seconds / 60), 5);
	x[DROPS] = fmin(log1p(w->drop / w->growth), 4);
	x[OLD_DROPS] = fmin(log1p(w->life_drop / w->growth), 4);
	x[BEFORE] = faster_before(s, floors, w);
	x[STIR] = fmin(log1p(range_between(s, s->border_ticks, w->from_ticks) / w->growth), 4);
	x[SIZE] = fmin(log(w->growth / NOISE_BYTES), 4);
	x[OPEN] = fmin((s->last_ticks - w->to_ticks) / (w->to_ticks - w->from_ticks), 3);
	x[LIFE] = fmin(log((s->last_ticks - s->border_ticks) / (w->to_ticks - w->from_ticks)), 4);
	w->score = 0;
	for (size_t i = 0; i < N_TERMS; i++)
		w->score += terms[i].weight * x[terms[i].left] * x[terms[i].right];
}

/* How long nothing to speak of grew at the start of a window, in ticks. */
static double flat_head(const struct window *w)
{
	size_t i = 0;

	while (i < PARTS && w->floors[i + 1] - w->floors[0] <= HEAD_RATIO * w->growth)
		i++;
	return (w->to_ticks - w->from_ticks) * i / PARTS;
}

/* Judges the window from a time on. Returns false when nothing grew. */
static bool try_window(const struct series *s, const float *floors, double from_ticks,
		       double life_drop, struct window *ret)
{
	*ret = (struct window){.from_ticks = from_ticks, .life_drop = life_drop};
	if (!bound_window(s, floors, ret))
		return false;
	judge_window(s, floors, ret);
	return true;
}

/* The window that speaks most for growth: those of half, a quarter... of the life, and each without a start in which nothing
 * grew. Returns false when nothing grew in any. */
static bool best_window(const struct series *s, const float *floors, struct window *ret)
{
	double shortest = fmax(WINDOW_SECONDS_MIN * SERIES_TICKS,
			       SAMPLES_MIN * (double)s->last_ticks / s->n_samples);
	double life = s->last_ticks - s->border_ticks, drop;
	bool found = false;

	drop = deepest_drop(s, series_find(s, s->border_ticks));
	for (double length = life; length >= shortest; length /= 2) {
		double from = s->last_ticks - length;
		struct window w;

		for (int i = 0; i < 2 && try_window(s, floors, from, drop, &w); i++) {
			if (!found || w.score > ret->score)
				*ret = w;
			found = true;
			if (flat_head(&w) < length / 4)
				break;
			from += flat_head(&w);
		}
	}
	return found;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Theil-Sen over values at even distances in time, with Sen's interval from the variance of Kendall's S (Sen 1968). */
static void fit_slope(const double *values, double seconds_apart, struct trend_estimate *e)
{
	const double n = PARTS + 1, variance = n * (n - 1) * (2 * n + 5) / 18;
	const size_t margin = 1.96 * sqrt(variance) / 2;
	double slopes[PARTS * (PARTS + 1) / 2];
	size_t n_slopes = 0;

	for (size_t i = 0; i < PARTS; i++)
		for (size_t j = i + 1; j <= PARTS; j++)
			slopes[n_slopes++] = (values[j] - values[i]) / ((j - i) * seconds_apart);
	qsort(slopes, n_slopes, sizeof(*slopes), ascending);
	e->bytes_per_second = (slopes[n_slopes / 2] + slopes[n_slopes / 2 - 1]) / 2;
	e->low_bytes_per_second = slopes[n_slopes / 2 - margin];
	e->high_bytes_per_second = slopes[n_slopes / 2 + margin];
}

/* Pieces tie the floors between them to each other, so the interval also holds one piece more or less. */
static void fit_window(const struct window *w, struct trend_estimate *e)
{
	double seconds = (w->to_ticks - w->from_ticks) / SERIES_TICKS;

	fit_slope(w->floors, seconds / PARTS, e);
	/* Mostly nothing, now and then a lot: the median says 0. */
	if (e->bytes_per_second <= 0)
		e->bytes_per_second = w->growth / seconds;
	e->low_bytes_per_second = fmin(e->low_bytes_per_second, (w->growth - w->largest) / seconds);
	e->high_bytes_per_second =
		fmax(e->high_bytes_per_second, (w->growth + w->largest) / seconds);
}

/* Of what does not grow: the floors of the parts of its life, which may fall. */
static void fit_life(const struct trend *t, struct trend_estimate *e)
{
	const struct series *s = &t->series;
	double length = s->last_ticks - (double)s->border_ticks, values[PARTS + 1], largest = 0;

	for (size_t part = 0; part <= PARTS; part++) {
		double from = s->border_ticks + length * part / (PARTS + 1);
		size_t i = series_find(s, from);

		values[part] = s->spans[i].floor;
		while (++i < s->n && s->spans[i].from_ticks < from + length / (PARTS + 1))
			values[part] = fmin(values[part], s->spans[i].floor);
	}
	for (size_t part = 1; part <= PARTS; part++)
		largest = fmax(largest, fabs(values[part] - values[part - 1]));
	fit_slope(values, length / (PARTS + 1) / SERIES_TICKS, e);
	e->low_bytes_per_second -= largest / length * SERIES_TICKS;
	e->high_bytes_per_second += largest / length * SERIES_TICKS;
}

/* How long before its end the window's rate already held. */
static double since_seconds(const struct trend *t, const float *floors, const struct window *w,
			    double rate)
{
	double length = w->to_ticks - w->from_ticks, since = w->from_ticks;
	double start = floor_at(&t->series, floors, since);

	rate /= SERIES_TICKS;
	for (double at = since - length / 8; at > t->series.border_ticks; at -= length / 8) {
		double expected = rate * (w->from_ticks - at);
		double growth = start - floor_at(&t->series, floors, at);

		if (growth < expected / 2 || growth > expected * 2)
			break;
		since = at;
	}
	return (t->series.last_ticks - since) / SERIES_TICKS;
}

/* What it is instead of growing. */
static const char *calm_verdict(const struct trend *t, const float *floors)
{
	const struct series *s = &t->series;
	double middle = (s->border_ticks + (double)s->last_ticks) / 2;
	double range = range_between(s, s->border_ticks, s->last_ticks);
	double recent = range_between(s, middle, s->last_ticks);
	double start = floor_at(s, floors, s->border_ticks), halfway = floor_at(s, floors, middle);
	double growth = floors[s->n - 1] - start;

	if (recent <= fmax(STEADY_BYTES, STEADY_RATIO * s->last))
		return "steady";
	if (growth >= range / 2 && halfway - start >= WARM_RATIO * (floors[s->n - 1] - halfway))
		return "warming-up";
	if (deepest_drop(s, series_find(s, s->border_ticks)) >= range / 4)
		return "churn";
	return "unknown";
}

/* A life that grows as the one before it did is believed sooner. */
static double with_life_before(const struct trend *t, const struct trend_estimate *e)
{
	double ratio = e->bytes_per_second / t->before.bytes_per_second;

	if (!(t->before.confidence > 0) || ratio < 1.0 / ALIKE_RATIO || ratio > ALIKE_RATIO)
		return e->confidence;
	return 1 - (1 - e->confidence) * (1 - t->before.confidence * e->confidence);
}

static void judge(struct trend *t)
{
	const struct series *s = &t->series;
	struct trend_estimate *e = &t->estimate;
	double seconds = (s->last_ticks - s->border_ticks) / (double)SERIES_TICKS,
	       recheck = RECHECK_SECONDS_MIN;
	float floors[SERIES_SPANS_MAX];
	struct window w;

	*e = (struct trend_estimate){NAN, NAN, NAN, .verdict = "unknown"};
	t->valid_ticks = 0;
	if (seconds < WINDOW_SECONDS_MIN || s->n_samples < SAMPLES_MIN)
		return;
	floors_from_end(s, series_find(s, s->border_ticks), floors);
	if (best_window(s, floors, &w)) {
		fit_window(&w, e);
		e->confidence = 1 / (1 + exp(-w.score));
		e->confidence = with_life_before(t, e);
		if (seconds < EARLY_SECONDS)
			e->confidence = fmin(e->confidence, EARLY_CONFIDENCE);
		recheck = (w.to_ticks - w.from_ticks) / SERIES_TICKS * RECHECK_RATIO;
	}
	if (e->confidence >= GROWING_CONFIDENCE) {
		e->verdict = "growing";
		e->since_seconds = since_seconds(t, floors, &w, e->bytes_per_second);
	} else {
		fit_life(t, e);
		e->verdict = calm_verdict(t, floors);
		recheck = fmin(recheck, CALM_RECHECK_SECONDS);
	}
	recheck = fmin(fmax(recheck, RECHECK_SECONDS_MIN), RECHECK_SECONDS_MAX);
	t->valid_ticks = recheck * SERIES_TICKS;
}

/* How long the estimate holds. What does not grow and has not changed since is ever less worth another look. */
static uint32_t valid_ticks(const struct trend *t)
{
	const struct series *s = &t->series;
	uint32_t changed_ticks = s->spans[s->n - 1].from_ticks;
	uint32_t quiet_ticks = (s->last_ticks - changed_ticks) / 4;

	if (t->estimate.confidence < GROWING_CONFIDENCE && changed_ticks <= t->judged_ticks &&
	    quiet_ticks > t->valid_ticks)
		return quiet_ticks;
	return t->valid_ticks;
}

void trend_estimate(struct trend *t, struct trend_estimate *ret)
{
	const struct series *s = &t->series;
	bool flat = s->n == 1 || (s->n && s->spans[s->n - 1].from_ticks == s->border_ticks);

	if (!s->n || (flat && s->n_samples < SAMPLES_MIN)) {
		*ret = (struct trend_estimate){NAN, NAN, NAN, .verdict = "unknown"};
		return;
	}
	if (flat) {
		*ret = (struct trend_estimate){.verdict = "steady"};
		return;
	}
	if (!t->judged || s->last_ticks - t->judged_ticks >= valid_ticks(t)) {
		judge(t);
		t->judged_ticks = s->last_ticks;
		t->judged = true;
	}
	*ret = t->estimate;
}

void trend_restart(struct trend *t)
{
	struct trend_estimate e;

	if (!t->series.n)
		return;
	t->judged = false;
	trend_estimate(t, &e);
	if (e.confidence >= t->before.confidence / 2) {
		t->before.confidence = e.confidence;
		t->before.bytes_per_second = e.bytes_per_second;
	}
	t->series.at_border = true;
	t->judged = false;
}

void trend_line(const struct trend *t, double *values, size_t n)
{
	const struct series *s = &t->series;
	double cell = fmax((double)s->last_ticks / (n ? n : 1), SERIES_TICKS);

	for (size_t i = 0; i < n; i++) {
		double to = s->last_ticks - cell * (n - 1 - i), from = to - cell;

		values[i] = NAN;
		if (!s->n || to < 0)
			continue;
		for (size_t at = series_find(s, from); at < s->n; at++) {
			if (at && s->spans[at].from_ticks > to)
				break;
			values[i] = fmax(values[i], s->spans[at].peak);
		}
	}
}
