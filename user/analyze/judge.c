// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/judge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 48 /* of the counters: evenly over the time, as far as they go */
#define MOMENTS 8 /* of the births: the older, the farther apart */
#define EARLY_SECONDS 8.0
#define LEAK_SECONDS 24.0
#define YOUNG_SECONDS 60.0 /* a process younger than that may still be warming up */
#define YOUNG_LEAK_SECONDS 30.0
#define SURE_SECONDS 600.0 /* before, a cache that fills as evenly is never ruled out */
#define SURE_MOST 0.95
#define DROP_RATIO 0.35	  /* of what has stayed: what once dropped by more may do so again */
#define STRANGE_RATIO 0.3 /* of the growth: frees of unseen blocks may be what balances it */
#define OUTLIVED_RATIO                                                                             \
	0.8		/* of the age of the oldest that stayed: who died older was not outlived */
#define GONE_RATIO 0.05 /* of what stays: when so many died so old, it may follow */
#define GONE_MIN 8
#define SURVIVAL_MIN 16 /* allocations of which a share is worth to tell */
#define SURVIVAL_LATE 3 /* times the age */

struct point {
	double seconds, allocations, frees, bytes;
};

struct judge {
	struct point points[POINTS];
	size_t n_points;
	double spacing_seconds; /* between points */
	struct cohorts moments[MOMENTS];
	size_t n_moments;
	struct cohorts now;
	struct point last;
	double weight;
	double first_seconds;
	double peak, drop; /* outstanding blocks: the most so far; the furthest below it */
};

int judge_create(struct judge **ret)
{
	struct judge *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	*ret = j;
	return 0;
}

void judge_destroy(struct judge *j)
{
	free(j);
}

/* Every second one goes. */
static void thin_points(struct judge *j)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->n_points; i += 2)
		j->points[kept++] = j->points[i];
	j->n_points = kept;
	j->spacing_seconds = 2 * fmax(j->spacing_seconds, 0.5);
}

static void add_point(struct judge *j, const struct point *p)
{
	if (j->n_points &&
	    p->seconds - j->points[j->n_points - 1].seconds < 0.9 * j->spacing_seconds)
		return;
	if (j->n_points == POINTS)
		thin_points(j);
	j->points[j->n_points++] = *p;
}

/* The one goes that is missed least: whose neighbours are closest for their age. */
static void make_room(struct judge *j, double now)
{
	size_t least = 0;
	double smallest = INFINITY;

	for (size_t i = 0; i + 1 < j->n_moments; i++) {
		double before = i ? j->moments[i - 1].seconds : j->first_seconds;
		double gap =
			(j->moments[i + 1].seconds - before) / (now - j->moments[i].seconds + 1);

		if (gap < smallest) {
			smallest = gap;
			least = i;
		}
	}
	j->n_moments--;
	memmove(&j->moments[least], &j->moments[least + 1],
		(j->n_moments - least) * sizeof(j->moments[0]));
}

static void add_moment(struct judge *j)
{
	double life = j->now.seconds - j->first_seconds;

	if (j->n_moments &&
	    j->now.seconds - j->moments[j->n_moments - 1].seconds < fmax(1, life / 24))
		return;
	if (j->n_moments == MOMENTS)
		make_room(j, j->now.seconds);
	j->moments[j->n_moments++] = j->now;
}

void judge_add(struct judge *j, const struct judge_sample *s)
{
	const struct point p = {s->seconds, s->allocations, s->frees, s->bytes};
	double n = s->allocations - s->frees;

	if (j->n_points && p.allocations < j->last.allocations)
		*j = (struct judge){0};
	/* What was now becomes a moment of the past. */
	if (j->n_points)
		add_moment(j);
	else
		j->first_seconds = s->seconds;
	add_point(j, &p);
	j->last = p;
	j->weight = s->weight;
	j->now.seconds = s->seconds;
	if (s->born)
		memcpy(j->now.born, s->born, sizeof(j->now.born));
	else
		memset(j->now.born, 0, sizeof(j->now.born));
	j->peak = fmax(j->peak, n);
	j->drop = fmax(j->drop, j->peak - n);
}

/* Allocations until a time; none until began. */
static double allocated_until(const struct judge *j, double began, double seconds)
{
	struct point before = {began};

	for (size_t i = 0; i <= j->n_points; i++) {
		const struct point *p = i < j->n_points ? &j->points[i] : &j->last;

		if (p->seconds >= seconds)
			return before.allocations +
			       (p->allocations - before.allocations) *
				       (p->seconds > before.seconds
						? (seconds - before.seconds) /
							  (p->seconds - before.seconds)
						: 1);
		before = *p;
	}
	return before.allocations;
}

