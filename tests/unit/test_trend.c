// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

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
	double line;

	(void)state;
	for (int i = 0; i < 10000; i++)
		trend_add(t, i, 123456789);
	trend_estimate(t, &e);
	assert_string_equal(e.verdict, "steady");
	assert_true(e.bytes_per_second == 0 && e.confidence == 0 && e.since_seconds == 0);
	trend_line(t, &line, 1);
	assert_true(fabs(line - 123456789) < 8); /* a float */
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

/* The slope's interval must hold the true rate; a staircase's too. */
static void leaks_of_every_form_grow(void **state)
{
	static const double rates[] = {1e4, 1e5, 1e6, 1e7};
	int covered = 0, n = 0;

	(void)state;
	print_message(
		"# share said to grow after 10 minutes at 10 KB/s, 100 KB/s, 1 MB/s, 10 MB/s\n");
	for (size_t kind = 0; kind < SIMULATED_LEAKS; kind++) {
		print_message("#   %-24s", simulated_name(kind));
		for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
			double share = share_growing(kind, rates[i], 0, 600);

			print_message(" %.2f", share);
			if (kind != LEAK_WARM)
				assert_true(share >= (i || kind != LEAK_GC ? 0.9 : 0.7));
			else if (i >= 2)
				assert_true(share >= 0.9);
		}
		print_message("\n");
	}
	for (int seed = 0; seed < 200; seed++) {
		double rate = rates[seed % 4];
		struct trend_estimate e = after(seed / 4 % LEAK_WARM, 4000 + seed, rate, 0, 900);

		if (strcmp(e.verdict, "growing"))
			continue;
		n++;
		covered += e.low_bytes_per_second <= rate && e.high_bytes_per_second >= rate;
	}
	print_message("# the 95%% interval holds the true rate in %d of %d\n", covered, n);
	assert_true(covered >= 0.9 * n);
}

static void what_is_no_leak_does_not_grow(void **state)
{
	(void)state;
	print_message("# share said to grow after 1, 10, 60 minutes\n");
	for (size_t kind = SIMULATED_LEAKS; kind < SIMULATED_KINDS; kind++) {
		double first = share_growing(kind, 0, 0, 60);
		double tenth = share_growing(kind, 0, 0, 600);
		double hour = share_growing(kind, 0, 0, 3600);

		print_message("#   %-24s %.2f %.2f %.2f\n", simulated_name(kind), first, tenth,
			      hour);
		assert_true(first <= 0.15 && tenth <= 0.06 && hour <= 0.04);
	}
}

/* The highest confidence of constant bytes whose first values come from start, and which dip once. */
static double highest_of_a_dip(const double *start, int n_start, double bytes, int dip_second,
			       double dip_bytes)
{
	struct trend *t = new_trend();
	double highest = 0;

	for (int i = 1; i <= 240; i++) {
		struct trend_estimate e;
		double value = i <= n_start ? start[i - 1] : bytes;

		if (i == dip_second)
			value = dip_bytes;
		else if (i > n_start && i % 7 == 0)
			value -= 4096;
		trend_add(t, i, value);
		trend_estimate(t, &e);
		highest = fmax(highest, e.confidence);
	}
	trend_destroy(t);
	return highest;
}

/* Two idle processes as the watcher saw them: the time since the dip was no growth, however long. */
static void a_start_and_a_dip_are_no_growth(void **state)
{
	static const double larger[] = {2646016, 4616192}, smaller[] = {405504, 942080};
	double highest;

	(void)state;
	highest = highest_of_a_dip(larger, 2, 6119424, 66, 6008832);
	print_message("# 5976 KiB, a dip after 66 s: highest confidence %.2f\n", highest);
	assert_true(highest < 0.5);
	highest = highest_of_a_dip(smaller, 2, 1114112, 11, 1048576);
	print_message("# 1088 KiB, a dip after 11 s: highest confidence %.2f\n", highest);
	assert_true(highest < 0.5);
	for (int dip = 5; dip < 200; dip++)
		assert_true(highest_of_a_dip(larger, 2, 6119424, dip, 6119424 - dip * 8192) < 0.5);
}

/* How many of 50 series of a kind get a verdict. */
static int count_verdicts(enum simulated_kind kind, double seconds, const char *verdict)
{
	int n = 0;

	for (int seed = 0; seed < 50; seed++)
		n += !strcmp(after(kind, seed + 900, 0, 0, seconds).verdict, verdict);
	return n;
}

