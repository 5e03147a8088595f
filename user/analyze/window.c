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
 * once, those of churn only near the end. So a window of time that ends now is cut into equal parts, and the growth of the
 * floor in each part gives what counts: in how many parts it grew in effect, how far its arrival is from even, how much slower
 * or faster the second half is, how large drops are beside it, what it did before, for how long it has gone on.
 *
 * An excursion that lasts longer than a third of the time is none: then the floor stands still, and the window ends that
 * much before the end and no earlier. Else a start and a dip would count as growth up to the dip, whatever came after.
 *
 * A logistic function of these is the confidence. tools/fit_trend.c fits its weights to populations of
 * tests/unit/simulated.c, in which a tenth leaks, and test_trend prints how well they are calibrated on others. Windows are the whole life, its latter
 * half, quarter and so on; the one that speaks most for growth is taken, which the fit knows. */
#include "analyze/window.h"

#include <math.h>

#define NOISE_BYTES 65536.0
#define HEAD_RATIO 0.03 /* of a window's growth: before so much came, it had not begun */
#define OPEN_RATIO 0.33 /* of the time to the end: what lasts longer is no excursion */
#define DROPS_RATIO 100 /* so many times the growth: drops leave nothing to judge */

/* Printed by tools/fit_trend.c. */
static const struct window_term terms[] = {
	{ONE, ONE, -2.223},
	{ONE, DURATION, 0.5641},
	{ONE, PIECES, 1.859},
	{ONE, UNEVEN, -1.405},
	{ONE, SLOWER, -2.404},
	{ONE, FASTER, -0.07033},
	{ONE, DROPS, 3.868},
	{ONE, OLD_DROPS, -3.906},
	{ONE, BEFORE, -3.103},
	{ONE, SIZE, 0.6093},
	{ONE, OPEN, 0.01177},
	{ONE, LIFE, 0.08939},
	{DURATION, DURATION, -0.03496},
	{DURATION, PIECES, 0.1775},
	{DURATION, UNEVEN, -2.404},
	{DURATION, SLOWER, -0.01328},
	{DURATION, DROPS, 2.149},
	{DURATION, OLD_DROPS, -2.439},
	{DURATION, BEFORE, -0.2881},
	{DURATION, LIFE, 0.115},
	{PIECES, PIECES, -0.691},
	{PIECES, UNEVEN, -2.937},
	{UNEVEN, UNEVEN, -2.482},
	{SLOWER, SLOWER, 0.8052},
	{DROPS, DROPS, -0.1767},
	{OLD_DROPS, OLD_DROPS, 0.1806},
	{ONE, STIR, 2.274},
	{STIR, STIR, -0.5735},
	{DURATION, STIR, 0.0238},
	{LIFE, STIR, -1.238},
	{BEFORE, BEFORE, 1.195},
	{SIZE, SIZE, -0.02363},
	{LIFE, LIFE, -0.05885},
	{LIFE, OLD_DROPS, -2.358},
	{ONE, RISE, 1.025},
	{RISE, RISE, -0.7232},
	{RISE, DROPS, -0.04512},
};
_Static_assert(sizeof(terms) / sizeof(terms[0]) == WINDOW_TERMS, "window.h says how many");

const struct window_term *window_terms(void)
{
	return terms;
}

void view_open(struct view *v, const struct series *s)
{
	float floor = INFINITY, drop = 0, low = INFINITY, high = -INFINITY;

	v->series = s;
	v->first = series_find(s, s->border_ticks);
	for (size_t i = s->n; i-- > v->first;) {
		const struct series_span *span = &s->spans[i];

		if (span->drop > drop)
			drop = span->drop;
		if (span->peak - floor > drop)
			drop = span->peak - floor;
		if (span->floor < floor)
			floor = span->floor;
		v->floors[i] = floor;
		v->drops[i] = drop;
	}
	for (size_t i = v->first; i < s->n; i++) {
		low = s->spans[i].floor < low ? s->spans[i].floor : low;
		high = s->spans[i].peak > high ? s->spans[i].peak : high;
		v->low[i] = low;
		v->high[i] = high;
	}
}

