// SPDX-License-Identifier: BSD-2-Clause
/* Verdicts on simulated sites: lists of blocks with their births and deaths, looked at every few seconds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "analyze/judge.h"
#include "collect/birth.h"

#define BLOCKS_MOST 300000
#define NS 1e9

static struct block {
	double birth, death;
} * blocks;
static size_t n_blocks;
static uint64_t random_state;
static double edges[JUDGE_SLOTS + 1];

static double unit(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (double)(random_state >> 11) / (double)(1ULL << 53);
}

static double between(double low, double high)
{
	return low + (high - low) * unit();
}

/* As many times as far from the least as from the most. */
static double scaled(double low, double high)
{
	return low * pow(high / low, unit());
}

static double wait_for(double mean)
{
	return -mean * log(1 - unit());
}

static void add(double birth, double death)
{
	if (n_blocks < BLOCKS_MOST)
		blocks[n_blocks++] = (struct block){birth, death};
}

static int setup(void **state)
{
	(void)state;
	blocks = malloc(BLOCKS_MOST * sizeof(*blocks));
	for (unsigned i = 0; i <= JUDGE_SLOTS; i++)
		edges[i] = birth_slot_start_ns(i) / NS;
	return blocks ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(blocks);
	return 0;
}

/* A site at a time; births are the slots that the kernel side would have. */
static void look(double at, uint32_t born[JUDGE_SLOTS], struct judge_sample *ret)
{
	*ret = (struct judge_sample){.seconds = at, .weight = 1, .born = born};
	memset(born, 0, JUDGE_SLOTS * sizeof(*born));
	for (size_t i = 0; i < n_blocks; i++) {
		if (blocks[i].birth > at)
			continue;
		ret->allocations++;
		if (blocks[i].death <= at)
			ret->frees++;
		else
			born[birth_slot(blocks[i].birth * NS)]++;
	}
	ret->bytes = 100 * (ret->allocations - ret->frees);
}

/* What is said of the blocks, which began at zero, after a trace from began to end. Births before it are not seen. */
static struct judgement verdict_at(double began, double every, double end)
{
	struct judge_frame frame = {
		.edges = edges, .began_seconds = began, .age_seconds = 5, .may_leak = true};
	uint32_t born[JUDGE_SLOTS];
	struct judge_sample sample;
	struct judgement ret;
	struct judge *j;

	assert_int_equal(judge_create(&j), 0);
	for (double at = began + every; at <= end + 0.01; at += every) {
		look(at, born, &sample);
		judge_add(j, &sample);
	}
	judge_site(j, &frame, &ret);
	judge_destroy(j);
	return ret;
}

/* Populations: leaks. */

static void leak_linear(double end)
{
	double every = 1 / scaled(1, 100);

	for (double t = 0; t < end; t += every)
		add(t, INFINITY);
}

static void leak_poisson(double end)
{
	double mean = 1 / scaled(1, 50);

	for (double t = wait_for(mean); t < end; t += wait_for(mean))
		add(t, INFINITY);
}

static void leak_bursts(double end)
{
	double every = between(1, 7), n = between(5, 200);

	for (double t = between(0, every); t < end; t += every)
		for (int i = 0; i < n; i++)
			add(t, INFINITY);
}

static void leak_in_churn(double end)
{
	double mean = 1 / scaled(50, 1000), share = scaled(1, 20) * mean, life = scaled(0.001, 1);

	for (double t = wait_for(mean); t < end; t += wait_for(mean))
		add(t, unit() < share ? INFINITY : t + wait_for(life));
}

static void leak_beside_ttl(double end)
{
	double mean = 1 / scaled(20, 300), share = between(0.03, 0.5), ttl = between(1, 8);

	for (double t = wait_for(mean); t < end; t += wait_for(mean))
		add(t, unit() < share ? INFINITY : t + ttl);
}

static void leak_late(double end)
{
	double mean = 1 / scaled(2, 50);

	for (double t = between(0, 0.3) * end; t < end; t += wait_for(mean))
		add(t, INFINITY);
}

