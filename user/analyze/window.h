/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_WINDOW_H
#define SEEP_ANALYZE_WINDOW_H
/* What a series shows of growth in windows of time that end now. Thread-safe. */
#include <stdbool.h>

#include "analyze/series.h"

#define WINDOW_PARTS 16
#define WINDOW_SECONDS_MIN 12.0
#define WINDOW_SAMPLES_MIN 8 /* with fewer in the life nothing is judged */

enum window_feature {
	ONE,	  /* for what does not depend on a second feature */
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
	RISE,	/* of the second half's peak over the first half's, beside the growth */
	N_FEATURES,
};

struct window {
	double from_ticks, to_ticks;	 /* in which growth counts */
	double floors[WINDOW_PARTS + 1]; /* of the parts' bounds, as seen from the end */
	double growth, largest;		 /* bytes, in all and in one part */
	double most_per_second; /* bytes; a higher rate would have come to more by the end */
	double drop;		/* bytes, the deepest */
	double feature[N_FEATURES];
	double score; /* log odds that it grows on */
};

/* A series' life since its border as seen from its end. Borrows the series, which must not change meanwhile. */
struct view {
	const struct series *series;
	size_t first; /* span of the life */
	/* For each span: the least value from it on, the deepest drop from it on, the extremes up to it. */
	float floors[SERIES_SPANS_MAX], drops[SERIES_SPANS_MAX];
	float low[SERIES_SPANS_MAX], high[SERIES_SPANS_MAX];
};

/* s must have samples. */
void view_open(struct view *v, const struct series *s);
/* The floor at a time. Within a span that is not flat it is taken to rise evenly to the next one's. */
double view_floor(const struct view *v, double ticks);

/* Calls use with each window in which anything grew: of the life, its latter half, quarter and so on, and each without a start in
 * which nothing grew. */
void window_each(const struct view *v, void (*use)(void *arg, const struct window *w), void *arg);
/* The one of them that speaks most for growth. Returns false when there is none. */
bool window_best(const struct view *v, struct window *ret);

/* What a product of two features adds to the score. */
struct window_term {
	unsigned char left, right; /* enum window_feature */
	float weight;
};

#define WINDOW_TERMS 37
/* All of them, for tools/fit_trend.c. */
const struct window_term *window_terms(void);

#endif