static void verdicts_of_what_is_no_leak(void **state)
{
	static const char *const verdicts[] = {"steady", "warming-up", "churn", "unknown",
					       "growing"};

	(void)state;
	print_message("# of 50 after 8 minutes: steady, warming-up, churn, unknown, growing\n");
	for (size_t kind = SIMULATED_LEAKS; kind < SIMULATED_KINDS; kind++) {
		print_message("#   %-24s", simulated_name(kind));
		for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
			print_message(" %2d", count_verdicts(kind, 480, verdicts[i]));
		print_message("\n");
	}
	assert_int_equal(count_verdicts(FLAT, 480, "steady"), 50);
	assert_true(count_verdicts(TOUCHES, 480, "steady") >= 45);
	assert_true(count_verdicts(SAWTOOTH, 480, "churn") >= 35);
	assert_true(count_verdicts(CHURN, 480, "churn") >= 35);
	assert_true(count_verdicts(JVM, 480, "churn") >= 40);
	print_message(
		"# exponential warm-ups after 2 minutes: %d warming-up, %d steady, %d unknown\n",
		count_verdicts(WARM_EXP, 120, "warming-up"),
		count_verdicts(WARM_EXP, 120, "steady"), count_verdicts(WARM_EXP, 120, "unknown"));
	assert_true(count_verdicts(WARM_EXP, 120, "warming-up") >= 12);
	assert_true(count_verdicts(WARM_EXP, 3600, "steady") >= 45);
}

/* A leak that begins in a process that was calm for days is found as soon as one that begins at once. */
static void leak_after_a_long_time(void **state)
{
	(void)state;
	for (double delay = 60; delay < 3 * DAY; delay *= 64) {
		struct trend_estimate e = after(LEAK_PAGES, 1, 1e5, delay, delay + 900);

		assert_true(share_growing(LEAK_PAGES, 1e5, delay, delay + 300) >= 0.9);
		assert_true(fabs(e.since_seconds - 900) < 90);
		assert_true(fabs(e.bytes_per_second - 1e5) < 5e3);
	}
}

/* A day of a cache that is trimmed every ten minutes or at any time, of a heap, of churn: nothing to suspect at any time. */
static void never_in_a_day(void **state)
{
	static const enum simulated_kind kinds[] = {SAWTOOTH,	RANDOM_TRIM,  CHURN,
						    GC_FLAT,	JVM,	      TOUCHES,
						    REDIS_FORK, NGINX_RELOAD, START_DIPS,
						    BUILDS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct trend *t = new_trend();
		struct simulated s;
		double highest = 0;

		simulated_start(&s, kinds[i], 77, 0);
		for (double now = 0; now < DAY; now += 1) {
			struct trend_estimate e;

			trend_add(t, now, simulated_next(&s, 1));
			trend_estimate(t, &e);
			if (now > 1800)
				highest = fmax(highest, e.confidence);
		}
		trend_destroy(t);
		print_message("#   %-24s highest confidence after half an hour %.2f\n",
			      simulated_name(kinds[i]), highest);
		assert_true(highest < 0.7);
	}
}

static void a_restart_is_no_trim(void **state)
{
	struct trend_estimate told, untold, *e;

	(void)state;
	for (int tell = 0; tell < 2; tell++) {
		struct trend *t = new_trend();

		for (int i = 0; i < 2400; i++) {
			if (tell && i && i % 800 == 0)
				trend_restart(t);
			trend_add(t, i, 1e7 + i % 800 * 1e5);
		}
		for (int i = 2400; i < 2520; i++) {
			if (tell && i == 2400)
				trend_restart(t);
			trend_add(t, i, 1e7 + (i - 2400) * 1e5);
		}
		e = tell ? &told : &untold;
		trend_estimate(t, e);
		trend_destroy(t);
	}
	assert_string_equal(told.verdict, "growing");
	assert_true(told.confidence > 0.7 && fabs(told.bytes_per_second - 1e5) < 2e3);
	assert_string_equal(untold.verdict, "churn");
}

static void uneven_and_backward_time(void **state)
{
	struct trend *t = new_trend();
	struct trend_estimate e;
	uint64_t random = 5;
	double now = 1e6;

	(void)state;
	for (int i = 0; i < 400; i++) {
		now += 0.05 + 5 * simulated_uniform(&random);
		trend_add(t, now, 1e8 + (now - 1e6) * 3e5);
		if (i % 50 == 0)
			trend_add(t, now - 10, 1e8 + (now - 1e6) * 3e5);
	}
	trend_estimate(t, &e);
	assert_string_equal(e.verdict, "growing");
	assert_true(fabs(e.bytes_per_second - 3e5) < 1e4);
	trend_destroy(t);
}