static void leak_after_warmup(double end)
{
	double mean = 1 / scaled(2, 50), n = scaled(10, 3000);

	for (int i = 0; i < n; i++)
		add(between(0, 4), INFINITY);
	for (double t = 0; t < end; t += wait_for(mean))
		add(t, INFINITY);
}

/* Populations: no leaks. */

static void calm_ttl(double end)
{
	double mean = 1 / scaled(5, 200), ttl = scaled(0.1, 20), even = unit();

	for (double t = 0; t < end; t += wait_for(mean))
		add(t, t + ttl * (1 + even * (unit() - 0.5)));
}

static void calm_session(double end)
{
	double mean = 1 / scaled(5, 100), life = scaled(1, 90);

	for (double t = 0; t < end; t += wait_for(mean))
		add(t, t + wait_for(life));
}

static void calm_memo(double end)
{
	double n_keys = scaled(50, 3000), fills = between(2, 20);
	double rate = n_keys / fills;
	static unsigned char known[4000];

	memset(known, 0, sizeof(known));
	for (double t = 0; t < end && rate * end < 1e6; t += 1 / rate) {
		unsigned key = unit() * n_keys;

		if (!known[key])
			add(t, INFINITY);
		known[key] = 1;
	}
}

static void calm_zipf(double end)
{
	double n_keys = scaled(100, 3000), rate = n_keys / between(4, 20);
	static unsigned char known[4000];

	memset(known, 0, sizeof(known));
	for (double t = 0; t < end; t += 1 / rate) {
		unsigned key = pow(n_keys, unit());

		if (!known[key])
			add(t, INFINITY);
		known[key] = 1;
	}
}

/* The oldest goes when it is full, which it is after a while. */
static void calm_fifo(double end)
{
	double rate = scaled(5, 200), full = between(2, 25);

	for (double t = 0; t < end; t += 1 / rate)
		add(t, t + full);
}

static void calm_batch(double end)
{
	double period = between(2, 22), rate = scaled(5, 100), from = between(0, period);

	for (double t = 0; t < end; t += 1 / rate)
		add(t, from + ceil((t - from) / period + 1e-9) * period);
}

static void calm_start(double end)
{
	double n = scaled(20, 3000), length = between(1, 20);

	(void)end;
	for (int i = 0; i < n; i++)
		add(between(0, length), INFINITY);
}

static void calm_logarithm(double end)
{
	double n = scaled(30, 500), scale = scaled(0.5, 5);

	for (int i = 0; i < n * log1p(end / scale); i++)
		add(scale * expm1(i / n), INFINITY);
}

static void calm_exponential(double end)
{
	double n = scaled(50, 3000), scale = between(1, 11);

	(void)end;
	for (int i = 0; i < n; i++)
		add(wait_for(scale), INFINITY);
}

static void calm_replaced(double end)
{
	double rate = scaled(10, 200), cap = rate * between(1, 12), held = 0;
	double life = cap / rate;

	/* Until it is full all stay; then each dies as likely as any. */
	for (double t = 0; t < end; t += 1 / rate, held++)
		add(t, fmax(t, life) + wait_for(life));
}

struct population {
	const char *name;
	void (*make)(double end);
	bool leaks;
};

static const struct population populations[] = {
	{"leak, linear", leak_linear, true},
	{"leak, at random", leak_poisson, true},
	{"leak, in bursts", leak_bursts, true},
	{"leak, in churn", leak_in_churn, true},
	{"leak, beside a cache", leak_beside_ttl, true},
	{"leak, later", leak_late, true},
	{"leak, after a warm-up", leak_after_warmup, true},
	{"cache, by time", calm_ttl, false},
	{"sessions", calm_session, false},
	{"memo", calm_memo, false},
	{"memo, Zipf", calm_zipf, false},
	{"cache, oldest first", calm_fifo, false},
	{"batches", calm_batch, false},
	{"start", calm_start, false},
	{"logarithm", calm_logarithm, false},
	{"warm-up", calm_exponential, false},
	{"cache, at random", calm_replaced, false},
};

#define N_POPULATIONS (sizeof(populations) / sizeof(populations[0]))

