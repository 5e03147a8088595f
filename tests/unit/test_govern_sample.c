// SPDX-License-Identifier: BSD-2-Clause
/* bpf/sample.bpf.h compiled for the host: what is recorded, with its weights, stands for what there was, through every change of what
 * the governor orders. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire.h"

typedef __u32 u32;
typedef __u64 u64;

#define SEEP_BPF_MAPS_BPF_H /* stands in for it */

static struct wire_settings settings;
static u64 random_state = 1, now_ns;

static u32 bpf_get_prandom_u32(void)
{
	/* xorshift64*, Vigna 2016 */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dULL >> 32;
}

static u64 bpf_ktime_get_ns(void)
{
	return now_ns;
}

#include "sample.bpf.h"

#define N_BLOCKS 20000
#define N_RUNS 400
#define PERIOD_NS 1000000ULL
#define WINDOW_NS 100000ULL

/* What the governor orders at block i: exact, sampled, sampled more, windows with and without sampling, exact. */
static void order(struct wire_governed *g, unsigned i)
{
	static const u64 intervals[] = {0, 512, 65536, 0, 4096, 1024, 0};
	unsigned stage = i * 7 / N_BLOCKS;
	bool windows = stage == 3 || stage == 4;
	u64 in_cycle = now_ns % PERIOD_NS;

	g->sample_interval = intervals[stage];
	g->scale = WIRE_WEIGHT_ONE;
	g->until_ns = 0;
	if (!windows)
		return;
	/* As govern.c draws them. */
	if (in_cycle < 1000) {
		double w = WINDOW_NS, t = PERIOD_NS,
		       at = bpf_get_prandom_u32() / 4294967296.0 * (t + w) - w;

		g->n_entries = now_ns - in_cycle + (u64)fmax(at, 0);
		g->n_frees = now_ns - in_cycle + (u64)fmin(fmax(at + w, 0), t);
	}
	g->scale = (PERIOD_NS + WINDOW_NS) * WIRE_WEIGHT_ONE / WINDOW_NS;
	g->until_ns = now_ns >= g->n_entries ? g->n_frees : 1;
}

struct sums {
	double n, bytes;
};

static struct sums one_run(struct sums *truth)
{
	static const u64 sizes[] = {1, 16, 24, 100, 1000, 40, 5000, 100000};
	struct wire_governed g = {0};
	struct sums estimate = {0};

	*truth = (struct sums){0};
	now_ns = PERIOD_NS * 1000;
	for (unsigned i = 0; i < N_BLOCKS; i++) {
		u64 size = sizes[i % 8], weight;

		now_ns += 1000;
		order(&g, i);
		weight = sample_weight(size, &g);
		estimate.n += (double)weight / WIRE_WEIGHT_ONE;
		estimate.bytes += (double)weight / WIRE_WEIGHT_ONE * size;
		truth->n += 1;
		truth->bytes += size;
	}
	return estimate;
}

static void check(const char *what, double sum, double squares, double truth)
{
	double mean = sum / N_RUNS, sigma = sqrt((squares / N_RUNS - mean * mean) / N_RUNS);

	print_message("%s: mean %.0f of %.0f, sigma %.0f\n", what, mean, truth, sigma);
	assert_true(fabs(mean - truth) < 3 * sigma);
}

static void test_changes_of_mode(void **state)
{
	struct sums truth, sum = {0}, squares = {0};

	(void)state;
	for (int i = 0; i < N_RUNS; i++) {
		struct sums e = one_run(&truth);

		sum.n += e.n;
		sum.bytes += e.bytes;
		squares.n += e.n * e.n;
		squares.bytes += e.bytes * e.bytes;
	}
	check("allocations", sum.n, squares.n, truth.n);
	check("bytes", sum.bytes, squares.bytes, truth.bytes);
}

/* The largest weights there can be do not overflow. */
static void test_weights(void **state)
{
	u64 most = (1ULL << 48) / 4096; /* one byte at a mean distance of 1 MiB */

	(void)state;
	assert_int_equal(scale_weight(WIRE_WEIGHT_ONE, WIRE_WEIGHT_ONE), WIRE_WEIGHT_ONE);
	assert_int_equal(scale_weight(WIRE_WEIGHT_ONE, 0), 0);
	assert_int_equal(scale_weight(3 * WIRE_WEIGHT_ONE / 2, 5 * WIRE_WEIGHT_ONE / 2),
			 15 * WIRE_WEIGHT_ONE / 4);
	assert_int_equal(scale_weight(most, 60000 * WIRE_WEIGHT_ONE), most * 60000);
}

static void test_gate(void **state)
{
	struct wire_governed g = {.scale = 10 * WIRE_WEIGHT_ONE, .until_ns = 100};

	(void)state;
	now_ns = 99;
	assert_int_equal(sample_weight(10, &g), 10 * WIRE_WEIGHT_ONE);
	now_ns = 100;
	assert_int_equal(sample_weight(10, &g), 0);
	g.until_ns = 0;
	assert_int_equal(sample_weight(10, &g), WIRE_WEIGHT_ONE);
	/* Without a governor as the options say. */
	settings.sampling = WIRE_SAMPLE_ALL;
	assert_int_equal(sample_weight(10, NULL), WIRE_WEIGHT_ONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_of_mode),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
