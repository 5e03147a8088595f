// SPDX-License-Identifier: BSD-2-Clause
#include "attach/govern.h"

#include <math.h>

#include "attach/cover.h"
#include "base/clock.h"

#define MEMORY_NS (2.0 * NS_PER_SECOND) /* of decaying sums */
#define STEP_NS (NS_PER_SECOND / 2)
#define HOLD_FIRST_NS (10 * NS_PER_SECOND)
#define HOLD_MOST_NS (600 * NS_PER_SECOND)
#define FIRST_INTERVAL 1024
#define MOST_INTERVAL (1 << 20)
#define WINDOWS_BACK_INTERVAL (1 << 18)
/* Of the budget: what a change aims at, where a better mode may begin, what it may be predicted to cost. */
#define AIM 0.8
#define LOW 0.7
#define PREDICTED_MOST 0.85
#define SKIPPED_MOST 0.9
#define FREES_STAY_MOST 0.4
/* Below a thousandth of a CPU nothing is worth a worse report. */
#define ALLOWED_ANYWAY 0.001
/* Own time by overhead that can still be told: below, it is what the costs are wrong by. */
#define LEAST_OWN 0.05
#define MOST_INFLATION 20.0
#define ENOUGH_FREES 500
#define MOST_SCALE 60000.0 /* fits 16 bits */
#define MANY_KEEP 0.95	   /* of the sums of phases, from cycle to cycle */
/* What is remembered of a cycle in the next: of the pace, of what traps cost. */
#define KEEP_PACE 0.7
#define KEEP_COSTS 0.85
/* A window's total differs by so much from another's, as long as that is not known: worth so many windows. */
#define FIRST_SPREAD 0.5
#define FIRST_WINDOWS 2
#define COSTS_ERROR 0.1 /* of what a trap costs here */
#define SURELY_BUSIER 1.5
#define MEASURE_NS (NS_PER_SECOND)
#define LEAST_CYCLE_MOVES 4
#define LEAST_CYCLE_NS (4 * (GOVERN_SKIP_NS + GOVERN_WINDOW_NS + GOVERN_FOLLOW_NS))
#define LOOK_NS (NS_PER_SECOND / 10)
#define LOOK_WAIT_FIRST_NS (30 * NS_PER_SECOND)
#define LOOK_WAIT_MOST_NS (600 * NS_PER_SECOND)

void govern_init(struct govern *g, const struct govern_costs *costs, double budget,
		 uint64_t base_interval, uint64_t seed, uint64_t now_ns)
{
	*g = (struct govern){
		.costs = *costs,
		.budget = budget,
		.allowed_anyway = ALLOWED_ANYWAY,
		.base_interval = base_interval,
		.mode = base_interval ? GOVERN_SAMPLED : GOVERN_EXACT,
		.orders = {.parts = COVER_ALL, .sample_interval = base_interval, .scale = 1},
		.since_ns = now_ns,
		.ratio = NAN,
		.last_ns = now_ns,
		.exact_pair_ns = costs->pair_ns,
		.inflation = 1,
		.hold_ns = HOLD_FIRST_NS,
		.look_wait_ns = LOOK_WAIT_FIRST_NS,
		.random = seed | 1,
	};
}

/* Evenly from [0, 1). xorshift64*, Vigna 2016. */
static double draw(struct govern *g)
{
	g->random ^= g->random >> 12;
	g->random ^= g->random << 25;
	g->random ^= g->random >> 27;
	return (double)(g->random * 0x2545f4914f6cdd1dULL >> 11) / (1ULL << 53);
}

static void add(struct govern_sums *to, const struct govern_sums *from, double keep)
{
	to->wall_ns = to->wall_ns * keep + from->wall_ns;
	to->own_ns = to->own_ns * keep + from->own_ns;
	to->cpu_ns = to->cpu_ns * keep + from->cpu_ns;
	to->overhead_ns = to->overhead_ns * keep + from->overhead_ns;
	to->traps_ns = to->traps_ns * keep + from->traps_ns;
	to->skipped_ns = to->skipped_ns * keep + from->skipped_ns;
	to->frees_ns = to->frees_ns * keep + from->frees_ns;
	to->n_entries = to->n_entries * keep + from->n_entries;
	to->n_frees = to->n_frees * keep + from->n_frees;
}

