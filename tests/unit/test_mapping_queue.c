// SPDX-License-Identifier: BSD-2-Clause
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "collect/mapping_queue.h"

#define DEADLINE_MS 60000

/* Numbered records of many sizes; those in [n_moved, n_there) wait. */
struct source {
	int fd;
	_Atomic uint64_t n_there, n_moved;
	size_t most_bytes; /* of a record */
	uint64_t n_passed; /* the consumer's */
	struct mapping_queue *queue;
	unsigned char record[MAPPING_RECORD_MAX];
};

static size_t size_of(const struct source *s, uint64_t i)
{
	return s->most_bytes == 100 ? 100 : 8 + i * 7919 % (s->most_bytes - 8);
}

static unsigned char byte_of(uint64_t i, size_t at)
{
	return (unsigned char)(i * 31 + at);
}

static void fill(void *arg, struct mapping_queue *q)
{
	struct source *s = arg;

	while (s->n_moved < s->n_there) {
		uint64_t i = s->n_moved;
		size_t n = size_of(s, i);

		for (size_t at = 0; at < n; at++)
			s->record[at] = byte_of(i, at);
		if (!mapping_queue_put(q, s->record, n))
			return;
		s->n_moved++;
	}
}

static void pass(void *arg, void *record, size_t n)
{
	struct source *s = arg;
	const unsigned char *bytes = record;
	uint64_t i = s->n_passed++;

	assert_int_equal(n, size_of(s, i));
	for (size_t at = 0; at < n; at++)
		assert_int_equal(bytes[at], byte_of(i, at));
}

static void offer(struct source *s, uint64_t n)
{
	s->n_there += n;
	eventfd_write(s->fd, 1);
}

static struct source *source_create(size_t queue_bytes, size_t most_bytes)
{
	struct source *s = calloc(1, sizeof(*s));
	struct diag d = {0};

	assert_non_null(s);
	s->most_bytes = most_bytes;
	s->fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(mapping_queue_create(queue_bytes, s->fd, fill, s, &s->queue, &d), 0);
	return s;
}

static void source_destroy(struct source *s)
{
	mapping_queue_destroy(s->queue);
	close(s->fd);
	free(s);
}

static bool is_readable(const struct source *s, int timeout_ms)
{
	struct pollfd ready = {.fd = mapping_queue_fd(s->queue), .events = POLLIN};

	return poll(&ready, 1, timeout_ms) == 1;
}

/* The thread moves what fits while nobody takes it, and no more than that; all the rest comes later, in order. */
static void what_waits_is_bounded(void **state)
{
	struct source *s = source_create(10 * 104 + 50, 100);

	(void)state;
	offer(s, 25);
	assert_true(is_readable(s, DEADLINE_MS));
	mapping_queue_hold(s->queue);
	assert_int_equal(s->n_moved, 10);
	mapping_queue_go_on(s->queue);
	mapping_queue_drain(s->queue, pass, s);
	assert_int_equal(s->n_passed, 25);
	source_destroy(s);
}

/* Without waiting for the thread. */
static void a_drain_passes_all_that_came_before(void **state)
{
	struct source *s = source_create(1 << 12, 300);

	(void)state;
	for (uint64_t i = 1; i < 200; i++) {
		s->n_there++;
		mapping_queue_drain(s->queue, pass, s);
		assert_int_equal(s->n_passed, i);
	}
	source_destroy(s);
}

/* A drain ends although the source is never empty, and says that there is more. */
static void more_than_a_drain_takes_is_told(void **state)
{
	struct source *s = source_create(104, 100);

	(void)state;
	s->n_there = 1000;
	mapping_queue_drain(s->queue, pass, s);
	assert_in_range(s->n_passed, 1, 999);
	while (s->n_passed < 1000) {
		assert_true(is_readable(s, DEADLINE_MS));
		mapping_queue_drain(s->queue, pass, s);
	}
	source_destroy(s);
}

static void what_cannot_fit_is_refused(void **state)
{
	struct source *s = source_create(200, 100);
	static const char big[MAPPING_RECORD_MAX + 1];

	(void)state;
	mapping_queue_hold(s->queue);
	assert_false(mapping_queue_put(s->queue, big, 197));
	assert_false(mapping_queue_put(s->queue, big, sizeof(big)));
	mapping_queue_go_on(s->queue);
	source_destroy(s);
	s = source_create(1 << 20, 100);
	mapping_queue_hold(s->queue);
	assert_false(mapping_queue_put(s->queue, big, sizeof(big)));
	assert_true(mapping_queue_put(s->queue, big, MAPPING_RECORD_MAX));
	mapping_queue_go_on(s->queue);
	source_destroy(s);
}

#define STORM 100000

static void *blow(void *arg)
{
	for (unsigned i = 0; i < STORM / 10; i++)
		offer(arg, 10);
	return NULL;
}

/* Three threads at once: who offers, the queue's, and a consumer that is slow at times. */
static void a_storm_keeps_its_order(void **state)
{
	struct source *s = source_create(3000, 200);
	eventfd_t unused;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, blow, s), 0);
	while (s->n_passed < STORM) {
		assert_true(is_readable(s, DEADLINE_MS));
		eventfd_read(s->fd, &unused);
		mapping_queue_drain(s->queue, pass, s);
		if (s->n_passed % 7 == 0)
			usleep(100);
	}
	pthread_join(thread, NULL);
	assert_int_equal(s->n_passed, STORM);
	assert_false(is_readable(s, 0) && s->n_there != STORM);
	source_destroy(s);
}

static void one_with_a_backlog_can_be_destroyed(void **state)
{
	struct source *s = source_create(1000, 100);

	(void)state;
	offer(s, 1000);
	source_destroy(s);
	mapping_queue_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_is_bounded),
		cmocka_unit_test(a_drain_passes_all_that_came_before),
		cmocka_unit_test(more_than_a_drain_takes_is_told),
		cmocka_unit_test(what_cannot_fit_is_refused),
		cmocka_unit_test(a_storm_keeps_its_order),
		cmocka_unit_test(one_with_a_backlog_can_be_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
