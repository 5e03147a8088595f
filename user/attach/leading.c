// SPDX-License-Identifier: BSD-2-Clause
#include "attach/leading.h"

#include <math.h>
#include <time.h>

#include "attach/cover.h"
#include "attach/crowd.h"
#include "base/clock.h"
#include "wire.h"

#define STEP_NS (NS_PER_SECOND / 5) /* while probes stand: a build is not to be slowed for long */
#define SOON_NS 2000000 /* calls that began before a window closed have ended, nearly always */

static bool follows(const struct subject *s)
{
	return !s->ended && !s->forgotten;
}

/* What moving probes cost ourselves, of the budget of all. */
static double moving_load(const struct leading *l)
{
	const struct govern *law = &l->crowd.law;
	double own_ns = law->cycle.own_ns;

	for (size_t i = 0; i < l->followers->n; i++)
		if (follows(l->followers->items[i]))
			own_ns += l->followers->items[i]->law.cycle.own_ns;
	return l->moving_cpu_ns / govern_allowed_ns(law, own_ns, law->cycle.wall_ns);
}

/* All take in what has stood until now; at the end of a cycle they say what they need. */
static void follow(struct leading *l, uint64_t now_ns)
{
	struct govern *law = &l->crowd.law;
	bool ends = govern_cycle_ends(law, now_ns);
	struct govern_need need = {0};
	struct govern_sample sample;

	for (size_t i = 0; i < l->followers->n; i++) {
		struct subject *s = l->followers->items[i];

		if (!follows(s))
			continue;
		s->ended = subject_sample(s, &sample);
		if (s->ended)
			continue;
		govern_follow(&s->law, &sample, law->phase, now_ns);
	}
	if (!ends)
		return;
	need.moving_load = moving_load(l);
	for (size_t i = 0; i < l->followers->n; i++)
		if (follows(l->followers->items[i]))
			govern_follow_cycle(&l->followers->items[i]->law, law->cycle_ns,
					    !law->measures, &need);
	law->others = need;
	/* The first cycle has not been as long as moving needs it. */
	if (law->measures)
		law->cycle_ns = fmin(fmax(law->cycle_ns, law->cycle.wall_ns * need.moving_load),
				     GOVERN_CYCLE_MOST_NS);
	l->moving_cpu_ns = 0;
}

/* Without the lock: it takes milliseconds, or a second where links are perf events. Only the governor's thread, which this is, frees
 * subjects. */
static void move(struct leading *l, unsigned parts)
{
	const struct timespec soon = {.tv_nsec = SOON_NS};
	uint64_t began_ns = clock_monotonic_ns(),
		 cpu_ns = clock_thread_cpu_ns() + cover_closing_cpu_ns(l->cover);
	struct diag ignored = {0};

	pthread_mutex_unlock(l->lock);
	if (!(parts & COVER_ALLOCATIONS))
		nanosleep(&soon, NULL);
	/* What cannot be placed shows as probes that are not hit. */
	cover_set_shared(l->cover, parts, &ignored);
	pthread_mutex_lock(l->lock);
	l->moving_ns += clock_monotonic_ns() - began_ns;
	l->moving_cpu_ns += clock_thread_cpu_ns() + cover_closing_cpu_ns(l->cover) - cpu_ns;
}

/* What happened while probes moved belongs to no phase. */
static void moved(struct leading *l)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct govern_sample sample;

	for (size_t i = 0; i < l->followers->n; i++) {
		struct subject *s = l->followers->items[i];

		if (follows(s) && !subject_sample(s, &sample))
			govern_moved(&s->law, &sample, 0, now_ns);
	}
	subject_sample(&l->crowd, &sample);
	govern_moved(&l->crowd.law, &sample, l->moving_ns, now_ns);
	l->moving_ns = 0;
}

