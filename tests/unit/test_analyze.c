// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "analyze/growth.h"
#include "analyze/merge.h"
#include "analyze/rank.h"
#include "base/cleanup.h"
#include "model/report.h"

static void merges_equal_fingerprints(void **state)
{
	struct site sites[] = {
		{.process = 0,
		 .kind = SITE_MALLOC,
		 .fingerprint = 7,
		 .outstanding_bytes = 1,
		 .outstanding_allocations = 1,
		 .interval_bytes = 3,
		 .oldest_age_seconds = 2,
		 .median_age_seconds = 1},
		{.process = 1, .kind = SITE_MALLOC, .fingerprint = 7, .outstanding_bytes = 2},
		{.process = 0, .kind = SITE_MMAP, .fingerprint = 7, .outstanding_bytes = 4},
		{.process = 0, .kind = SITE_MALLOC, .fingerprint = 8, .outstanding_bytes = 8},
		{.process = 0,
		 .kind = SITE_MALLOC,
		 .fingerprint = 7,
		 .outstanding_bytes = 16,
		 .outstanding_allocations = 5,
		 .allocations = 9,
		 .frees = 4,
		 .interval_bytes = 4,
		 .oldest_age_seconds = 1,
		 .median_age_seconds = 0.5},
	};
	struct report report = {.sites = sites, .n_sites = ARRAY_SIZE(sites)};

	(void)state;
	merge_sites(&report);
	assert_int_equal(report.n_sites, 4);
	assert_int_equal(sites[0].fingerprint, 7);
	assert_int_equal(sites[0].outstanding_bytes, 17);
	assert_int_equal(sites[0].outstanding_allocations, 6);
	assert_int_equal(sites[0].allocations, 9);
	assert_int_equal(sites[0].interval_bytes, 5);
	assert_true(sites[0].oldest_age_seconds == 2);
	assert_true(sites[0].median_age_seconds == 0.5);
	assert_int_equal(sites[1].outstanding_bytes, 8);
	assert_int_equal(sites[2].outstanding_bytes, 4);
	assert_int_equal(sites[3].outstanding_bytes, 2);
	report.n_sites = 0;
	merge_sites(&report);
	assert_int_equal(report.n_sites, 0);
}

static void ranks_by_process_size_and_count(void **state)
{
	struct site sites[] = {
		{.process = 1, .fingerprint = 1, .outstanding_bytes = 900},
		{.process = 0,
		 .fingerprint = 5,
		 .outstanding_bytes = 10,
		 .outstanding_allocations = 1},
		{.process = 0,
		 .fingerprint = 4,
		 .outstanding_bytes = 10,
		 .outstanding_allocations = 1},
		{.process = 0,
		 .fingerprint = 2,
		 .outstanding_bytes = 20,
		 .outstanding_allocations = 1},
		{.process = 0,
		 .fingerprint = 3,
		 .outstanding_bytes = 10,
		 .outstanding_allocations = 9},
	};
	static const uint64_t by_size[] = {2, 3, 4, 5, 1}, by_count[] = {3, 2, 4, 5, 1};

	(void)state;
	rank_sites(sites, ARRAY_SIZE(sites), false);
	for (size_t i = 0; i < ARRAY_SIZE(sites); i++)
		assert_int_equal(sites[i].fingerprint, by_size[i]);
	rank_sites(sites, ARRAY_SIZE(sites), true);
	for (size_t i = 0; i < ARRAY_SIZE(sites); i++)
		assert_int_equal(sites[i].fingerprint, by_count[i]);
	rank_sites(NULL, 0, true);
}

static void slope_of_points(void **state)
{
	const double times[] = {0, 1, 2, 3}, line[] = {5, 8, 11, 14};
	const double gap[] = {5, NAN, 11, 14}, few[] = {NAN, NAN, 1, 2}, uneven[] = {0, 1, 1, 2};
	const double same[] = {7, 7, 7, 7};

	(void)state;
	assert_true(fabs(growth_slope(times, line, 4) - 3) < 1e-12);
	assert_true(fabs(growth_slope(times, gap, 4) - 3) < 1e-12);
	assert_true(fabs(growth_slope(times, uneven, 4) - 0.6) < 1e-12);
	assert_true(isnan(growth_slope(times, few, 4)));
	assert_true(isnan(growth_slope(same, line, 4)));
	assert_true(isnan(growth_slope(times, line, 2)));
}