/* What the counters say of the time since the last step. */
static struct govern_sums difference(struct govern *g, const struct govern_sample *s,
				     uint64_t now_ns)
{
	const struct govern_costs *c = &g->costs;
	double entries = s->n_entries - g->last.n_entries, frees = s->n_frees - g->last.n_frees,
	       returns = s->n_returns - g->last.n_returns,
	       stepped = s->n_stepped - g->last.n_stepped, run_ns = s->run_ns - g->last.run_ns;
	struct govern_sums d = {
		.wall_ns = now_ns > g->last_ns ? now_ns - g->last_ns : 0,
		.cpu_ns = s->cpu_ns > g->last.cpu_ns ? s->cpu_ns - g->last.cpu_ns : 0,
		.n_entries = entries,
		.n_frees = frees,
	};

	d.traps_ns = g->inflation * ((entries + frees) * c->trap_ns + returns * c->return_ns +
				     stepped * c->stepped_ns);
	d.overhead_ns = d.traps_ns + run_ns;
	d.skipped_ns = g->inflation *
		       ((entries + frees) * (c->trap_ns + c->skip_ns) + stepped * c->stepped_ns);
	if (c->returns_always)
		d.skipped_ns += g->inflation * returns * (c->return_ns + c->skip_ns);
	d.skipped_ns = fmin(d.skipped_ns, d.overhead_ns);
	d.frees_ns = entries + frees > 0 ? d.skipped_ns * frees / (entries + frees) : 0;
	/* Counters come in lumps and costs are medians: some of its time is always its own. */
	d.own_ns = fmax(d.cpu_ns - d.overhead_ns, 0.05 * d.cpu_ns);
	g->last = *s;
	if (now_ns > g->last_ns)
		g->last_ns = now_ns;
	g->total_overhead_ns += d.overhead_ns;
	return d;
}

double govern_allowed_ns(const struct govern *g, double own_ns, double wall_ns)
{
	return fmax(fmax(g->budget * own_ns, g->allowed_anyway * wall_ns), 1);
}

static double allowed_ns(const struct govern *g, const struct govern_sums *s)
{
	return govern_allowed_ns(g, s->own_ns, s->wall_ns);
}

/* Cost of recording everything, of the budget. */
static double exact_load(const struct govern *g, const struct govern_sums *s)
{
	return s->n_entries * g->exact_pair_ns / allowed_ns(g, s);
}

static void set_mode(struct govern *g, enum govern_mode mode, uint64_t now_ns)
{
	if (mode != g->mode)
		g->since_ns = now_ns;
	g->mode = mode;
	g->now = (struct govern_sums){0};
	g->calm_ns = 0;
}

static void set_interval(struct govern *g, uint64_t interval, uint64_t now_ns)
{
	if (interval < g->base_interval)
		interval = g->base_interval;
	g->orders =
		(struct govern_orders){.parts = COVER_ALL, .sample_interval = interval, .scale = 1};
	set_mode(g, interval ? GOVERN_SAMPLED : GOVERN_EXACT, now_ns);
}

/* To something cheaper, because of a cost of `ratio`. */
static void note_worse(struct govern *g, double ratio, uint64_t now_ns)
{
	if (g->relaxed_ns && now_ns - g->relaxed_ns < 3 * g->hold_ns) {
		g->hold_ns = g->hold_ns * 2 < HOLD_MOST_NS ? g->hold_ns * 2 : HOLD_MOST_NS;
		g->relaxed_ns = 0;
	}
	g->cause_ratio = ratio;
}

static void note_better(struct govern *g, uint64_t now_ns)
{
	/* What went well for long is forgiven. */
	if (g->relaxed_ns && now_ns - g->relaxed_ns > 10 * g->hold_ns)
		g->hold_ns = HOLD_FIRST_NS;
	g->relaxed_ns = now_ns;
}

/* Whether `calm` has lasted long enough. */
static bool calm_enough(struct govern *g, bool calm, uint64_t now_ns)
{
	if (!calm)
		g->calm_ns = 0;
	else if (!g->calm_ns)
		g->calm_ns = now_ns;
	return calm && now_ns - g->calm_ns >= g->hold_ns;
}

