// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analyze/unexplained.h"
#include "model/memory.h"

#define MB 1000000ULL

static struct memory_account base(void)
{
	return (struct memory_account){.resident_bytes = 100 * MB,
				       .before_bytes = 40 * MB,
				       .free_bytes = 20 * MB,
				       .anonymous_bytes = 30 * MB,
				       .file_bytes = 10 * MB};
}

static void test_what_is_worth_a_look(void **state)
{
	(void)state;
	assert_true(unexplained_is(1000, 0));
	assert_true(unexplained_is(1000, -500));
	assert_false(unexplained_is(1000, 900));
	assert_false(unexplained_is(0, 0));
	assert_false(unexplained_is(-5, 0));
}

static void test_holes(void **state)
{
	struct memory_account before = base(), now = base();
	struct unexplained u;

	(void)state;
	now.free_bytes += 20 * MB;
	now.before_bytes += 2 * MB;
	now.resident_bytes += 22 * MB;
	assert_true(unexplained_judge(&before, &now, &u));
	assert_string_equal(u.verdict, "fragmentation");
	assert_int_equal(u.bytes, 22 * MB);
}

static void test_mappings(void **state)
{
	struct memory_account before = base(), now = base();
	struct unexplained u;

	(void)state;
	now.anonymous_bytes += 20 * MB;
	now.free_bytes += 1 * MB;
	now.resident_bytes += 21 * MB;
	assert_true(unexplained_judge(&before, &now, &u));
	assert_string_equal(u.verdict, "outside-malloc");
	assert_int_equal(u.bytes, 20 * MB);
	assert_int_equal(u.part, UNEXPLAINED_ELSE);
	now.executable_bytes += 15 * MB;
	assert_true(unexplained_judge(&before, &now, &u));
	assert_int_equal(u.part, UNEXPLAINED_CODE);
	now.thread_stack_bytes += 15 * MB;
	now.n_threads += 30;
	assert_true(unexplained_judge(&before, &now, &u));
	assert_int_equal(u.part, UNEXPLAINED_STACKS);
	assert_int_equal(u.n_threads, 30);
}

static void test_unseen_blocks(void **state)
{
	struct memory_account before = base(), now = base();
	struct unexplained u;

	(void)state;
	now.before_bytes += 20 * MB;
	now.resident_bytes += 20 * MB;
	assert_true(unexplained_judge(&before, &now, &u));
	assert_string_equal(u.verdict, "growing");
}

/* What was reserved and not touched is no growth of what is resident. */
static void test_too_little(void **state)
{
	struct memory_account before = base(), now = base();
	struct unexplained u;

	(void)state;
	assert_false(unexplained_judge(&before, &now, &u));
	now.free_bytes += 50 * MB;
	now.untouched_bytes += 50 * MB;
	now.file_bytes += 5 * MB;
	now.resident_bytes += 5 * MB;
	assert_false(unexplained_judge(&before, &now, &u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_worth_a_look),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_unseen_blocks),
		cmocka_unit_test(test_too_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
