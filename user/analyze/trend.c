// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/trend.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "analyze/window.h"

#define EARLY_SECONDS 30.0 /* before, nothing is certain */
#define EARLY_CONFIDENCE 0.4
#define GROWING_CONFIDENCE 0.5
#define UNSURE_CONFIDENCE 0.3 /* too much to call it anything else */
/* No less is called a change: counters of the kernel lag by 64 pages a processor. */
#define STEADY_BYTES 524288.0
#define STEADY_RATIO 0.02 /* of the amount */
#define PLATEAU_RATIO 0.1 /* of all that it has ever changed */
#define WARM_RATIO 1.7	  /* growth of the first half of a life over the second's */
#define ALIKE_RATIO 3.0	  /* rates of two lives that count as one */
/* An estimate holds for this part of the time that it was made from. */
#define RECHECK_RATIO 0.0625
#define RECHECK_SECONDS_MIN 2.0
#define RECHECK_SECONDS_MAX 60.0
#define CALM_RECHECK_SECONDS 12.0 /* growth may begin at any time */

struct life {
	double confidence, bytes_per_second;
};

struct trend {
	struct series series;
	struct trend_estimate estimate;
	struct life before; /* that of the last restart; confidence 0: none */
	uint32_t judged_ticks;
	uint32_t valid_ticks;
	bool judged;
};

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

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Theil-Sen over values at even distances in time, with Sen's interval from the variance of Kendall's S (Sen 1968). */
static void fit_slope(const double *values, double seconds_apart, struct trend_estimate *e)
{
	const double n = WINDOW_PARTS + 1, variance = n * (n - 1) * (2 * n + 5) / 18;
	const size_t margin = 1.96 * sqrt(variance) / 2;
	double slopes[WINDOW_PARTS * (WINDOW_PARTS + 1) / 2] = {0};
	size_t n_slopes = 0;

	for (size_t i = 0; i < WINDOW_PARTS; i++)
		for (size_t j = i + 1; j <= WINDOW_PARTS; j++)
			slopes[n_slopes++] = (values[j] - values[i]) / ((j - i) * seconds_apart);
	qsort(slopes, n_slopes, sizeof(*slopes), ascending);
	e->bytes_per_second = (slopes[n_slopes / 2] + slopes[n_slopes / 2 - 1]) / 2;
	e->low_bytes_per_second = slopes[n_slopes / 2 - margin];
	e->high_bytes_per_second = slopes[n_slopes / 2 + margin];
}

/* Pieces tie the floors between them to each other, so the interval also holds one piece more or less. No rate is more than
 * what was gained until the end. */
static void fit_window(const struct window *w, struct trend_estimate *e)
{
	double seconds = (w->to_ticks - w->from_ticks) / SERIES_TICKS;

	fit_slope(w->floors, seconds / WINDOW_PARTS, e);
	/* Mostly nothing, now and then a lot: the median says 0. */
	if (e->bytes_per_second <= 0)
		e->bytes_per_second = w->growth / seconds;
	e->bytes_per_second = fmin(e->bytes_per_second, w->most_per_second);
	e->low_bytes_per_second = fmin(e->low_bytes_per_second, e->bytes_per_second);
	e->low_bytes_per_second = fmin(e->low_bytes_per_second, (w->growth - w->largest) / seconds);
	e->high_bytes_per_second =
		fmax(e->high_bytes_per_second, (w->growth + w->largest) / seconds);
}

/* Of what does not grow: the floors of the parts of its life, which may fall. */
static void fit_life(const struct view *v, struct trend_estimate *e)
{
	const struct series *s = v->series;
	double length = (s->last_ticks - (double)s->border_ticks) / (WINDOW_PARTS + 1);
	double values[WINDOW_PARTS + 1], largest = 0;
	size_t i = v->first;

	for (size_t part = 0; part <= WINDOW_PARTS; part++) {
		double from = s->border_ticks + length * part;

		while (i + 1 < s->n && s->spans[i + 1].from_ticks <= from)
			i++;
		values[part] = s->spans[i].floor;
		for (; i + 1 < s->n && s->spans[i + 1].from_ticks < from + length; i++)
			values[part] = fmin(values[part], s->spans[i + 1].floor);
		if (part)
			largest = fmax(largest, fabs(values[part] - values[part - 1]));
	}
	largest /= length * (WINDOW_PARTS + 1) / SERIES_TICKS;
	fit_slope(values, length / SERIES_TICKS, e);
	e->low_bytes_per_second -= largest;
	e->high_bytes_per_second += largest;
}

