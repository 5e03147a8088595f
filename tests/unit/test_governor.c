// SPDX-License-Identifier: BSD-2-Clause
/* The governor's law on simulated processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "govern_simulation.h"

#define BUDGET 0.05

static void test_cheap_stays_exact(void **state)
{
	struct simulation busy = {.own_ns = 100000}, idle = {.own_ns = 500, .demand = 200};

	(void)state;
	sim_init(&busy, BUDGET, 1);
	sim_run(&busy, 600);
	assert_int_equal(busy.law.mode, GOVERN_EXACT);
	assert_int_equal(busy.n_changes, 0);
	/* Many times its own CPU time, and next to nothing. */
	sim_init(&idle, BUDGET, 1);
	sim_run(&idle, 600);
	assert_int_equal(idle.law.mode, GOVERN_EXACT);
	assert_true(idle.overhead_ns > 5 * idle.own_total_ns);
}

/* Own time of a pair, and the mode that keeps within 5%. */
static void check_steady(double own_ns, double demand, enum govern_mode mode)
{
	struct simulation s = {.own_ns = own_ns, .demand = demand};
	double ratio;
	unsigned n_changes;

	sim_init(&s, BUDGET, 7);
	sim_run(&s, 120);
	n_changes = s.n_changes;
	ratio = sim_ratio(&s, 1800);
	print_message("%.0f ns a pair, demand %.0f: mode %d, overhead %.2f%%, duty %.4f, "
		      "%u changes at first, %u in 1800 s\n",
		      own_ns, demand, s.law.mode, ratio * 100, govern_duty(&s.law), n_changes,
		      s.n_changes - n_changes);
	assert_int_equal(s.law.mode, mode);
	assert_true(ratio <= BUDGET);
	assert_true(s.n_changes - n_changes <= 4);
}

static void test_steady(void **state)
{
	(void)state;
	check_steady(50000, 0, GOVERN_SAMPLED);
	check_steady(40000, 10000, GOVERN_SAMPLED);
	check_steady(10000, 0, GOVERN_WINDOWS);
	check_steady(500, 0, GOVERN_WINDOWS);
	check_steady(500, 100000, GOVERN_WINDOWS);
	check_steady(100, 0, GOVERN_WINDOWS);
}

/* A program cannot be watched by windows alone for so little. */
static void test_detached(void **state)
{
	struct simulation s = {.own_ns = 500};

	(void)state;
	sim_init(&s, 0.001, 3);
	sim_run(&s, 30);
	assert_int_equal(s.law.mode, GOVERN_DETACHED);
	assert_int_equal(s.law.orders.parts, 0);
	assert_true(sim_ratio(&s, 3600) < 0.001);
	s.own_ns = 10000000;
	sim_run(&s, 3600);
	assert_int_equal(s.law.mode, GOVERN_EXACT);
}

static void test_comes_back(void **state)
{
	struct simulation s = {.own_ns = 500};

	(void)state;
	sim_init(&s, BUDGET, 5);
	sim_run(&s, 60);
	assert_int_equal(s.law.mode, GOVERN_WINDOWS);
	s.own_ns = 200000;
	sim_run(&s, 240);
	assert_int_equal(s.law.mode, GOVERN_EXACT);
	s.own_ns = 50000;
	sim_run(&s, 60);
	assert_int_equal(s.law.mode, GOVERN_SAMPLED);
	s.own_ns = 200000;
	sim_run(&s, 240);
	assert_int_equal(s.law.mode, GOVERN_EXACT);
}

/* A load that comes and goes is not followed up and down for ever. */
static void test_no_flapping(void **state)
{
	static const double periods[] = {1, 7, 30, 120};

	(void)state;
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		struct simulation s = {.own_ns = 50000};
		double overhead_ns, own_ns;

		sim_init(&s, BUDGET, 11);
		sim_run(&s, 60);
		overhead_ns = s.overhead_ns;
		own_ns = s.own_total_ns;
		s.n_changes = 0;
		for (double t = 0; t < 7200; t += periods[i]) {
			s.own_ns = s.own_ns < 100000 ? 200000 : 40000;
			sim_run(&s, periods[i]);
		}
		print_message("load changes every %.0f s: %u changes in 2 h, overhead %.2f%%\n",
			      periods[i], s.n_changes,
			      (s.overhead_ns - overhead_ns) / (s.own_total_ns - own_ns) * 100);
		assert_true(s.n_changes <= 60);
		assert_true((s.overhead_ns - overhead_ns) / (s.own_total_ns - own_ns) < BUDGET);
	}
}