/* The cycle in which all probes for W, and those of frees for F, cost what is aimed at. s: while all probes stood, or of an exact or
 * sampled trace. */
static double cycle_needed_ns(const struct govern *g, const struct govern_sums *s)
{
	double per_own = s->n_entries * g->exact_pair_ns / fmax(s->own_ns, 1),
	       busy = fmax(s->cpu_ns, 1) / fmax(s->wall_ns, 1),
	       frees = g->frees_stay ? s->frees_ns / allowed_ns(g, s) : 0,
	       /* Slowed down, it gets to less of its own work. */
		open = busy * per_own / (1 + per_own),
	       allowed = fmax(g->budget * busy, g->allowed_anyway) * fmax(AIM - frees, 0.1),
	       length_ns = GOVERN_WINDOW_NS + (g->frees_stay ? 0 : (double)GOVERN_FOLLOW_NS);

	return fmax(length_ns * open / allowed, LEAST_CYCLE_NS);
}

static void inflate(struct govern_sums *phases, double factor)
{
	for (int i = 0; i < GOVERN_PHASES; i++) {
		phases[i].overhead_ns += phases[i].traps_ns * (factor - 1);
		phases[i].traps_ns *= factor;
		phases[i].skipped_ns *= factor;
		phases[i].frees_ns *= factor;
	}
}

static void forget_phases(struct govern *g, double keep_pace, double keep_costs)
{
	static const struct govern_sums nothing;

	for (int i = 0; i < GOVERN_PHASES; i++) {
		add(&g->phases[i], &nothing, keep_pace);
		add(&g->paces[i], &nothing, keep_costs);
	}
}

static void add_phase(struct govern *g, enum govern_phase phase, const struct govern_sums *d)
{
	add(&g->phases[phase], d, 1);
	add(&g->paces[phase], d, 1);
}

static double pair_without_programs_ns(const struct govern_sums *s)
{
	return (s->cpu_ns - s->overhead_ns + s->traps_ns) / s->n_frees;
}

/* What pairs take in both phases tells by how much the costs are wrong. */
static void update_inflation(struct govern *g)
{
	const struct govern_sums *follow = &g->paces[GOVERN_FOLLOWS],
				 *skips = &g->paces[GOVERN_SKIPS];
	double took_ns, cost_ns, factor, before = g->inflation;

	if (follow->n_frees < ENOUGH_FREES || skips->n_frees < ENOUGH_FREES)
		return;
	took_ns = pair_without_programs_ns(skips) - pair_without_programs_ns(follow);
	cost_ns = skips->traps_ns / skips->n_frees - follow->traps_ns / follow->n_frees;
	if (cost_ns <= 0)
		return;
	/* Half of the way: windows are short, and other programs disturb some of them. */
	factor = sqrt(fmin(fmax(took_ns / cost_ns, 0.25), 4));
	g->inflation = fmin(fmax(before * factor, 0.5), MOST_INFLATION);
	inflate(g->phases, g->inflation / before);
	inflate(g->paces, g->inflation / before);
}

/* How much more of a CPU it uses in windows. One that has time left uses much more, to keep up; else the few windows differ only as
 * other programs left it the CPU, and would make the next ones stand for what they were lucky or unlucky with. */
static double believed(double busier)
{
	if (busier <= 1)
		return 1;
	if (busier >= SURELY_BUSIER)
		return busier;
	return 1 + (busier - 1) * (busier - 1) / (SURELY_BUSIER - 1);
}