static void line_is_drawn(void **state)
{
	struct trend *t = new_trend();
	double line[10];

	(void)state;
	for (int i = 0; i < 5; i++)
		trend_add(t, i, i + 1);
	trend_line(t, line, 10);
	for (int i = 0; i < 5; i++)
		assert_true(isnan(line[i]));
	for (int i = 5; i < 10; i++)
		assert_true(line[i] == i - 4);
	for (int i = 5; i < 100000; i++)
		trend_add(t, i, i + 1);
	trend_line(t, line, 10);
	for (int i = 0; i < 10; i++)
		assert_true(fabs(line[i] - (i + 1) * 10000) < 5000);
	assert_true(line[9] == 100000);
	trend_line(t, line, 0);
	trend_destroy(t);
}

/* What is kept of a month is what was there, in 240 spans. */
static void series_keeps_the_extremes(void **state)
{
	double lowest = INFINITY, highest = -INFINITY, deepest = 0;
	float low = INFINITY, high = -INFINITY, drop = 0;
	struct series s;
	uint64_t random = 9;

	(void)state;
	assert_int_equal(series_init(&s), 0);
	for (int i = 0; i < 30 * (int)DAY; i += 1 + (i > 100000) * 9) {
		double value = floor(simulated_uniform(&random) * 1e6) + i;

		series_add(&s, i, value);
		lowest = fmin(lowest, value);
		highest = fmax(highest, value);
		deepest = fmax(deepest, highest - value);
	}
	assert_true(s.n <= SERIES_SPANS_MAX && s.cap <= SERIES_SPANS_MAX && s.n > 60);
	for (size_t i = 0; i < s.n; i++) {
		drop = fmaxf(drop, fmaxf(s.spans[i].drop, high - s.spans[i].floor));
		low = fminf(low, s.spans[i].floor);
		high = fmaxf(high, s.spans[i].peak);
		if (i)
			assert_true(s.spans[i].from_ticks > s.spans[i - 1].from_ticks);
		assert_true(series_find(&s, s.spans[i].from_ticks) == i);
	}
	assert_true(low == (float)lowest && high == (float)highest && drop == (float)deepest);
	/* Fine where it is recent: a minute is a minute. */
	assert_true(s.last_ticks - s.spans[s.n - 5].from_ticks < 120 * SERIES_TICKS);
	series_done(&s);
}

/* Series that got a confidence, in ten bins. */
struct calibration {
	int n[10], leaks[10];
	double sum[10];
};

static void calibrate(struct calibration *c, struct simulated *s)
{
	static const int looks[] = {20, 40, 60, 120, 180, 300, 450, 600, 1200, 2400, 4800};
	struct trend *t = new_trend();
	double now = 0;

	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		struct trend_estimate e;
		int bin;

		run(t, s, &now, looks[i] + 1);
		trend_estimate(t, &e);
		if (!(e.confidence > 0))
			continue;
		bin = e.confidence < 1 ? e.confidence * 10 : 9;
		c->n[bin]++;
		c->sum[bin] += e.confidence;
		c->leaks[bin] += s->rate > 0 && s->delay <= 0;
	}
	trend_destroy(t);
}

static void confidence_is_calibrated(void **state)
{
	static struct calibration c;
	struct simulated population[POPULATION];

	(void)state;
	for (int seed = 0; seed < 24; seed++) {
		if (seed % 2)
			simulated_varied_population(population, 600 + seed);
		else
			simulated_population(population, 600 + seed);
		for (size_t i = 0; i < POPULATION; i++)
			calibrate(&c, &population[i]);
	}
	print_message("# confidence, share that leaks, series\n");
	for (int bin = 0; bin < 10; bin++) {
		double said = c.sum[bin] / c.n[bin], is = c.leaks[bin] / (double)c.n[bin];

		print_message("#   %.2f %.2f %6d\n", said, is, c.n[bin]);
		assert_true(c.n[bin] >= 100);
		assert_true(is >= said - 0.12 && is <= said + 0.17);
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
		cmocka_unit_test(a_start_and_a_dip_are_no_growth),
		cmocka_unit_test(verdicts_of_what_is_no_leak),
		cmocka_unit_test(leak_after_a_long_time),
		cmocka_unit_test(never_in_a_day),
		cmocka_unit_test(a_restart_is_no_trim),
		cmocka_unit_test(uneven_and_backward_time),
		cmocka_unit_test(line_is_drawn),
		cmocka_unit_test(series_keeps_the_extremes),
		cmocka_unit_test(confidence_is_calibrated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
