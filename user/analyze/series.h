/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_SERIES_H
#define SEEP_ANALYZE_SERIES_H
/* An amount over time in bounded memory: exact where it is recent or does not change, ever coarser the older it is. Of each
 * span of time stay the floor, the peak and the deepest drop, which can be joined without loss. Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIES_TICKS 16	     /* a second: the unit of times; 8 years fit 32 bits */
#define SERIES_SPANS_MAX 240 /* 3,840 bytes */
#define SERIES_SPANS_FIRST 8 /* most processes never need more */

/* Lasts until the next one's start; the last one until the newest sample. */
struct series_span {
	uint32_t from_ticks; /* since the first sample */
	float floor, peak;   /* least and greatest value */
	float drop;	     /* the furthest that a later value was below an earlier one */
};

struct series {
	struct series_span *spans; /* oldest first */
	uint16_t n, cap;
	float fineness; /* spans of age a are joined up to a length of a / fineness */
	uint32_t last_ticks;
	uint32_t n_samples;    /* stays at its maximum */
	uint32_t border_ticks; /* spans before and after it are never joined; 0: none */
	bool at_border;	       /* the next sample makes one */
	double first_seconds;
	double last;
};

/* Returns 0 or -ENOMEM. */
int series_init(struct series *s);
void series_done(struct series *s);

/* Adds a value at a time after all others; an earlier time counts as the newest sample's. Constant time on average; the room
 * grows a few times in a series' life, and without memory for it the series only becomes coarser. */
void series_add(struct series *s, double seconds, double value);

/* Where span i ends, in ticks: where the next one starts. */
uint32_t series_end(const struct series *s, size_t i);
/* The first span of those that reach past a time; the last one when none does. There must be samples. */
size_t series_find(const struct series *s, double ticks);

#endif