struct growing {
	struct report report;
	struct process_report process;
	struct site site;
};

/* Report n of a process that grows by slope bytes a second, two seconds apart. */
static void step(struct growth *g, struct growing *x, int n, double slope)
{
	x->report.elapsed_seconds = 2 * n;
	x->report.processes = &x->process;
	x->report.n_processes = 1;
	x->report.sites = &x->site;
	x->report.n_sites = 1;
	x->site.growth_bytes_per_second = NAN;
	x->site.outstanding_bytes = x->process.outstanding_bytes = 1e9 + slope * 2 * n;
	assert_int_equal(growth_update(g, &x->report), 0);
}

static void growth_looks_back_so_far(void **state)
{
	struct growing x = {.process = {.pid = 1, .rss_bytes = 100, .limit_bytes = 1100},
			    .site = {.fingerprint = 7}};
	struct growth *g;
	int n = 0;

	(void)state;
	assert_int_equal(growth_create(&g), 0);
	for (; n < 2; n++) {
		step(g, &x, n, 100);
		assert_true(isnan(x.site.growth_bytes_per_second));
		assert_true(isnan(x.process.seconds_to_limit));
	}
	for (; n < 200; n++) {
		step(g, &x, n, 100);
		assert_true(fabs(x.site.growth_bytes_per_second - 100) < 1e-3);
		assert_true(fabs(x.process.growth_bytes_per_second - 100) < 1e-3);
		assert_true(fabs(x.process.seconds_to_limit - 10) < 1e-3);
	}
	/* After a jump and sixty flat reports the jump is forgotten, not one report earlier. */
	for (int flat = 0; flat < GROWTH_SAMPLES; flat++, n++) {
		step(g, &x, n, 0);
		if (flat == GROWTH_SAMPLES - 2)
			assert_true(x.site.growth_bytes_per_second < -1);
	}
	assert_true(fabs(x.site.growth_bytes_per_second) < 1e-9);
	assert_true(isnan(x.process.seconds_to_limit));
	growth_destroy(g);
	growth_destroy(NULL);
}

static void ended_and_absent_are_forgotten(void **state)
{
	struct growing x = {.process = {.pid = 1}, .site = {.fingerprint = 7}};
	struct report empty = {0};
	struct growth *g;
	int n;

	(void)state;
	assert_int_equal(growth_create(&g), 0);
	for (n = 0; n < 5; n++) {
		x.process.final = n == 4;
		step(g, &x, n, 10);
	}
	assert_true(fabs(x.site.growth_bytes_per_second - 10) < 1e-6);
	/* After exec: same pid, same start. */
	x.process.final = false;
	step(g, &x, n++, 10);
	assert_true(isnan(x.site.growth_bytes_per_second));
	step(g, &x, n++, 10);
	step(g, &x, n++, 10);
	assert_true(fabs(x.site.growth_bytes_per_second - 10) < 1e-6);
	for (int i = 0; i < GROWTH_SAMPLES - 3; i++) {
		empty.elapsed_seconds = 2 * n++;
		assert_int_equal(growth_update(g, &empty), 0);
	}
	/* The three samples before the gap are still within reach. */
	step(g, &x, n++, 10);
	assert_true(fabs(x.site.growth_bytes_per_second - 10) < 1e-6);
	for (int i = 0; i < GROWTH_SAMPLES; i++) {
		empty.elapsed_seconds = 2 * n++;
		assert_int_equal(growth_update(g, &empty), 0);
	}
	step(g, &x, n++, 10);
	assert_true(isnan(x.site.growth_bytes_per_second));
	growth_destroy(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges_equal_fingerprints),
		cmocka_unit_test(ranks_by_process_size_and_count),
		cmocka_unit_test(slope_of_points),
		cmocka_unit_test(growth_looks_back_so_far),
		cmocka_unit_test(ended_and_absent_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