static bool find_residue(const struct judge *j, const struct judge_frame *f, struct residue *ret,
			 double *ret_watched_seconds)
{
	bool found = false;

	for (size_t i = 0; i < j->n_moments; i++) {
		struct residue r;

		if (!cohort_residue(f->edges, f->began_seconds, j->last.frees == 0, &j->moments[i],
				    &j->now, &r) ||
		    (found && r.quality <= ret->quality))
			continue;
		*ret = r;
		*ret_watched_seconds = j->now.seconds - j->moments[i].seconds;
		found = true;
	}
	return found;
}

/* A rate out of what stays, by the mean size of what is there. */
static void fill_rate(const struct judge *j, const struct residue *r, struct judgement *ret)
{
	double n = j->last.allocations - j->last.frees;
	double bytes = n > 0 ? j->last.bytes / n : NAN;
	double seconds = r->to_seconds - r->from_seconds;
	double half = 1.96 * sqrt(r->n * r->dispersion);

	ret->bytes_per_second = bytes * r->n / seconds;
	ret->low_bytes_per_second = bytes * fmax(0, r->n - half) / seconds;
	ret->high_bytes_per_second = bytes * (r->n + half) / seconds;
}

/* What stays may only be too young: those before it were freed, at an age that it has hardly reached. */
static bool older_went(const struct judge *j, const struct judge_frame *f, const struct residue *r)
{
	double age = OUTLIVED_RATIO * (j->now.seconds - r->from_seconds), gone = 0;

	for (size_t i = 0; i < j->n_moments; i++)
		gone += cohort_gone(f->edges, f->began_seconds, r->from_seconds, age,
				    &j->moments[i],
				    i + 1 < j->n_moments ? &j->moments[i + 1] : &j->now);
	return gone > GONE_RATIO * r->n && gone >= GONE_MIN;
}

/* Why what stays may not be a leak, or NULL. rate: blocks a second, for so many seconds. */
static const char *doubt(const struct judge *j, const struct judge_frame *f,
			 const struct residue *r, double rate, double seconds)
{
	double least = f->age_seconds < YOUNG_SECONDS ? YOUNG_LEAK_SECONDS : LEAK_SECONDS;

	if (!f->may_leak)
		return "whose blocks these are is not known";
	if (f->strange_frees_per_second > STRANGE_RATIO * rate)
		return "but blocks from before the trace are freed as fast: these may replace them";
	/* So many as once went at a time may go again. */
	if (j->drop > DROP_RATIO * r->n + 4)
		return "but it has given back as much before";
	if (older_went(j, f, r))
		return "but those before them were freed when they were as old";
	return seconds < least ? "too early to call it a leak" : NULL;
}

static bool judge_leak(const struct judge *j, const struct judge_frame *f, struct judgement *ret)
{
	struct residue r = {0};
	double watched_seconds = 0, seconds, allocated, rate;

	if (!find_residue(j, f, &r, &watched_seconds))
		return false;
	seconds = j->now.seconds - r.from_seconds;
	rate = r.n * j->weight / (r.to_seconds - r.from_seconds);
	allocated = allocated_until(j, f->began_seconds, r.to_seconds) -
		    allocated_until(j, f->began_seconds, r.from_seconds);
	fill_rate(j, &r, ret);
	ret->since_seconds = seconds;
	ret->kept_share = fmin(1, r.n / fmax(allocated, r.n));
	ret->kept_age_seconds = j->now.seconds - r.to_seconds;
	ret->n_watched = r.n_watched;
	ret->n_freed = r.n_freed;
	ret->watched_seconds = watched_seconds;
	ret->confidence = r.quality;
	if (seconds < SURE_SECONDS)
		ret->confidence *= SURE_MOST;
	ret->doubt = doubt(j, f, &r, rate, seconds);
	ret->verdict = ret->doubt ? "growing" : "leak";
	return true;
}

/* The floor of what is outstanding, as seen from the end, at the points and now. */
struct floors {
	double seconds[POINTS + 1], value[POINTS + 1];
	size_t n;
	double low, high;     /* of the latter half of the time */
	double drop;	      /* the deepest of all */
	double frees, blocks; /* in the latter half: freed, and the most outstanding */
};

static void find_floors(const struct judge *j, struct floors *ret)
{
	double floor = INFINITY, middle = (j->first_seconds + j->last.seconds) / 2, frees = 0;

	*ret = (struct floors){.n = j->n_points, .low = INFINITY};
	for (size_t i = 0; i < j->n_points; i++)
		ret->seconds[i] = j->points[i].seconds;
	if (j->last.seconds > ret->seconds[ret->n - 1])
		ret->seconds[ret->n++] = j->last.seconds;
	for (size_t i = ret->n; i-- > 0;) {
		const struct point *p = i < j->n_points ? &j->points[i] : &j->last;

		ret->drop = fmax(ret->drop, isinf(floor) ? 0 : p->bytes - floor);
		floor = fmin(floor, p->bytes);
		ret->value[i] = floor;
		frees = p->seconds <= middle ? fmax(frees, p->frees) : frees;
		if (p->seconds < middle)
			continue;
		ret->low = fmin(ret->low, p->bytes);
		ret->high = fmax(ret->high, p->bytes);
		ret->blocks = fmax(ret->blocks, p->allocations - p->frees);
	}
	ret->frees = j->last.frees - frees;
}