static double floor_in(const struct view *v, size_t i, double ticks)
{
	const struct series *s = v->series;
	const struct series_span *span = &s->spans[i];
	double length = series_end(s, i) - (double)span->from_ticks, part;

	if (i + 1 >= s->n || span->peak == span->floor || length <= 0)
		return v->floors[i];
	part = (ticks - span->from_ticks) / length;
	part = part < 0 ? 0 : part > 1 ? 1 : part;
	return v->floors[i] + part * (v->floors[i + 1] - v->floors[i]);
}

double view_floor(const struct view *v, double ticks)
{
	return floor_in(v, series_find(v->series, ticks), ticks);
}

/* Between the least and the greatest value from the life's start to a time, about. */
static double view_range_until(const struct view *v, double ticks)
{
	size_t i = series_find(v->series, ticks);

	if (i > v->first && series_end(v->series, i) > ticks)
		i--;
	return v->high[i] - v->low[i];
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

/* Finds the growth that counts. Returns false when there is none. */
static bool bound(const struct view *v, struct window *w)
{
	const struct series *s = v->series;
	size_t first = series_find(s, w->from_ticks), i = first;
	double top = v->floors[s->n - 1], start = floor_in(v, first, w->from_ticks);

	w->drop = v->drops[first];
	w->to_ticks = s->last_ticks;
	if (w->drop > 0) {
		top = fmax(v->floors[last_trough(s, first, w->drop)], top - w->drop);
		while (i < s->n && v->floors[i] <= top)
			i++;
		if (i < s->n)
			w->to_ticks = s->spans[i].from_ticks;
		w->to_ticks = fmax(w->to_ticks,
				   s->last_ticks - OPEN_RATIO * (s->last_ticks - w->from_ticks));
	}
	w->growth = top - start;
	if (w->growth * DROPS_RATIO <= w->drop || w->growth <= 0 ||
	    w->to_ticks - w->from_ticks < WINDOW_SECONDS_MIN / 2 * SERIES_TICKS)
		return false;
	i = first;
	for (size_t part = 0; part < WINDOW_PARTS; part++) {
		double ticks = w->from_ticks + (w->to_ticks - w->from_ticks) * part / WINDOW_PARTS;
		double floor;

		while (i + 1 < s->n && s->spans[i + 1].from_ticks <= ticks)
			i++;
		floor = floor_in(v, i, ticks);
		w->floors[part] = floor < top ? floor : top;
	}
	w->floors[WINDOW_PARTS] = top;
	return true;
}

/* How unevenly growth arrives. */
static void measure_parts(struct window *w)
{
	double squares = 0, uneven = 0, slack = 0.05 * w->growth;
	double first = w->floors[WINDOW_PARTS / 2] - w->floors[0];
	double second = w->floors[WINDOW_PARTS] - w->floors[WINDOW_PARTS / 2];
	double ratio = log((second + slack) / (first + slack));

	w->largest = 0;
	for (size_t i = 1; i <= WINDOW_PARTS; i++) {
		double growth = w->floors[i] - w->floors[i - 1];
		double arrived = (w->floors[i] - w->floors[0]) / w->growth;

		squares += growth * growth;
		uneven = fmax(uneven, fabs(arrived - (double)i / WINDOW_PARTS));
		w->largest = fmax(w->largest, growth);
	}
	w->feature[PIECES] = log(w->growth * w->growth / squares);
	w->feature[UNEVEN] = uneven;
	w->feature[SLOWER] = fmax(0, -ratio);
	w->feature[FASTER] = fmax(0, ratio);
}

/* Log of how much faster it grew in the time as long before the window. */
static double faster_before(const struct view *v, const struct window *w)
{
	double length = w->to_ticks - w->from_ticks;
	double from = fmax(v->series->border_ticks, w->from_ticks - length), before;

	if (w->from_ticks - from < length / 4)
		return 0;
	before = (view_floor(v, w->from_ticks) - view_floor(v, from)) / (w->from_ticks - from);
	return fmin(fmax(0, log(before / (w->growth / length))), 4);
}

/* How long nothing to speak of grew at the start of a window, in ticks. */
static double flat_head(const struct window *w)
{
	size_t i = 0;

	while (i < WINDOW_PARTS && w->floors[i + 1] - w->floors[0] <= HEAD_RATIO * w->growth)
		i++;
	return (w->to_ticks - w->from_ticks) * i / WINDOW_PARTS;
}

/* How much higher the peak of the second half of the time to the end is than that of the first. */
static double rise(const struct view *v, struct window *w)
{
	const struct series *s = v->series;
	double middle = (w->from_ticks + s->last_ticks) / 2;
	double first = -INFINITY, second = -INFINITY;

	for (size_t i = series_find(s, w->from_ticks); i < s->n; i++) {
		double peak = s->spans[i].peak;

		if (s->spans[i].from_ticks <= middle)
			first = fmax(first, peak);
		if (series_end(s, i) > middle || i + 1 == s->n)
			second = fmax(second, peak);
	}
	w->most_per_second = (second - w->floors[0]) * SERIES_TICKS /
			     (s->last_ticks - w->from_ticks - flat_head(w));
	return second - first;
}

static void judge(const struct view *v, struct window *w)
{
	double seconds = (w->to_ticks - w->from_ticks) / SERIES_TICKS;
	const struct series *s = v->series;
	double *x = w->feature;

	measure_parts(w);
	x[ONE] = 1;
	x[DURATION] = fmin(log(seconds / 60), 5);
	x[DROPS] = fmin(log1p(w->drop / w->growth), 4);
	x[OLD_DROPS] = fmin(log1p(v->drops[v->first] / w->growth), 4);
	x[BEFORE] = faster_before(v, w);
	x[STIR] = fmin(log1p(view_range_until(v, w->from_ticks) / w->growth), 4);
	x[SIZE] = fmin(log(w->growth / NOISE_BYTES), 4);
	x[OPEN] = fmin((s->last_ticks - w->to_ticks) / (w->to_ticks - w->from_ticks), 3);
	x[LIFE] = fmin(log((s->last_ticks - s->border_ticks) / (w->to_ticks - w->from_ticks)), 4);
	x[RISE] = fmax(-1, fmin(rise(v, w) / w->growth, 2));
	w->score = 0;
	for (size_t i = 0; i < WINDOW_TERMS; i++)
		w->score += terms[i].weight * x[terms[i].left] * x[terms[i].right];
}

/* Judges the window from a time on. Returns false when nothing grew. */
static bool try(const struct view *v, double from_ticks, struct window *ret)
{
	ret->from_ticks = from_ticks;
	if (!bound(v, ret))
		return false;
	judge(v, ret);
	return true;
}

void window_each(const struct view *v, void (*use)(void *arg, const struct window *w), void *arg)
{
	const struct series *s = v->series;
	double shortest = fmax(WINDOW_SECONDS_MIN * SERIES_TICKS,
			       WINDOW_SAMPLES_MIN * (double)s->last_ticks / s->n_samples);
	double life = s->last_ticks - s->border_ticks;

	for (double length = life; length >= shortest; length /= 2) {
		double from = s->last_ticks - length;
		struct window w;

		for (int i = 0; i < 2 && try(v, from, &w); i++) {
			use(arg, &w);
			if (flat_head(&w) < length / 4)
				break;
			from += flat_head(&w);
		}
	}
}

struct best {
	struct window *window;
	bool found;
};

static void keep_best(void *arg, const struct window *w)
{
	struct best *best = arg;

	if (!best->found || w->score > best->window->score)
		*best->window = *w;
	best->found = true;
}

bool window_best(const struct view *v, struct window *ret)
{
	struct best best = {.window = ret};

	window_each(v, keep_best, &best);
	return best.found;
}