/* The share of a population that is called a leak. */
static double share_of_leaks(const struct population *p, double every, double end, int runs,
			     double *ret_growing)
{
	int leaks = 0, growing = 0;

	for (int run = 0; run < runs; run++) {
		double began = between(0, 3);
		struct judgement j;

		n_blocks = 0;
		p->make(began + end);
		/* Of what was before, nothing is known. */
		for (size_t i = 0; i < n_blocks; i++)
			if (blocks[i].birth < began)
				blocks[i--] = blocks[--n_blocks];
		j = verdict_at(began, every, began + end);
		leaks += !strcmp(j.verdict, "leak");
		growing += !strcmp(j.verdict, "growing");
	}
	*ret_growing = (double)growing / runs;
	return (double)leaks / runs;
}

static void simulate(double every, double end, double least_recall, double most_false)
{
	double recall = 0, wrong = 0, growing;
	int n_leaks = 0, runs = getenv("JUDGE_RUNS") ? atoi(getenv("JUDGE_RUNS")) : 40;

	random_state = 88172645463325252ULL;
	print_message("after %.0f s, looked at every %.0f s:  leak growing\n", end, every);
	for (size_t i = 0; i < N_POPULATIONS; i++) {
		double share = share_of_leaks(&populations[i], every, end, runs, &growing);

		print_message("  %-24s%6.3f%6.3f\n", populations[i].name, share, growing);
		if (populations[i].leaks)
			recall += share, n_leaks++;
		else
			wrong += share;
	}
	recall /= n_leaks;
	wrong /= N_POPULATIONS - n_leaks;
	print_message("  recall %.3f, called leaks though they are not %.4f\n", recall, wrong);
	assert_true(recall >= least_recall);
	assert_true(wrong <= most_false);
}

static void test_populations_60s(void **state)
{
	(void)state;
	simulate(5, 60, 0.9, 0.01);
}

static void test_populations_60s_fine(void **state)
{
	(void)state;
	simulate(2, 60, 0.9, 0.01);
}

static void test_populations_300s(void **state)
{
	(void)state;
	simulate(5, 300, 0.95, 0.005);
}

static void test_populations_30s(void **state)
{
	(void)state;
	simulate(1, 30, 0.3, 0.02);
}

static const struct judge_frame plain = {.edges = edges, .age_seconds = 1000, .may_leak = true};

/* n a second, of 100 bytes, none ever freed, as of a time. */
static struct judgement after_even(const struct judge_frame *f, double n, double end)
{
	struct judgement ret;
	struct judge *j;

	n_blocks = 0;
	for (double t = 0; t < end; t += 1 / n)
		add(t, INFINITY);
	assert_int_equal(judge_create(&j), 0);
	for (double at = 2; at <= end; at += 2) {
		uint32_t born[JUDGE_SLOTS];
		struct judge_sample sample;

		look(at, born, &sample);
		judge_add(j, &sample);
	}
	judge_site(j, f, &ret);
	judge_destroy(j);
	return ret;
}

static void test_figures_of_a_leak(void **state)
{
	struct judgement j = after_even(&plain, 10, 60);

	(void)state;
	assert_string_equal(j.verdict, "leak");
	assert_null(j.doubt);
	assert_true(fabs(j.bytes_per_second - 1000) < 30);
	assert_true(j.low_bytes_per_second < 1000 && j.high_bytes_per_second > 1000);
	assert_true(j.kept_share > 0.97 && j.since_seconds > 50 && j.n_freed == 0);
	assert_true(j.confidence > 0.6 && j.confidence <= 0.95);
	j = after_even(&plain, 10, 1200);
	assert_true(j.confidence > 0.95);
}

static void test_too_early(void **state)
{
	(void)state;
	assert_string_equal(after_even(&plain, 10, 6).verdict, "unknown");
	assert_string_equal(after_even(&plain, 10, 16).verdict, "growing");
}

static void test_too_few(void **state)
{
	(void)state;
	assert_string_not_equal(after_even(&plain, 0.1, 60).verdict, "leak");
}