/* The mean of many traces' estimates is what was done. From the first real window on: what happens before one is ordered is not
 * recorded, which matters in a short trace. */
static void check_unbiased(double own_ns, double demand, double true_cost)
{
	enum { N = 300 };
	double sum = 0, squares = 0, mean, sigma;

	for (unsigned i = 0; i < N; i++) {
		struct simulation s = {.own_ns = own_ns, .demand = demand, .true_cost = true_cost};
		double pairs, ratio;

		sim_init(&s, BUDGET, i + 1);
		sim_run(&s, true_cost > 1 ? 600 : 100); /* until it knows its costs */
		assert_int_equal(s.law.mode, GOVERN_WINDOWS);
		pairs = s.n_pairs;
		s.estimate = 0;
		sim_run(&s, 60 + i % 40);
		ratio = s.estimate / (s.n_pairs - pairs);
		sum += ratio;
		squares += ratio * ratio;
	}
	mean = sum / N;
	sigma = sqrt((squares / N - mean * mean) / N);
	print_message("%.0f ns a pair, demand %.0f, costs x %.1f: estimates are %.4f of the truth, "
		      "sigma %.4f\n",
		      own_ns, demand, true_cost, mean, sigma);
	assert_true(fabs(mean - 1) < 3 * sigma + 0.005);
}

static void test_unbiased(void **state)
{
	(void)state;
	check_unbiased(500, 0, 1);
	check_unbiased(5000, 0, 1);
	check_unbiased(500, 50000, 1);
	check_unbiased(2000, 100000, 1);
	/* On a machine that is busier than when it was calibrated. */
	check_unbiased(500, 0, 3);
	check_unbiased(5000, 0, 2);
	check_unbiased(500, 0, 0.8);
}

/* Through the modes, as the load has it: nothing is counted twice or left out where one gives way to another. */
static void test_unbiased_through_modes(void **state)
{
	enum { N = 300 };
	double sum = 0, squares = 0, mean, sigma;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct simulation s = {.own_ns = 60000};
		double ratio;

		sim_init(&s, BUDGET, i + 1);
		sim_run(&s, 60);
		s.own_ns = 3000;
		sim_run(&s, 200);
		s.own_ns = 60000;
		sim_run(&s, 200);
		assert_int_not_equal(s.law.mode, GOVERN_WINDOWS);
		ratio = s.estimate / s.n_pairs;
		sum += ratio;
		squares += ratio * ratio;
	}
	mean = sum / N;
	sigma = sqrt((squares / N - mean * mean) / N);
	print_message("through the modes: estimates are %.4f of the truth, sigma %.4f\n", mean,
		      sigma);
	/* Two seconds of each stay in windows are for measuring. */
	assert_true(fabs(mean - 1) < 3 * sigma + 0.03);
}

/* On a machine where other programs run, and where recording slows the program down by more than its probes take: the mean of the
 * estimates is right, and their intervals hold the truth as often as they say. */
static void check_interval(double own_ns, double cold, double disturbed, double seconds)
{
	enum { N = 200 };
	double sum = 0, width = 0;
	unsigned n_covered = 0;

	for (unsigned i = 0; i < N; i++) {
		struct simulation s = {.own_ns = own_ns, .cold = cold, .disturbed = disturbed};
		double pairs, ratio, error;

		sim_init(&s, BUDGET, i + 1);
		sim_run(&s, 6);
		pairs = s.n_pairs;
		s.estimate = 0;
		sim_run(&s, seconds + i % 20);
		ratio = s.estimate / (s.n_pairs - pairs);
		error = govern_error(&s.law);
		sum += ratio;
		width += error;
		n_covered += fabs(ratio - 1) <= ratio * error;
	}
	print_message(
		"%.0f ns a pair, %.0f more when recorded, disturbed %.1f, %.0f s: estimates are %.4f of "
		"the truth, +- %.2f; %u of %d hold it\n",
		own_ns, cold, disturbed, seconds, sum / N, width / N, n_covered, N);
	assert_true(fabs(sum / N - 1) < 0.03);
	assert_in_range(n_covered, N * 88 / 100, N);
}

static void test_intervals(void **state)
{
	(void)state;
	check_interval(500, 0, 0, 60);
	check_interval(500, 0, 0.3, 60);
	check_interval(500, 600, 0.3, 120);
	check_interval(5000, 600, 0.6, 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cheap_stays_exact),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_detached),
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_no_flapping),
		cmocka_unit_test(test_unbiased),
		cmocka_unit_test(test_unbiased_through_modes),
		cmocka_unit_test(test_intervals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