/* How long the window's rate has held, before it too. */
static double since_seconds(const struct view *v, const struct window *w, double rate)
{
	const struct series *s = v->series;
	double length = w->to_ticks - w->from_ticks, since = w->from_ticks;
	double start = view_floor(v, since);

	rate /= SERIES_TICKS;
	for (double at = since - length / 8; at > s->border_ticks; at -= length / 8) {
		double expected = rate * (w->from_ticks - at);
		double growth = start - view_floor(v, at);

		if (growth < expected / 2 || growth > expected * 2)
			break;
		since = at;
	}
	return (s->last_ticks - since) / SERIES_TICKS;
}

/* Between the least and the greatest value of the latter half of the life. */
static double recent_range(const struct view *v, double middle_ticks)
{
	const struct series *s = v->series;
	size_t i = series_find(s, middle_ticks);
	float low = v->floors[i], high = low;

	for (; i < s->n; i++)
		high = s->spans[i].peak > high ? s->spans[i].peak : high;
	return high - low;
}

/* What it is instead of growing. */
static const char *calm_verdict(const struct view *v, double confidence)
{
	const struct series *s = v->series;
	double middle = (s->border_ticks + (double)s->last_ticks) / 2;
	double range = v->high[s->n - 1] - v->low[s->n - 1];
	double start = v->floors[v->first], halfway = view_floor(v, middle);
	double end = v->floors[s->n - 1];

	if (confidence >= UNSURE_CONFIDENCE)
		return "unknown";
	if (recent_range(v, middle) <=
	    fmax(PLATEAU_RATIO * range, fmax(STEADY_BYTES, STEADY_RATIO * s->last)))
		return "steady";
	if (end - start >= range / 2 && halfway - start >= WARM_RATIO * (end - halfway))
		return "warming-up";
	if (v->drops[v->first] >= range / 4)
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

/* How long to wait with the next look, after one at that much time. */
static uint32_t recheck_ticks(double seconds, bool growing)
{
	double recheck = seconds * RECHECK_RATIO, max = RECHECK_SECONDS_MAX;

	if (!growing)
		max = CALM_RECHECK_SECONDS;
	return fmin(fmax(recheck, RECHECK_SECONDS_MIN), max) * SERIES_TICKS;
}

static void judge(struct trend *t)
{
	const struct series *s = &t->series;
	struct trend_estimate *e = &t->estimate;
	double seconds = (s->last_ticks - s->border_ticks) / (double)SERIES_TICKS;
	struct window w;
	struct view v;

	*e = (struct trend_estimate){NAN, NAN, NAN, .verdict = "unknown"};
	t->valid_ticks = 0;
	if (seconds < WINDOW_SECONDS_MIN || s->n_samples < WINDOW_SAMPLES_MIN)
		return;
	view_open(&v, s);
	if (window_best(&v, &w)) {
		fit_window(&w, e);
		e->confidence = 1 / (1 + exp(-w.score));
		e->confidence = with_life_before(t, e);
		if (seconds < EARLY_SECONDS)
			e->confidence = fmin(e->confidence, EARLY_CONFIDENCE);
	}
	if (e->confidence >= GROWING_CONFIDENCE) {
		e->verdict = "growing";
		e->since_seconds = since_seconds(&v, &w, e->bytes_per_second);
		seconds = (w.to_ticks - w.from_ticks) / SERIES_TICKS;
	} else {
		fit_life(&v, e);
		e->verdict = calm_verdict(&v, e->confidence);
	}
	t->valid_ticks = recheck_ticks(seconds, e->confidence >= GROWING_CONFIDENCE);
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

	if (!s->n || (flat && s->n_samples < WINDOW_SAMPLES_MIN)) {
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