/* One that has not been through a window of its own is thought to be slowed down in them as the others are. */
static void open_windows(struct leading *l, const struct govern_orders *o)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct govern *law = &l->crowd.law;
	struct govern_sample sample;

	for (size_t i = 0; i < l->followers->n; i++) {
		struct subject *s = l->followers->items[i];
		double scale = o->scale;

		if (!follows(s) || subject_sample(s, &sample))
			continue;
		if (scale > 0 && s->law.phases[GOVERN_OPEN].wall_ns > 0)
			scale = govern_scale(&s->law, law->cycle_ns);
		govern_moved(&s->law, &sample, 0, now_ns);
		subject_open_gate(s, o->sample_interval, scale, now_ns + o->window_ns);
	}
	subject_sample(&l->crowd, &sample);
	subject_open_gate(&l->crowd, o->sample_interval, o->scale, now_ns + o->window_ns);
	if (o->scale > 0)
		crowd_opened(l->members, now_ns);
	govern_opened(law, &sample, now_ns);
	l->crowd.next_ns = law->close_ns;
}

static void join(struct leading *l, uint64_t now_ns)
{
	struct govern_sample sample;

	l->joined_ns = l->crowd.law.since_ns;
	l->moving_ns = l->moving_cpu_ns = 0;
	for (size_t i = 0; i < l->followers->n; i++) {
		struct subject *s = l->followers->items[i];

		if (follows(s) && !subject_sample(s, &sample))
			govern_join(&s->law, &sample, now_ns);
	}
}

/* All probes stand again, and each goes by its own law. */
static void resume(struct leading *l, uint64_t now_ns)
{
	for (size_t i = 0; i < l->followers->n; i++) {
		struct subject *s = l->followers->items[i];

		if (!follows(s))
			continue;
		govern_resume(&s->law, now_ns);
		subject_prepare(s, &s->law.orders);
		subject_finish(s);
		s->next_ns = now_ns;
	}
}

/* The crowd's flags are those of who begins from now on. */
static void flag(struct leading *l, const struct govern_orders *o)
{
	if (o->gated || o->sample_interval)
		crowd_flag(l->members, WIRE_GOVERNED_INEXACT);
	if (!(o->parts & COVER_FREES))
		crowd_flag(l->members, WIRE_GOVERNED_MISSED);
}

static void unflag(struct leading *l, const struct govern_orders *o)
{
	unsigned gone = o->gated ? 0 : WIRE_GOVERNED_MISSED;

	if (!o->gated && !o->sample_interval)
		gone |= WIRE_GOVERNED_INEXACT;
	__atomic_fetch_and(&l->crowd.record->flags, ~gone, __ATOMIC_SEQ_CST);
}

static void carry_out(struct leading *l, uint64_t now_ns)
{
	const struct govern_orders o = l->crowd.law.orders;
	bool led = leading_leads(l), moves = o.parts != l->crowd.done.parts;

	if (o.gated && l->joined_ns != l->crowd.law.since_ns)
		join(l, now_ns);
	flag(l, &o);
	subject_prepare(&l->crowd, &o);
	for (size_t i = 0; o.gated && i < l->followers->n; i++)
		if (follows(l->followers->items[i]))
			subject_prepare(l->followers->items[i], &o);
	if (moves)
		move(l, o.parts);
	subject_finish(&l->crowd);
	unflag(l, &o);
	if (led && !o.gated)
		resume(l, clock_monotonic_ns());
	if (o.window_ns)
		open_windows(l, &o);
	else if (moves)
		moved(l);
}

void leading_step(struct leading *l, uint64_t now_ns)
{
	struct govern_sample sample;

	if (leading_leads(l))
		follow(l, now_ns);
	subject_sample(&l->crowd, &sample);
	l->crowd.next_ns = govern_step(&l->crowd.law, &sample, now_ns);
	if (!l->crowd.law.orders.gated)
		l->crowd.next_ns = now_ns + STEP_NS;
	carry_out(l, now_ns);
}

void leading_demand(struct leading *l, const struct subject *s, uint64_t now_ns)
{
	const struct govern_need need = govern_wants(&s->law);
	struct govern_sample sample;

	subject_sample(&l->crowd, &sample);
	govern_step(&l->crowd.law, &sample, now_ns);
	govern_lead(&l->crowd.law, &need, s->law.cause_ratio, now_ns);
	l->crowd.next_ns = now_ns;
	carry_out(l, now_ns);
}
