// SPDX-License-Identifier: BSD-2-Clause
/* The governor's law where it holds for many: a crowd of programs that end soon, in simulated time, and a program that follows the
 * windows of a crowd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "govern_simulation.h"

#define BUDGET 0.05
#define N_RUNS 200

/* What runs just now: a parallel build, each program followed by another one of some kind. */
struct build {
	struct simulation running[2];
	double left_ns[2]; /* of its own work */
	uint64_t random;
	unsigned n_programs;
};

static double draw(struct build *b)
{
	b->random ^= b->random >> 12;
	b->random ^= b->random << 25;
	b->random ^= b->random >> 27;
	return (double)(b->random * 0x2545f4914f6cdd1dULL >> 11) / (1ULL << 53);
}

static void next_program(struct build *b, size_t i)
{
	static const double own_ns[] = {1500, 4000, 60000};

	b->running[i] = (struct simulation){.own_ns = own_ns[(unsigned)(draw(b) * 3)],
					    .true_cost = 1,
					    .size = 100,
					    .share = 1,
					    .factor = 1};
	b->left_ns[i] = (10 + draw(b) * 700) * 1e6;
	b->n_programs++;
}

/* One tick of all that run; their sums are the crowd's. */
static void live_as_crowd(struct simulation *all)
{
	struct build *b = all->arg;

	for (size_t i = 0; i < 2; i++) {
		struct simulation *s = &b->running[i], before;

		if (b->left_ns[i] <= 0)
			next_program(b, i);
		s->law.orders = all->law.orders;
		s->now_ns = all->now_ns;
		s->until_ns = all->until_ns;
		s->scale = all->scale;
		before = *s;
		sim_live(s);
		b->left_ns[i] -= s->own_total_ns - before.own_total_ns;
		all->cpu_ns += s->cpu_ns - before.cpu_ns;
		all->own_total_ns += s->own_total_ns - before.own_total_ns;
		all->overhead_ns += s->overhead_ns - before.overhead_ns;
		all->n_entries += s->n_entries - before.n_entries;
		all->n_returns += s->n_returns - before.n_returns;
		all->n_frees += s->n_frees - before.n_frees;
		all->run_ns += s->run_ns - before.run_ns;
		all->n_pairs += s->n_pairs - before.n_pairs;
		all->estimate += s->estimate - before.estimate;
	}
	all->now_ns += SIM_TICK_NS;
}

static void start_build(struct simulation *all, struct build *b, uint64_t seed)
{
	*b = (struct build){.random = (seed * 0x9e3779b97f4a7c15ULL) | 1};
	*all = (struct simulation){.live = live_as_crowd, .arg = b};
	sim_init(all, BUDGET, seed);
	all->law.many = true;
}

/* No program lives long enough to be governed by itself, and all of them together stay within the budget. */
static void test_short_lived_within_budget(void **state)
{
	struct simulation all;
	struct build b;
	double ratio;

	(void)state;
	start_build(&all, &b, 1);
	sim_run(&all, 10);
	assert_int_equal(all.law.mode, GOVERN_WINDOWS);
	ratio = sim_ratio(&all, 600);
	print_message("%u programs, overhead %.2f%%, duty %.4f\n", b.n_programs, ratio * 100,
		      govern_duty(&all.law));
	assert_true(b.n_programs > 1000);
	assert_true(ratio <= BUDGET);
}

/* Probes move, and nothing else goes on meanwhile. */
static double move_for(struct simulation *all, double seconds)
{
	struct govern_sample sample;

	all->now_ns += seconds * 1e9;
	sample = sim_sample(all);
	govern_moved(&all->law, &sample, seconds * 1e9, (uint64_t)all->now_ns);
	return seconds;
}

/* Where moving probes stops others, that is within the budget, too: from the first move on, but for the window that follows it. */
static void test_moves_that_stop_others_are_rare(void **state)
{
	const double move_seconds = 0.5, run_seconds = 2000;
	double moved = 0, end_ns;
	struct simulation all;
	struct build b;
	unsigned parts;

	(void)state;
	start_build(&all, &b, 5);
	all.law.stops = true;
	end_ns = all.now_ns + run_seconds * 1e9;
	parts = all.law.orders.parts;
	while (all.now_ns < end_ns) {
		if (all.now_ns >= all.next_ns) {
			sim_govern(&all);
			if (all.law.orders.parts != parts)
				moved += move_for(&all, move_seconds);
			parts = all.law.orders.parts;
		}
		sim_tick(&all);
	}
	print_message("moving for %.1f s of %.0f s, duty %.5f\n", moved, run_seconds,
		      govern_duty(&all.law));
	assert_true(moved > 10 * move_seconds);
	assert_true(moved <= BUDGET * run_seconds + 4 * move_seconds);
}

static void check_mean(const char *what, double sum, double squares, double tolerance)
{
	double mean = sum / N_RUNS, sigma = sqrt((squares / N_RUNS - mean * mean) / N_RUNS);

	print_message("%s: estimates are %.4f of the truth, sigma %.4f\n", what, mean, sigma);
	assert_true(fabs(mean - 1) < 3 * sigma + tolerance);
}

