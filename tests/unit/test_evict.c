// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect/evict.h"
#include "wire.h"

static void oldest_go_first(void **state)
{
	const uint32_t n_idle[WIRE_EVICT_AGES] = {
		[0] = 1000, [1] = 50, [4] = 20, [13] = 5, [14] = 2};

	(void)state;
	assert_int_equal(evict_from_age(n_idle, 2), 14);
	assert_int_equal(evict_from_age(n_idle, 3), 13);
	assert_int_equal(evict_from_age(n_idle, 7), 13);
	assert_int_equal(evict_from_age(n_idle, 8), 4);
	assert_int_equal(evict_from_age(n_idle, 28), 1);
}

static void sites_in_use_stay(void **state)
{
	const uint32_t n_idle[WIRE_EVICT_AGES] = {[0] = 1000, [2] = 3};

	(void)state;
	assert_int_equal(evict_from_age(n_idle, 500), 1);
}

/* No program: no kernel is asked. */
static void without_program(void **state)
{
	struct evictor e = {0, 1};

	(void)state;
	assert_int_equal(evict_run(&e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oldest_go_first),
		cmocka_unit_test(sites_in_use_stay),
		cmocka_unit_test(without_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