static double floor_at(const struct floors *f, double seconds)
{
	for (size_t i = 0; i + 1 < f->n; i++)
		if (f->seconds[i + 1] >= seconds)
			return f->value[i] + (f->value[i + 1] - f->value[i]) *
						     fmax(0, seconds - f->seconds[i]) /
						     (f->seconds[i + 1] - f->seconds[i]);
	return f->value[f->n - 1];
}

/* In how many parts of eight it grew to speak of. */
static unsigned pieces(const struct floors *f, double from, double to, double growth)
{
	unsigned n = 0;

	for (int i = 0; i < 8; i++)
		n += floor_at(f, from + (to - from) * (i + 1) / 8) -
			     floor_at(f, from + (to - from) * i / 8) >
		     growth / 24;
	return n;
}

/* Out of the amount alone: blocks replace each other, or are too few to follow. */
static bool judge_growing(const struct judge *j, const struct floors *f, struct judgement *ret)
{
	double to = j->last.seconds, life = to - j->first_seconds, from = to - life * 2 / 3;
	double growth = f->value[f->n - 1] - floor_at(f, from);
	double second = f->value[f->n - 1] - floor_at(f, (from + to) / 2);
	double per_second = growth / (to - from);

	if (growth < 0.2 * f->value[f->n - 1] || growth <= 0 || f->drop > growth ||
	    second < 0.35 * growth || pieces(f, from, to, growth) < 4)
		return false;
	ret->verdict = "growing";
	ret->confidence = fmin(0.8, 0.3 + life / 200) * (1 - 0.5 * fmin(1, f->drop / growth));
	ret->bytes_per_second = per_second;
	ret->low_bytes_per_second = fmin(second, growth - second) * 2 / (to - from);
	ret->high_bytes_per_second = fmax(second, growth - second) * 2 / (to - from);
	ret->since_seconds = to - from;
	return true;
}

static void judge_calm(const struct judge *j, const struct floors *f, struct judgement *ret)
{
	double to = j->last.seconds, life = to - j->first_seconds;
	double end = f->value[f->n - 1], growth = end - f->value[0];
	double first = floor_at(f, to - life / 2) - f->value[0];

	ret->confidence = fmin(0.9, 0.3 + life / 100);
	if (f->frees >= f->blocks && f->frees > 0)
		ret->verdict = "churn";
	else if (f->high - f->low <= 0.1 * f->high)
		ret->verdict = "steady";
	else if (growth > 0.3 * end && first > 1.5 * (growth - first))
		ret->verdict = "warming-up";
	else if (f->drop > 0.3 * f->high)
		ret->verdict = "churn";
	else
		ret->confidence = 0;
	ret->since_seconds = life / 2;
}

void judge_site(const struct judge *j, const struct judge_frame *frame, struct judgement *ret)
{
	struct judgement unknown = {.verdict = "unknown",
				    .bytes_per_second = NAN,
				    .low_bytes_per_second = NAN,
				    .high_bytes_per_second = NAN,
				    .kept_share = NAN};
	struct floors floors;

	unknown.freed_share = j->last.frees / fmax(1, j->last.allocations);
	*ret = unknown;
	if (j->n_points < 3 || j->last.seconds - frame->began_seconds < EARLY_SECONDS)
		return;
	if (judge_leak(j, frame, ret))
		return;
	*ret = unknown;
	find_floors(j, &floors);
	if (!judge_growing(j, &floors, ret))
		judge_calm(j, &floors, ret);
}

double judge_survival(const struct judge *j, const struct judge_frame *f, double age_seconds)
{
	double now = j->now.seconds, left = 0, allocated;
	size_t end = 0;

	if (!j->n_points)
		return NAN;
	while (end < JUDGE_SLOTS && f->edges[end + 1] <= now - age_seconds) {
		left += (int32_t)j->now.born[end] > 0 ? j->now.born[end] : 0;
		end++;
	}
	if (f->edges[end] <= f->began_seconds || now - f->edges[end] > SURVIVAL_LATE * age_seconds)
		return NAN;
	allocated = allocated_until(j, f->began_seconds, f->edges[end]);
	return allocated < SURVIVAL_MIN ? NAN : fmin(1, left / allocated);
}