/* Programs that begin and end in any phase count as what they did, all together. */
static void test_short_lived_unbiased(void **state)
{
	double sum = 0, squares = 0;

	(void)state;
	for (unsigned i = 0; i < N_RUNS; i++) {
		struct simulation all;
		struct build b;
		double pairs, ratio;

		start_build(&all, &b, i + 1);
		sim_run(&all, 40);
		pairs = all.n_pairs;
		all.estimate = 0;
		sim_run(&all, 150);
		ratio = all.estimate / (all.n_pairs - pairs);
		sum += ratio;
		squares += ratio * ratio;
	}
	check_mean("programs that end soon", sum, squares, 0.01);
}

/* A hot program that follows the windows of a crowd which does next to nothing. */
struct pair {
	struct simulation hot;
};

static void live_with_hot(struct simulation *lead)
{
	struct simulation *hot = &((struct pair *)lead->arg)->hot;
	struct govern law = hot->law;

	hot->now_ns = lead->now_ns;
	hot->law.orders = lead->law.orders;
	sim_live(hot);
	hot->law = law;
	sim_live(lead);
}

static void follow(struct simulation *lead, struct simulation *hot)
{
	struct govern_sample sample = sim_sample(hot);
	bool ends = govern_cycle_ends(&lead->law, (uint64_t)lead->now_ns);
	struct govern_need need = {0};

	govern_follow(&hot->law, &sample, lead->law.phase, (uint64_t)lead->now_ns);
	if (ends) {
		govern_follow_cycle(&hot->law, lead->law.cycle_ns, !lead->law.measures, &need);
		lead->law.others = need;
	}
}

/* As leading.c does. */
static void run_pair(struct simulation *lead, struct simulation *hot, double seconds)
{
	double end_ns = lead->now_ns + seconds * 1e9;
	struct govern_sample sample;

	while (lead->now_ns < end_ns) {
		if (lead->now_ns >= lead->next_ns) {
			follow(lead, hot);
			sim_govern(lead);
		}
		if (lead->law.opened && lead->until_ns > lead->now_ns &&
		    hot->until_ns != lead->until_ns) {
			sample = sim_sample(hot);
			govern_moved(&hot->law, &sample, 0, (uint64_t)lead->now_ns);
			hot->scale = lead->scale;
			if (hot->scale > 0 && hot->law.phases[GOVERN_OPEN].wall_ns > 0)
				hot->scale = govern_scale(&hot->law, lead->law.cycle_ns);
			hot->until_ns = lead->until_ns;
		}
		sim_tick(lead);
	}
}

static void start_pair(struct simulation *lead, struct pair *p, uint64_t seed)
{
	struct govern_need need;
	struct govern_sample sample;

	*p = (struct pair){.hot = {.own_ns = 500}};
	sim_init(&p->hot, BUDGET, seed + 1000);
	while (!p->hot.law.orders.gated)
		sim_run(&p->hot, 0.1);
	*lead = (struct simulation){
		.own_ns = 100000, .demand = 10, .live = live_with_hot, .arg = p};
	sim_init(lead, BUDGET, seed);
	lead->now_ns = lead->next_ns = p->hot.now_ns;
	lead->law.last_ns = (uint64_t)lead->now_ns;
	need = govern_wants(&p->hot.law);
	govern_lead(&lead->law, &need, p->hot.law.cause_ratio, (uint64_t)lead->now_ns);
	sample = sim_sample(&p->hot);
	govern_join(&p->hot.law, &sample, (uint64_t)lead->now_ns);
}

static void test_follower_within_budget(void **state)
{
	struct simulation lead;
	struct pair p;
	double overhead_ns, own_ns, ratio;

	(void)state;
	start_pair(&lead, &p, 3);
	run_pair(&lead, &p.hot, 100);
	overhead_ns = p.hot.overhead_ns;
	own_ns = p.hot.own_total_ns;
	run_pair(&lead, &p.hot, 1000);
	ratio = (p.hot.overhead_ns - overhead_ns) / (p.hot.own_total_ns - own_ns);
	print_message("one that follows: overhead %.2f%%, cycles of %.1f s\n", ratio * 100,
		      lead.law.cycle_ns / 1e9);
	assert_int_equal(lead.law.mode, GOVERN_WINDOWS);
	assert_true(ratio <= BUDGET);
	/* And it comes back when nobody needs windows any more, and what it was is forgotten. */
	p.hot.own_ns = 200000;
	run_pair(&lead, &p.hot, 600);
	assert_int_equal(lead.law.mode, GOVERN_EXACT);
}

static void test_follower_unbiased(void **state)
{
	double sum = 0, squares = 0;

	(void)state;
	for (unsigned i = 0; i < N_RUNS; i++) {
		struct simulation lead;
		struct pair p;
		double pairs, ratio;

		start_pair(&lead, &p, i + 1);
		run_pair(&lead, &p.hot, 100);
		pairs = p.hot.n_pairs;
		p.hot.estimate = 0;
		run_pair(&lead, &p.hot, 150);
		ratio = p.hot.estimate / (p.hot.n_pairs - pairs);
		sum += ratio;
		squares += ratio * ratio;
	}
	check_mean("one that follows", sum, squares, 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_lived_within_budget),
		cmocka_unit_test(test_short_lived_unbiased),
		cmocka_unit_test(test_moves_that_stop_others_are_rare),
		cmocka_unit_test(test_follower_within_budget),
		cmocka_unit_test(test_follower_unbiased),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
