// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/series.h"

#include <errno.h>
#include <stdlib.h>

/* 32 spans for each e-fold of age or so. */
#define FINENESS 24
#define COARSER 0.8F

int series_init(struct series *s)
{
	*s = (struct series){.cap = SERIES_SPANS_FIRST, .fineness = FINENESS};
	s->spans = malloc(s->cap * sizeof(*s->spans));
	return s->spans ? 0 : -ENOMEM;
}

void series_done(struct series *s)
{
	free(s->spans);
	s->spans = NULL;
}

static void join(struct series_span *into, const struct series_span *later)
{
	float between = into->peak - later->floor;

	if (later->drop > into->drop)
		into->drop = later->drop;
	if (between > into->drop)
		into->drop = between;
	if (later->floor < into->floor)
		into->floor = later->floor;
	if (later->peak > into->peak)
		into->peak = later->peak;
}

uint32_t series_end(const struct series *s, size_t i)
{
	return i + 1 < s->n ? s->spans[i + 1].from_ticks : s->last_ticks;
}

/* Joins neighbours that are short for their age. */
static void thin(struct series *s)
{
	size_t kept = 0;

	for (size_t i = 1; i < s->n; i++) {
		uint32_t end = series_end(s, i);
		float age = s->last_ticks - end, length = end - s->spans[kept].from_ticks;
		bool border = s->border_ticks && s->spans[i].from_ticks == s->border_ticks;

		if (!border && length * s->fineness <= age)
			join(&s->spans[kept], &s->spans[i]);
		else
			s->spans[++kept] = s->spans[i];
	}
	s->n = kept + 1;
}

static void make_room(struct series *s)
{
	size_t cap = s->cap * 2 < SERIES_SPANS_MAX ? s->cap * 2 : SERIES_SPANS_MAX;
	struct series_span *spans;

	thin(s);
	if (s->n <= s->cap * 3 / 4)
		return;
	spans = cap > s->cap ? realloc(s->spans, cap * sizeof(*spans)) : NULL;
	if (spans) {
		s->spans = spans;
		s->cap = cap;
		return;
	}
	while (s->n > s->cap * 3 / 4) {
		s->fineness *= COARSER;
		thin(s);
	}
}

void series_add(struct series *s, double seconds, double value)
{
	struct series_span *newest = s->n ? &s->spans[s->n - 1] : NULL;
	double ticks;

	if (!newest)
		s->first_seconds = seconds;
	ticks = (seconds - s->first_seconds) * SERIES_TICKS;
	s->last = value;
	if (s->n_samples < UINT32_MAX)
		s->n_samples++;
	if (ticks > s->last_ticks)
		s->last_ticks = ticks < UINT32_MAX ? ticks : UINT32_MAX;
	if (s->at_border && newest)
		s->border_ticks = s->last_ticks;
	else if (newest && newest->floor == (float)value && newest->peak == newest->floor)
		return;
	s->at_border = false;
	if (s->n == s->cap)
		make_room(s);
	s->spans[s->n++] =
		(struct series_span){.from_ticks = s->last_ticks, .floor = value, .peak = value};
}

size_t series_find(const struct series *s, double ticks)
{
	size_t low = 0, high = s->n - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (series_end(s, middle) > ticks)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
