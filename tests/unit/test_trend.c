// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <time.h>

#include "analyze/series.h"
#include "analyze/trend.h"
#include "base/cleanup.h"
#include "simulated.h"

#define DAY 86400.0

static struct trend *new_trend(void)
{
	struct trend *t;

	assert_int_equal(trend_create(&t), 0);
	return t;
}

/* Feeds the trend what s does until a time, a sample a second. */
static void run(struct trend *t, struct simulated *s, double *now, double until)
{
	for (; *now < until; *now += 1)
		trend_add(t, *now, simulated_next(s, 1));
}

static struct trend_estimate after(enum simulated_kind kind, uint64_t seed, double rate,
				   double delay, double seconds)
{
	struct trend *t = new_trend();
	struct trend_estimate e;
	struct simulated s;
	double now = 0;

	simulated_start(&s, kind, seed, rate);
	s.delay = delay;
	run(t, &s, &now, seconds);
	trend_estimate(t, &e);
	trend_destroy(t);
	return e;
}

/* Share of seeds at which a kind is said to grow. */
static double share_growing(enum simulated_kind kind, double rate, double delay, double seconds)
{
	const int n_seeds = 100;
	int growing = 0;

	for (int seed = 0; seed < n_seeds; seed++)
		growing +=
			!strcmp(after(kind, 300 + seed, rate, delay, seconds).verdict, "growing");
	return growing / (double)n_seeds;
}

static void too_early_to_say(void **state)
{
	struct trend *t = new_trend();
	struct trend_estimate e;
	double line[4];

	(void)state;
	trend_estimate(t, &e);
	assert_string_equal(e.verdict, "unknown");
	assert_true(isnan(e.bytes_per_second) && e.confidence == 0);
	assert_true(isnan(trend_last(t)));
	trend_line(t, line, 4);
	assert_true(isnan(line[0]) && isnan(line[3]));
	trend_restart(t);
	for (int i = 0; i < 8; i++)
		trend_add(t, i, 1e6 + i * 1e6);
	trend_estimate(t, &e);
	assert_string_equal(e.verdict, "unknown");
	assert_true(isnan(e.bytes_per_second));
	/* The straightest line is not believed in the first half minute. */
	for (int i = 8; i < 29; i++)
		trend_add(t, i, 1e6 + i * 1e6);
	trend_estimate(t, &e);
	assert_true(e.confidence < 0.5 && e.bytes_per_second > 0.99e6);
	trend_destroy(t);
	trend_destroy(NULL);
}

static void flat_is_steady(void **state)
{
	struct trend *t = new_trend();
	struct trend_estimate e;

	(void)state;
	for (int i = 0; i < 10000; i++)
		trend_add(t, i, 123456789);
	trend_estimate(t, &e);
	assert_string_equal(e.verdict, "steady");
	assert_true(e.bytes_per_second == 0 && e.confidence == 0 && e.since_seconds == 0);
	assert_true(trend_last(t) == 123456789);
	trend_destroy(t);
}

static void straight_line(void **state)
{
	double last = 0;

	(void)state;
	for (double seconds = 60; seconds < 7 * DAY; seconds *= 2) {
		struct trend *t = new_trend();
		struct trend_estimate e;

		for (double now = 0; now <= seconds; now += 1)
			trend_add(t, now, 5e6 + floor(now * 1e5 / 4096) * 4096);
		trend_estimate(t, &e);
		trend_destroy(t);
		assert_true(fabs(e.bytes_per_second - 1e5) < 2e3);
		assert_true(e.low_bytes_per_second <= 1e5 && e.high_bytes_per_second >= 1e5);
		/* The longer, the surer. */
		assert_true(e.confidence >= last - 0.02);
		last = e.confidence;
		if (seconds >= 600) {
			assert_string_equal(e.verdict, "growing");
			assert_true(e.confidence > 0.9);
			assert_true(e.since_seconds > seconds * 0.8);
			assert_true(e.since_seconds < seconds * 1.01);
		}
	}
}

static void leaks_of_every_form_grow(void **state)
{
	static const double rates[] = {1e4, 1e5, 1e6, 1e7};

	(void)state;
	print_message(
		"# share said to grow after 10 minutes at 10 KB/s, 100 KB/s, 1 MB/s, 10 MB/s\n");
	for (size_t kind = 0; kind < SIMULATED_LEAKS; kind++) {
		double share[4];

		for (size_t i = 0; i < 4; i++)
			share[i] = share_growing(kind, rates[i], 0, 600);
		print_message("#   %-24s %.2f %.2f %.2f %.2f\n", simulated_name(kind), share[0],
			      share[1], share[2], share[3]);
	}
}

static void what_is_no_leak_does_not_grow(void **state)
{
	(void)state;
	print_message("# share said to grow after 1, 10, 60 minutes\n");
	for (size_t kind = SIMULATED_LEAKS; kind < SIMULATED_KINDS; kind++)
		print_message("#   %-24s %.2f %.2f %.2f\n", simulated_name(kind),
			      share_growing(kind, 0, 0, 60), share_growing(kind, 0, 0, 600),
			      share_growing(kind, 0, 0, 3600));
}

static void verdicts_of_what_is_no_leak(void **state)
{
	static const char *const verdicts[] = {"steady", "warming-up", "churn", "unknown",
					       "growing"};

	(void)state;
	for (double seconds = 120; seconds < 3000; seconds *= 4)
		for (size_t kind = SIMULATED_LEAKS; kind < SIMULATED_KINDS; kind++) {
			int counts[5] = {0};
			for (int seed = 0; seed < 50; seed++) {
				const char *v = after(kind, seed + 900, 0, 0, seconds).verdict;
				for (int i = 0; i < 5; i++)
					counts[i] += !strcmp(v, verdicts[i]);
			}
			print_message("#  %4.0f %-24s", seconds, simulated_name(kind));
			for (int i = 0; i < 5; i++)
				print_message(" %s %d", verdicts[i], counts[i]);
			print_message("\n");
		}
}

static void leak_after_a_long_time(void **state)
{
	(void)state;
	for (double delay = 60; delay < 3 * DAY; delay *= 8) {
		print_message("# delay %.0f:", delay);
		for (double secs = 120; secs < 3000; secs *= 2)
			print_message(" %.2f", share_growing(LEAK_PAGES, 1e5, delay, delay + secs));
		print_message("\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_early_to_say),
		cmocka_unit_test(flat_is_steady),
		cmocka_unit_test(straight_line),
		cmocka_unit_test(leaks_of_every_form_grow),
		cmocka_unit_test(what_is_no_leak_does_not_grow),
		cmocka_unit_test(verdicts_of_what_is_no_leak),
		cmocka_unit_test(leak_after_a_long_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
