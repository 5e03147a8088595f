// SPDX-License-Identifier: BSD-2-Clause
/* Errors at free as the kernel side tells them: alike ones are one, stacks are handed on once, the number is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collect/error_log.h"
#include "wire.h"

struct handed {
	size_t n;
	uint64_t ids[8];
};

static void keep(void *arg, uint64_t id, const struct wire_stack *stack)
{
	struct handed *h = arg;

	assert_int_equal(stack->n_frames, 2);
	h->ids[h->n++ % 8] = id;
}

static void drop(void *arg, uint64_t id)
{
	struct handed *h = arg;

	h->ids[h->n++ % 8] = id;
}

static void tell(struct error_log *log, uint32_t type, wire_instance instance, uint64_t stack)
{
	struct wire_error e = {
		.type = type,
		.instance = instance,
		.address = 0x1000 + stack,
		.time_ns = stack,
		.stack_id = stack,
		.block = {.size_bytes = 32, .site = 7, .family = WIRE_FAMILY_NEW},
		.family = WIRE_FAMILY_MALLOC,
		.stack = {.n_frames = 2},
	};

	assert_int_equal(error_log_take(log, &e, sizeof(e)), 0);
}

static void test_alike_are_one(void **state)
{
	struct error_log *log;
	struct snapshot s = {0}, again = {0};
	struct handed handed = {0};

	(void)state;
	assert_int_equal(error_log_create(-1, &log), 0);
	tell(log, WIRE_ERROR_INVALID, 1, 10);
	tell(log, WIRE_ERROR_INVALID, 1, 10);
	tell(log, WIRE_ERROR_INVALID, 2, 10);
	tell(log, WIRE_ERROR_MISMATCH, 1, 10);
	tell(log, WIRE_ERROR_INVALID, 1, 11);
	assert_int_equal(error_log_read(log, &s, keep, &handed), 0);
	assert_int_equal(s.errors.n, 4);
	assert_int_equal(s.errors.items[0].count, 2);
	assert_int_equal(s.errors.items[0].address, 0x1000 + 10);
	assert_int_equal(s.errors.items[0].allocated_with, 0);
	assert_int_equal(s.errors.items[2].allocated_with, FREE_FAMILY_NEW);
	assert_int_equal(s.errors.items[2].freed_with, FREE_FAMILY_MALLOC);
	assert_int_equal(s.errors.items[2].size_bytes, 32);
	assert_int_equal(handed.n, 4);
	assert_int_equal(handed.ids[3], 11);
	/* Known ones are told again, their stacks are not. */
	tell(log, WIRE_ERROR_INVALID, 1, 11);
	assert_int_equal(error_log_read(log, &again, keep, &handed), 0);
	assert_int_equal(again.errors.n, 4);
	assert_int_equal(again.errors.items[3].count, 2);
	assert_int_equal(handed.n, 4);
	snapshot_done(&s);
	snapshot_done(&again);
	error_log_destroy(log);
}

static void test_forget(void **state)
{
	struct error_log *log;
	struct snapshot s = {0};
	struct handed kept = {0}, dropped = {0};

	(void)state;
	assert_int_equal(error_log_create(-1, &log), 0);
	tell(log, WIRE_ERROR_INVALID, 1, 10);
	tell(log, WIRE_ERROR_INVALID, 2, 20);
	error_log_forget(log, 1, drop, &dropped);
	assert_int_equal(dropped.n, 1);
	assert_int_equal(dropped.ids[0], 10);
	assert_int_equal(error_log_read(log, &s, keep, &kept), 0);
	assert_int_equal(s.errors.n, 1);
	assert_int_equal(s.errors.items[0].instance, 2);
	assert_int_equal(kept.n, 1);
	snapshot_done(&s);
	error_log_destroy(log);
	error_log_destroy(NULL);
}

static void test_bound_and_garbage(void **state)
{
	struct error_log *log;
	struct wire_error unknown = {.type = FREE_ERROR_TYPES};
	struct snapshot s = {0};
	struct handed handed = {0};

	(void)state;
	assert_int_equal(error_log_create(-1, &log), 0);
	assert_int_equal(error_log_take(log, &unknown, sizeof(unknown)), 0);
	unknown.type = WIRE_ERROR_DOUBLE;
	assert_int_equal(error_log_take(log, &unknown, sizeof(unknown) - 1), 0);
	for (uint64_t i = 0; i < ERROR_LOG_MAX + 5; i++)
		tell(log, WIRE_ERROR_INVALID, 1, 100 + i);
	assert_int_equal(error_log_lost(log), 5);
	assert_int_equal(error_log_read(log, &s, keep, &handed), 0);
	assert_int_equal(s.errors.n, ERROR_LOG_MAX);
	snapshot_done(&s);
	error_log_destroy(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alike_are_one),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_bound_and_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
