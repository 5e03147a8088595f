/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_TREND_H
#define SEEP_ANALYZE_TREND_H
/* How one amount of memory grows over time: a slope that sawtooth caches, garbage collectors and warm-ups do not fool, with a
 * confidence. Of bounded size however long it goes on. Not thread-safe. */
#include <stddef.h>
#include <stdint.h>

struct trend;

struct trend_estimate {
	double bytes_per_second; /* slope of what is kept (the floor of a sawtooth); NAN: too early to say */
	double low_bytes_per_second; /* 95% interval */
	double high_bytes_per_second;
	double confidence; /* 0 to 1: that it grows and will go on */
	const char *
		verdict; /* of DESIGN.md's list: "growing", "warming-up", "churn", "steady", "unknown" */
	double since_seconds; /* how long it has grown like that, 0 when it does not */
};

/* Returns 0 or -ENOMEM. Destroy accepts NULL. */
int trend_create(struct trend **ret);
void trend_destroy(struct trend *t);

/* Adds a sample; time rises from sample to sample, and need not rise evenly. Cheap; the room, at most 4 kB, grows a few times
 * in all, and without memory for it the past becomes coarser. */
void trend_add(struct trend *t, double time_seconds, double bytes);
/* To be called before the first sample after what grew was ended and begins anew: the fall between is no sign that memory is
 * given back. A new life that grows like the one before is believed sooner. */
void trend_restart(struct trend *t);
/* Cheap while nothing was added that could change it. */
void trend_estimate(struct trend *t, struct trend_estimate *ret);
/* The n values of a sparkline, oldest first, NAN where there is none. */
void trend_line(const struct trend *t, double *values, size_t n);

#endif
