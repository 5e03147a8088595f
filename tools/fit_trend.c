// SPDX-License-Identifier: BSD-2-Clause
/* Fits the weights of user/analyze/window.c anew, and prints them as its table. After a change to a feature or to
 * tests/unit/simulated.c: make fit, which takes half a minute.
 *
 * Logistic regression by Newton's method with a little ridge: first on all windows of a series, weighted so that a series
 * counts once, then on the one that scores highest, which is what the trend does with them. Seeds are others than those of
 * the tests. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/window.h"
#include "simulated.h"

#define N_HOSTS 120
#define FIRST_SEED 1000
#define N_WINDOWS 40
#define ITERATIONS 40
#define ITERATIONS_ALL 6 /* of these, on all windows */
#define N WINDOW_TERMS

static const int looks[] = {20, 30, 45, 60, 120, 180, 300, 450, 600, 1200, 2400, 4800, 9600, 20000};
#define N_LOOKS (sizeof(looks) / sizeof(looks[0]))
#define N_LOOKS_SHORT 12 /* for populations that do not begin late */

/* What one series shows at one time. */
struct example {
	float (*windows)[N];
	int n_windows;
	bool leaks;
};

static struct example examples[N_HOSTS * POPULATION * N_LOOKS];
static size_t n_examples;
static double weights[N];

/* The windows of one series at one time. */
struct found {
	float (*windows)[N];
	int n, n_max;
};

static void add_found(void *arg, const struct window *w)
{
	const struct window_term *terms = window_terms();
	struct found *found = arg;

	if (found->n == found->n_max)
		abort();
	for (int t = 0; t < N; t++)
		found->windows[found->n][t] =
			w->feature[terms[t].left] * w->feature[terms[t].right];
	found->n++;
}

static void add_example(const struct series *s, bool leaks)
{
	static float windows[N_WINDOWS][N];
	struct example *e = &examples[n_examples];
	struct found found = {.windows = windows, .n_max = N_WINDOWS};
	static struct view v;

	view_open(&v, s);
	window_each(&v, add_found, &found);
	if (!found.n)
		return;
	*e = (struct example){malloc(found.n * sizeof(*windows)), found.n, leaks};
	if (!e->windows)
		abort();
	memcpy(e->windows, windows, found.n * sizeof(*windows));
	n_examples++;
}

static void add_host(int seed)
{
	static struct simulated population[POPULATION];
	size_t n_looks = seed % 2 ? N_LOOKS : N_LOOKS_SHORT;

	if (seed % 2)
		simulated_varied_population(population, seed);
	else
		simulated_population(population, seed);
	for (size_t i = 0; i < POPULATION; i++) {
		struct series s;
		size_t look = 0;

		if (series_init(&s))
			abort();
		for (int second = 0; look < n_looks; second++) {
			series_add(&s, second, simulated_next(&population[i], 1));
			if (second != looks[look])
				continue;
			look++;
			add_example(&s, population[i].rate > 0 && population[i].delay <= 0);
		}
		series_done(&s);
	}
}

static double log_odds(const float *x)
{
	double z = 0;

	for (int i = 0; i < N; i++)
		z += weights[i] * x[i];
	return z;
}

static int highest(const struct example *e)
{
	int best = 0;

	for (int i = 1; i < e->n_windows; i++)
		if (log_odds(e->windows[i]) > log_odds(e->windows[best]))
			best = i;
	return best;
}

/* Adds a window's part of the gradient (last column) and the Hessian; returns its log likelihood. */
static double add_window(double system[N][N + 1], const float *x, bool leaks, double weight)
{
	double p = 1 / (1 + exp(-log_odds(x))), curve = p * (1 - p) * weight;

	for (int i = 0; i < N; i++) {
		system[i][N] += weight * (leaks - p) * x[i];
		for (int j = 0; j < N; j++)
			system[i][j] += curve * x[i] * x[j];
	}
	return weight * log(fmax(leaks ? p : 1 - p, 1e-12));
}

/* Gauss and Jordan; the matrix is positive definite. */
static void solve(double system[N][N + 1])
{
	for (int i = 0; i < N; i++) {
		for (int j = N; j >= i; j--)
			system[i][j] /= system[i][i];
		for (int k = 0; k < N; k++)
			for (int j = N; k != i && j >= i; j--)
				system[k][j] -= system[k][i] * system[i][j];
	}
}

static double improve(bool all, double step)
{
	static double system[N][N + 1];
	double likelihood = 0;

	memset(system, 0, sizeof(system));
	for (size_t i = 0; i < n_examples; i++) {
		const struct example *e = &examples[i];
		int from = all ? 0 : highest(e), to = all ? e->n_windows : from + 1;

		for (int w = from; w < to; w++)
			likelihood +=
				add_window(system, e->windows[w], e->leaks, 1.0 / (to - from));
	}
	for (int i = 0; i < N; i++) {
		system[i][i] += 1;
		system[i][N] -= weights[i];
	}
	solve(system);
	for (int i = 0; i < N; i++)
		weights[i] += step * system[i][N];
	return likelihood;
}

int main(void)
{
	static const char *const names[N_FEATURES] = {
		"ONE",	     "DURATION", "PIECES", "UNEVEN", "SLOWER", "FASTER", "DROPS",
		"OLD_DROPS", "BEFORE",	 "STIR",   "SIZE",   "OPEN",   "LIFE",	 "RISE",
	};
	const struct window_term *terms = window_terms();

	for (int seed = FIRST_SEED; seed < FIRST_SEED + N_HOSTS; seed++)
		add_host(seed);
	for (int i = 0; i < ITERATIONS; i++) {
		bool all = i < ITERATIONS_ALL;

		fprintf(stderr, "%d: log likelihood %.1f\n", i, improve(all, all ? 1 : 0.5));
	}
	for (int i = 0; i < N; i++)
		printf("\t{%s, %s, %.4g},\n", names[terms[i].left], names[terms[i].right],
		       weights[i]);
	return 0;
}