/* What happens in a window, by what happens in the mean of all times. */
static double slowdown(const struct govern *g)
{
	const struct govern_sums *closed = &g->phases[GOVERN_CLOSED],
				 *follow = &g->phases[GOVERN_FOLLOWS],
				 *open = &g->phases[GOVERN_OPEN];
	double own_ns, n_closed, n = 0, wall_ns = 0, cpu_ns = 0, by_cpu, busier;

	/* Without frees there is nothing to go by but the cost of a window itself. */
	if (follow->n_frees < ENOUGH_FREES || open->n_frees < ENOUGH_FREES)
		return open->cpu_ns > 0 ? fmin(open->own_ns / open->cpu_ns, 1) : 1;
	/* Of one free; what is left of a large cost is not known better than to a part of that. */
	own_ns = fmax(follow->cpu_ns - follow->overhead_ns, LEAST_OWN * follow->overhead_ns) /
		 follow->n_frees;
	n_closed = closed->cpu_ns / own_ns;
	for (int i = 0; i < GOVERN_PHASES; i++) {
		n += i == GOVERN_CLOSED ? n_closed : g->phases[i].n_frees;
		wall_ns += g->phases[i].wall_ns;
		cpu_ns += g->phases[i].cpu_ns;
	}
	by_cpu = open->n_frees / open->cpu_ns / (n / cpu_ns);
	busier = open->cpu_ns / open->wall_ns / (cpu_ns / wall_ns);
	return fmin(fmax(by_cpu * believed(busier), 0.001), 2);
}

double govern_scale(const struct govern *g, uint64_t cycle_ns)
{
	double w = GOVERN_WINDOW_NS;

	return fmin((cycle_ns + w) / w / slowdown(g), MOST_SCALE);
}

static void start_cycle(struct govern *g, uint64_t now_ns)
{
	double w = GOVERN_WINDOW_NS, t = g->cycle_ns, at = draw(g) * (t + w) - w,
	       end = fmin(at + w, t);

	g->cycle = (struct govern_sums){0};
	forget_phases(g, g->many ? MANY_KEEP : KEEP_PACE, g->many ? MANY_KEEP : KEEP_COSTS);
	g->opened = g->skipped = false;
	g->open_ns = now_ns + (uint64_t)fmax(at, 0);
	g->open_for_ns = (uint64_t)fmax(end - fmax(at, 0), 1);
	g->close_ns = 0;
	g->cycle_end_ns = now_ns + g->cycle_ns;
	g->orders.scale = govern_scale(g, g->cycle_ns);
}

/* Some time without probes, some with all, some with those of frees, to know the process's pace before anything is recorded: scale is
 * 0. */
static void start_measuring(struct govern *g, uint64_t now_ns)
{
	g->measures = true;
	g->opened = g->skipped = g->skips = false;
	g->open_ns = now_ns + MEASURE_NS;
	g->open_for_ns = GOVERN_WINDOW_NS;
	g->close_ns = 0;
	g->cycle_end_ns =
		now_ns + MEASURE_NS + GOVERN_SKIP_NS + GOVERN_WINDOW_NS + GOVERN_FOLLOW_NS;
	g->orders.scale = 0;
}

static void detach(struct govern *g, uint64_t now_ns)
{
	g->orders = (struct govern_orders){.gated = true, .scale = 1};
	set_mode(g, GOVERN_DETACHED, now_ns);
	g->looking = false;
	g->look_ns = now_ns + g->look_wait_ns;
}

/* With cycles of that length, from now on. */
static void begin_windows(struct govern *g, double cycle_ns, uint64_t now_ns)
{
	g->cycle_ns = fmax(cycle_ns, g->least_cycle_ns);
	g->moved_ns = 0;
	g->orders = (struct govern_orders){.gated = true, .sample_interval = g->base_interval};
	g->cycle = (struct govern_sums){0};
	forget_phases(g, 0, 0);
	g->follow_until_ns = 0;
	set_mode(g, GOVERN_WINDOWS, now_ns);
	g->phase = GOVERN_CLOSED;
	start_measuring(g, now_ns);
}

static void enter_windows(struct govern *g, const struct govern_sums *s, uint64_t now_ns)
{
	double cycle_ns;

	g->frees_stay = s->frees_ns / allowed_ns(g, s) < FREES_STAY_MOST;
	cycle_ns = cycle_needed_ns(g, s);
	if (cycle_ns > GOVERN_CYCLE_MOST_NS) {
		detach(g, now_ns);
		return;
	}
	begin_windows(g, cycle_ns, now_ns);
}

