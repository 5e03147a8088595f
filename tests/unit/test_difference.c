// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "analyze/difference.h"
#include "base/cleanup.h"
#include "model/difference.h"

static struct difference_site site(const char *comm, uint64_t code, uint64_t family, uint64_t bytes,
				   uint64_t allocations)
{
	return (struct difference_site){
		.comm = comm,
		.kind = SITE_MALLOC,
		.fingerprint = code,
		.family = family,
		.held = {.bytes = bytes, .allocations = allocations},
	};
}

static const struct difference *of(const struct difference *items, size_t n, const char *comm,
				   uint64_t code)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].site.fingerprint == code && !strcmp(items[i].site.comm, comm))
			return &items[i];
	fail_msg("no difference of %s %llu", comm, (unsigned long long)code);
	return NULL;
}

static void check(const struct difference *d, enum difference_change change, bool by_family,
		  uint64_t before, uint64_t after)
{
	assert_int_equal(d->change, change);
	assert_int_equal(d->by_family, by_family);
	assert_int_equal(d->before.bytes, before);
	assert_int_equal(d->after.bytes, after);
}

static void same_code(void **state)
{
	struct difference_site before[] = {site("a", 1, 10, 100, 1), site("a", 2, 10, 50, 5),
					   site("a", 3, 30, 7, 1), site("a", 4, 40, 9, 2)},
			       after[] = {site("a", 4, 40, 9, 2), site("a", 1, 10, 300, 2),
					  site("a", 2, 10, 20, 9), site("a", 5, 50, 5, 1)};
	_cleanup_free_ struct difference *items = NULL;
	size_t n;

	(void)state;
	assert_int_equal(difference_find(before, 4, after, 4, false, &items, &n), 0);
	assert_int_equal(n, 5);
	check(&items[0], DIFFERENCE_GREW, false, 100, 300);
	check(&items[1], DIFFERENCE_NEW, false, 0, 5);
	check(&items[2], DIFFERENCE_SAME, false, 9, 9);
	check(&items[3], DIFFERENCE_GONE, false, 7, 0);
	check(&items[4], DIFFERENCE_SHRANK, false, 50, 20);
}

static void ranked_by_count(void **state)
{
	struct difference_site before[] = {site("a", 1, 10, 100, 1), site("a", 2, 10, 50, 5)},
			       after[] = {site("a", 1, 10, 300, 2), site("a", 2, 10, 20, 9)};
	_cleanup_free_ struct difference *items = NULL;
	size_t n;

	(void)state;
	assert_int_equal(difference_find(before, 2, after, 2, true, &items, &n), 0);
	assert_int_equal(n, 2);
	check(&items[0], DIFFERENCE_GREW, false, 50, 20);
	assert_int_equal(items[0].after.allocations, 9);
}

/* Workers of one name are one program; another program with the same code is not. */
static void programs(void **state)
{
	struct difference_site before[] = {site("a", 1, 10, 100, 1), site("b", 1, 10, 8, 1)},
			       after[] = {site("a", 1, 10, 60, 1), site("b", 1, 10, 8, 1),
					  site("a", 1, 10, 70, 1)};
	_cleanup_free_ struct difference *items = NULL;
	size_t n;

	(void)state;
	assert_int_equal(difference_find(before, 2, after, 3, false, &items, &n), 0);
	assert_int_equal(n, 2);
	check(of(items, n, "a", 1), DIFFERENCE_GREW, false, 100, 130);
	check(of(items, n, "b", 1), DIFFERENCE_SAME, false, 8, 8);
}

/* After a rebuild two sites of one family are three: they are compared as a whole, and only with what has no code in common. */
static void another_version(void **state)
{
	struct difference_site before[] = {site("a", 1, 10, 100, 1), site("a", 2, 10, 11, 1),
					   site("a", 9, 10, 5, 1)},
			       after[] = {site("a", 6, 10, 100, 1), site("a", 7, 10, 100, 1),
					  site("a", 8, 10, 1, 1), site("a", 9, 10, 5, 1),
					  site("a", 5, 50, 3, 1)};
	_cleanup_free_ struct difference *items = NULL;
	size_t n;

	(void)state;
	assert_int_equal(difference_find(before, 3, after, 5, false, &items, &n), 0);
	assert_int_equal(n, 3);
	check(&items[0], DIFFERENCE_GREW, true, 111, 201);
	check(&items[1], DIFFERENCE_NEW, false, 0, 3);
	check(&items[2], DIFFERENCE_SAME, false, 5, 5);
}

static void kinds_differ(void **state)
{
	struct difference_site before[] = {site("a", 1, 10, 100, 1)},
			       after[] = {site("a", 1, 10, 100, 1)};
	_cleanup_free_ struct difference *items = NULL;
	size_t n;

	(void)state;
	after[0].kind = SITE_MMAP;
	assert_int_equal(difference_find(before, 1, after, 1, false, &items, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(items[0].change, DIFFERENCE_NEW);
	assert_int_equal(items[1].change, DIFFERENCE_GONE);
}

static void errors_of_sampling(void **state)
{
	struct difference_site before[] = {site("a", 1, 10, 100, 1)},
			       after[] = {site("a", 1, 10, 104, 1), site("a", 1, 10, 1, 1)};
	_cleanup_free_ struct difference *items = NULL;
	size_t n;

	(void)state;
	before[0].held.interval_bytes = 3;
	after[0].held.interval_bytes = 4;
	assert_int_equal(difference_find(before, 1, after, 2, false, &items, &n), 0);
	assert_int_equal(n, 1);
	assert_true(items[0].within_error); /* 5 +- 5 */
	free(items);
	items = NULL;
	after[0].held.bytes = 106;
	assert_int_equal(difference_find(before, 1, after, 1, false, &items, &n), 0);
	assert_false(items[0].within_error); /* 6 +- 5 */
}

static void nothing(void **state)
{
	_cleanup_free_ struct difference *items = NULL;
	size_t n;

	(void)state;
	assert_int_equal(difference_find(NULL, 0, NULL, 0, false, &items, &n), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_code),	cmocka_unit_test(ranked_by_count),
		cmocka_unit_test(programs),	cmocka_unit_test(another_version),
		cmocka_unit_test(kinds_differ), cmocka_unit_test(errors_of_sampling),
		cmocka_unit_test(nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