static void test_doubts(void **state)
{
	struct judge_frame f = plain;
	struct judgement j;

	(void)state;
	f.strange_frees_per_second = 9;
	j = after_even(&f, 10, 60);
	assert_string_equal(j.verdict, "growing");
	assert_non_null(strstr(j.doubt, "before the trace"));
	f = plain;
	f.may_leak = false;
	assert_string_equal(after_even(&f, 10, 60).verdict, "growing");
}

/* What once dropped by as much may do so again. */
static void test_has_dropped(void **state)
{
	struct judgement ret;

	(void)state;
	n_blocks = 0;
	for (double t = 0; t < 65; t += 0.1)
		add(t, t < 35 ? 35 : INFINITY);
	ret = verdict_at(0, 2, 65);
	assert_string_not_equal(ret.verdict, "leak");
}

/* A cache by time has kept what is young: those before were as old when they went. */
static void test_older_went(void **state)
{
	struct judgement ret;

	(void)state;
	n_blocks = 0;
	for (double t = 0; t < 60; t += 1 / 18.0)
		add(t, t + 40);
	ret = verdict_at(0, 5, 60);
	assert_string_not_equal(ret.verdict, "leak");
	/* Others went young: that says nothing of those that stay. */
	n_blocks = 0;
	for (double t = 0; t < 60; t += 1 / 18.0)
		add(t, t < 20 ? t + 1 : INFINITY);
	ret = verdict_at(0, 5, 60);
	assert_string_equal(ret.verdict, "leak");
}

/* Of a site that never freed anything fewer blocks say as much. */
static void test_few_but_none_freed(void **state)
{
	struct judgement ret;

	(void)state;
	n_blocks = 0;
	for (double t = 4; t < 62; t += 4)
		add(t, INFINITY);
	ret = verdict_at(0, 5, 62);
	assert_string_equal(ret.verdict, "leak");
	assert_true(ret.confidence < 0.5);
	for (double t = 4; t < 60; t += 4)
		add(t, t + 3);
	ret = verdict_at(0, 5, 62);
	assert_string_not_equal(ret.verdict, "leak");
}

/* Of those that live for five seconds all reach one second, and one in ten reaches ten. */
static void test_survival(void **state)
{
	uint32_t born[JUDGE_SLOTS];
	struct judge_sample sample;
	struct judge *j;

	(void)state;
	n_blocks = 0;
	for (int i = 0; i < 1200; i++)
		add(i / 20.0, i % 10 ? i / 20.0 + 5 : INFINITY);
	assert_int_equal(judge_create(&j), 0);
	assert_true(isnan(judge_survival(j, &plain, 1)));
	for (double at = 1; at <= 50; at++) {
		look(at, born, &sample);
		judge_add(j, &sample);
		if (at == 3)
			assert_true(judge_survival(j, &plain, 1) > 0.95);
	}
	assert_true(fabs(judge_survival(j, &plain, 10) - 0.1) < 0.02);
	assert_true(isnan(judge_survival(j, &plain, 60)));
	judge_destroy(j);
}

static void test_counters_begin_anew(void **state)
{
	uint32_t born[JUDGE_SLOTS] = {0};
	struct judge_sample sample = {.seconds = 50, .allocations = 5, .weight = 1, .born = born};
	struct judgement ret;
	struct judge *j;

	(void)state;
	assert_int_equal(judge_create(&j), 0);
	for (double at = 1; at < 50; at++)
		judge_add(j, &(struct judge_sample){
				     .seconds = at, .allocations = 100 * at, .weight = 1});
	judge_add(j, &sample);
	judge_site(j, &plain, &ret);
	assert_string_equal(ret.verdict, "unknown");
	judge_destroy(j);
	judge_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures_of_a_leak),
		cmocka_unit_test(test_too_early),
		cmocka_unit_test(test_too_few),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_has_dropped),
		cmocka_unit_test(test_survival),
		cmocka_unit_test(test_older_went),
		cmocka_unit_test(test_few_but_none_freed),
		cmocka_unit_test(test_counters_begin_anew),
		cmocka_unit_test(test_populations_30s),
		cmocka_unit_test(test_populations_60s),
		cmocka_unit_test(test_populations_60s_fine),
		cmocka_unit_test(test_populations_300s),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