static void step_down(struct govern *g, double load, uint64_t now_ns)
{
	const struct govern_sums s = g->now;
	double skipped = s.skipped_ns / allowed_ns(g, &s), factor;
	uint64_t interval = g->orders.sample_interval;

	note_worse(g, g->ratio, now_ns);
	if (skipped > SKIPPED_MOST || interval >= MOST_INTERVAL) {
		enter_windows(g, &s, now_ns);
		return;
	}
	factor = (load - skipped) / fmax(AIM - skipped, 0.01);
	factor = fmin(fmax(factor, 2), 8);
	interval = (interval > FIRST_INTERVAL ? interval : FIRST_INTERVAL) * factor;
	set_interval(g, interval < MOST_INTERVAL ? interval : MOST_INTERVAL, now_ns);
}

static void step_up(struct govern *g, double load, uint64_t now_ns)
{
	double skipped = g->now.skipped_ns / allowed_ns(g, &g->now), factor;
	uint64_t interval = g->orders.sample_interval;

	factor = (PREDICTED_MOST - skipped) / fmax(load - skipped, 0.01);
	factor = fmin(factor, 16);
	if (exact_load(g, &g->now) < PREDICTED_MOST) {
		note_better(g, now_ns);
		set_interval(g, 0, now_ns);
	} else if (factor >= 2 && interval / factor >= FIRST_INTERVAL) {
		note_better(g, now_ns);
		set_interval(g, interval / factor, now_ns);
	}
}

/* EXACT and SAMPLED: all probes stand. */
static uint64_t step_standing(struct govern *g, const struct govern_sums *d, uint64_t now_ns)
{
	double load;

	add(&g->now, d, exp(-d->wall_ns / MEMORY_NS));
	load = g->now.overhead_ns / allowed_ns(g, &g->now);
	if (g->now.own_ns > 0)
		g->ratio = g->now.overhead_ns / g->now.own_ns;
	/* Enough to judge by. */
	if (g->now.wall_ns < 0.7 * NS_PER_SECOND)
		return now_ns + STEP_NS;
	if (g->mode == GOVERN_EXACT && g->now.n_entries > 1000)
		g->exact_pair_ns = g->now.overhead_ns / g->now.n_entries;
	if (load > 1)
		step_down(g, load, now_ns);
	else if (calm_enough(g, load < LOW && g->orders.sample_interval > g->base_interval, now_ns))
		step_up(g, load, now_ns);
	return now_ns + STEP_NS;
}

/* What was measured is the pace when all is skipped. Recording takes longer; but who does not wait for the CPU has the time. */
static void end_measuring(struct govern *g, uint64_t now_ns)
{
	struct govern_sums *open = &g->phases[GOVERN_OPEN], *closed = &g->phases[GOVERN_CLOSED];
	double own_ns = fmax(open->cpu_ns - open->overhead_ns, LEAST_OWN * open->cpu_ns),
	       recording = own_ns + open->n_entries * g->exact_pair_ns;

	g->measures = false;
	/* As long without probes as in a cycle. */
	if (closed->wall_ns > 0)
		add(closed, &(struct govern_sums){0}, g->cycle_ns / closed->wall_ns);
	if (slowdown(g) < 0.97 && recording > open->cpu_ns && open->cpu_ns > 0) {
		open->wall_ns *= recording / open->cpu_ns;
		open->cpu_ns = recording;
	}
	start_cycle(g, now_ns);
}

/* What the open windows showed, as if it were so all the time of the cycle. */
static struct govern_sums as_if_open(const struct govern *g)
{
	const struct govern_sums *o = &g->phases[GOVERN_OPEN];
	struct govern_sums all = g->cycle;
	double times = o->wall_ns > 0 ? all.wall_ns / o->wall_ns / slowdown(g) : 0;

	all.n_entries = o->n_entries * times;
	all.skipped_ns = o->skipped_ns * times;
	all.frees_ns = o->frees_ns * times;
	return all;
}

/* A cycle is so many times as long as probes move in it. */
static void settle_moves(struct govern *g)
{
	double apart = g->stops ? fmax(1 / g->budget, LEAST_CYCLE_MOVES) : LEAST_CYCLE_MOVES;

	g->least_cycle_ns = fmax(g->least_cycle_ns / 2, g->moved_ns * apart);
	g->moved_ns = 0;
}

/* A cycle is over: its cost says how long the next one is. */
static void end_cycle(struct govern *g, uint64_t now_ns)
{
	const struct govern_sums *c = &g->cycle, *o = &g->phases[GOVERN_OPEN];
	double load = c->overhead_ns / allowed_ns(g, c), cycle_ns = g->cycle_ns, up, skipped;
	const struct govern_sums all = as_if_open(g);

	settle_moves(g);
	if (g->measures) {
		g->cycle_ns = fmax(g->cycle_ns, g->least_cycle_ns);
		end_measuring(g, now_ns);
		return;
	}
	if (!g->many)
		update_inflation(g);
	if (o->n_entries > 1000)
		g->exact_pair_ns = o->overhead_ns / o->n_entries;
	g->ratio = c->own_ns > 0 ? c->overhead_ns / c->own_ns : 0;
	skipped = all.skipped_ns / allowed_ns(g, &all);
	up = fmin(exact_load(g, &all), skipped * 1.2);
	if (calm_enough(g, up < LOW && !g->others.restless, now_ns)) {
		note_better(g, now_ns);
		set_interval(g, exact_load(g, &all) < LOW ? 0 : WINDOWS_BACK_INTERVAL, now_ns);
		return;
	}
	g->frees_stay = fmax(all.frees_ns / allowed_ns(g, &all), g->others.frees_load) <
			(g->frees_stay ? 1.5 : 1) * FREES_STAY_MOST;
	load += g->others.moving_load;
	cycle_ns = fmax(cycle_ns * fmin(fmax(load / AIM, 0.5), 4), g->others.cycle_ns);
	if (fmax(cycle_ns, g->least_cycle_ns) > 1.5 * GOVERN_CYCLE_MOST_NS) {
		note_worse(g, g->ratio, now_ns);
		detach(g, now_ns);
		return;
	}
	cycle_ns = fmin(cycle_ns, GOVERN_CYCLE_MOST_NS);
	cycle_ns = fmax(cycle_ns, g->least_cycle_ns);
	g->cycle_ns = fmax(cycle_ns, LEAST_CYCLE_NS);
	start_cycle(g, now_ns);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What stands from now on; returns until when. */
static uint64_t order_phase(struct govern *g, uint64_t now_ns)
{
	bool follows = g->frees_stay || now_ns < g->follow_until_ns;
	uint64_t next_ns = g->opened ? g->cycle_end_ns : g->open_ns;

	if (g->close_ns) {
		g->phase = g->skips ? GOVERN_SKIPS : GOVERN_OPEN;
		return g->close_ns;
	}
	if (!g->opened && !g->skipped && now_ns >= g->open_ns) {
		g->phase = GOVERN_OPENS;
		g->orders.parts = COVER_ALL;
		g->orders.window_ns = GOVERN_SKIP_NS;
		g->orders.scale = 0;
		return now_ns + GOVERN_SKIP_NS;
	}
	if (!g->opened && now_ns >= g->open_ns) {
		g->phase = GOVERN_OPENS;
		g->orders.parts = COVER_ALL;
		g->orders.window_ns = g->open_for_ns;
		g->orders.scale = g->measures ? 0 : govern_scale(g, g->cycle_ns);
		return now_ns + g->open_for_ns;
	}
	g->phase = follows ? GOVERN_FOLLOWS : GOVERN_CLOSED;
	g->orders.parts = follows ? COVER_FREES : 0;
	return follows && !g->frees_stay ? earlier(next_ns, g->follow_until_ns) : next_ns;
}

static void note_window(struct govern *g, double scale, uint64_t cycle_ns)
{
	double rate = g->window_entries * scale / (cycle_ns / 1e9);

	g->window_entries = 0;
	g->n_windows++;
	g->sum_rates += rate;
	g->sum_squares += rate * rate;
}

static uint64_t step_windows(struct govern *g, const struct govern_sums *d, uint64_t now_ns)
{
	add(&g->cycle, d, 1);
	add_phase(g, g->phase, d);
	if (g->phase == GOVERN_OPEN)
		g->window_entries += d->n_entries;
	if (g->close_ns && now_ns >= g->close_ns && g->skips) {
		g->skips = false;
		g->close_ns = 0;
	} else if (g->close_ns && now_ns >= g->close_ns) {
		if (!g->measures)
			note_window(g, g->orders.scale, g->cycle_ns);
		g->window_entries = 0;
		g->follow_until_ns = g->close_ns + GOVERN_FOLLOW_NS;
		g->close_ns = 0;
	}
	if (!g->close_ns && g->opened && now_ns >= g->cycle_end_ns)
		end_cycle(g, now_ns);
	return g->mode == GOVERN_WINDOWS ? order_phase(g, now_ns) : now_ns;
}

void govern_opened(struct govern *g, const struct govern_sample *s, uint64_t now_ns)
{
	struct govern_sums d = difference(g, s, now_ns);

	add(&g->cycle, &d, 1);
	add_phase(g, GOVERN_OPENS, &d);
	g->skips = !g->skipped;
	g->opened = g->skipped;
	g->skipped = true;
	g->phase = g->skips ? GOVERN_SKIPS : GOVERN_OPEN;
	g->close_ns = now_ns + g->orders.window_ns;
	g->orders.window_ns = 0;
}

static uint64_t step_detached(struct govern *g, const struct govern_sums *d, uint64_t now_ns)
{
	g->ratio = d->own_ns > 0 ? d->overhead_ns / d->own_ns : 0;
	if (now_ns < g->look_ns)
		return g->look_ns;
	if (!g->looking) {
		g->looking = true;
		g->orders.parts = COVER_ALL;
		g->look_ns = now_ns + LOOK_NS;
		return g->look_ns;
	}
	g->frees_stay = false;
	g->look_wait_ns = g->look_wait_ns * 2 < LOOK_WAIT_MOST_NS ? g->look_wait_ns * 2
								  : LOOK_WAIT_MOST_NS;
	if (cycle_needed_ns(g, d) < GOVERN_CYCLE_MOST_NS * AIM) {
		enter_windows(g, d, now_ns);
		return now_ns;
	}
	detach(g, now_ns);
	return g->look_ns;
}

uint64_t govern_step(struct govern *g, const struct govern_sample *s, uint64_t now_ns)
{
	struct govern_sums d = difference(g, s, now_ns);

	switch (g->mode) {
	case GOVERN_EXACT:
	case GOVERN_SAMPLED:
		return step_standing(g, &d, now_ns);
	case GOVERN_WINDOWS:
		return step_windows(g, &d, now_ns);
	case GOVERN_DETACHED:
		break;
	}
	return step_detached(g, &d, now_ns);
}

void govern_inherit(struct govern *g, uint64_t sample_interval)
{
	g->mode = GOVERN_SAMPLED;
	g->orders.sample_interval = sample_interval;
}

struct govern_need govern_wants(const struct govern *g)
{
	return (struct govern_need){
		.cycle_ns = g->mode == GOVERN_WINDOWS ? g->cycle_ns : GOVERN_CYCLE_MOST_NS,
		.frees_load = g->frees_stay ? 0 : 1,
		.restless = true,
	};
}

void govern_lead(struct govern *leader, const struct govern_need *need, double ratio,
		 uint64_t now_ns)
{
	if (leader->orders.gated)
		return;
	note_worse(leader, ratio, now_ns);
	leader->frees_stay = need->frees_load < FREES_STAY_MOST;
	begin_windows(leader, fmax(need->cycle_ns, LEAST_CYCLE_NS), now_ns);
}

bool govern_cycle_ends(const struct govern *leader, uint64_t now_ns)
{
	return leader->mode == GOVERN_WINDOWS && leader->opened && now_ns >= leader->cycle_end_ns &&
	       now_ns >= leader->close_ns;
}

void govern_join(struct govern *g, const struct govern_sample *s, uint64_t now_ns)
{
	difference(g, s, now_ns);
	g->cycle = (struct govern_sums){0};
	forget_phases(g, 0, 0);
}

void govern_follow(struct govern *g, const struct govern_sample *s, enum govern_phase phase,
		   uint64_t now_ns)
{
	struct govern_sums d = difference(g, s, now_ns);

	add(&g->now, &d, exp(-d.wall_ns / (30 * (double)NS_PER_SECOND)));
	if (g->now.own_ns > 0)
		g->ratio = g->now.overhead_ns / g->now.own_ns;
	add(&g->cycle, &d, 1);
	add_phase(g, phase, &d);
	if (phase == GOVERN_OPEN)
		g->window_entries += d.n_entries;
}

void govern_follow_cycle(struct govern *g, uint64_t cycle_ns, bool recorded,
			 struct govern_need *all)
{
	const struct govern_sums sums = as_if_open(g), *open = &g->phases[GOVERN_OPEN];
	double load = g->cycle.overhead_ns / allowed_ns(g, &g->cycle),
	       skipped = sums.skipped_ns / allowed_ns(g, &sums);

	if (open->n_entries > 1000)
		g->exact_pair_ns = open->overhead_ns / open->n_entries;
	all->cycle_ns = fmax(all->cycle_ns,
			     fmin(cycle_ns * fmin(load / AIM, 4), (double)GOVERN_CYCLE_MOST_NS));
	all->frees_load = fmax(all->frees_load, sums.frees_ns / allowed_ns(g, &sums));
	all->restless |= fmin(exact_load(g, &sums), skipped * 1.2) > LOW;
	update_inflation(g);
	g->cycle = (struct govern_sums){0};
	if (recorded)
		note_window(g, govern_scale(g, cycle_ns), cycle_ns);
	g->window_entries = 0;
	forget_phases(g, KEEP_PACE, KEEP_COSTS);
}

/* 97.5% quantile of Student's t: Cornish and Fisher's expansion, to 2% from 3 degrees of freedom on. */
static double student(double freedom)
{
	double z = 1.96, z3 = z * z * z;

	return z + (z3 + z) / (4 * freedom) +
	       (5 * z3 * z * z + 16 * z3 + 3 * z) / (96 * freedom * freedom);
}

double govern_error(const struct govern *g)
{
	const struct govern_sums *follow = &g->paces[GOVERN_FOLLOWS];
	double n = g->n_windows, mean, squares, spread, own_ns, pace = 0;

	if (n < 1)
		return 0;
	mean = g->sum_rates / n;
	squares = mean > 0 ? fmax(g->sum_squares / (mean * mean) - n, 0) : 0;
	spread = (squares + FIRST_WINDOWS * FIRST_SPREAD * FIRST_SPREAD) / (n - 1 + FIRST_WINDOWS);
	own_ns = fmax(follow->cpu_ns - follow->overhead_ns, LEAST_OWN * follow->overhead_ns);
	if (follow->n_frees >= ENOUGH_FREES)
		pace = fmin(COSTS_ERROR * follow->overhead_ns / own_ns, 1);
	/* The cycle that goes on has had its window or not: that is half of one, at most. */
	return hypot(hypot(student(n + FIRST_WINDOWS - 1) * sqrt(spread / n), 1.96 * pace),
		     1.96 * 0.5 / n);
}

void govern_resume(struct govern *g, uint64_t now_ns)
{
	const struct govern_sums sums = as_if_open(g);
	bool cheap = exact_load(g, &sums) < LOW;

	set_interval(g, cheap ? 0 : WINDOWS_BACK_INTERVAL, now_ns);
}

void govern_moved(struct govern *g, const struct govern_sample *s, uint64_t moving_ns,
		  uint64_t now_ns)
{
	struct govern_sums d = difference(g, s, now_ns);
	uint64_t pause_ns = g->stops ? moving_ns / g->budget : 0;

	g->moved_ns += moving_ns;

	add(&g->cycle, &d, 1);
	add_phase(g, GOVERN_OPENS, &d);
	/* Frees alone stand only from now on, and what is measured takes as long as it should. */
	g->follow_until_ns += d.wall_ns;
	if (g->measures && !g->opened)
		g->open_ns += d.wall_ns + pause_ns;
	if (g->measures)
		g->cycle_end_ns += d.wall_ns + pause_ns;
	if (g->mode == GOVERN_DETACHED && !g->looking)
		g->look_ns += pause_ns;
}

double govern_duty(const struct govern *g)
{
	switch (g->mode) {
	case GOVERN_WINDOWS:
		return GOVERN_WINDOW_NS / (double)(g->cycle_ns + GOVERN_WINDOW_NS);
	case GOVERN_DETACHED:
		return 0;
	case GOVERN_EXACT:
	case GOVERN_SAMPLED:
		break;
	}
	return 1;
}
