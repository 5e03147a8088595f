// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collect/watch_records.h"
#include "wire.h"

#define PAGE 4096
#define KERNEL_NO_LIMIT (LONG_MAX / PAGE)

/* What a pass writes. */
struct stream {
	_Alignas(8) char bytes[4096];
	size_t n;
};

static void put(struct stream *s, const void *record, size_t size)
{
	assert_true(s->n + size <= sizeof(s->bytes));
	memcpy(s->bytes + s->n, record, size);
	s->n += size;
}

static void put_task(struct stream *s, uint32_t pid, uint64_t cpu_ns, int32_t anon_pages)
{
	struct wire_watch_task task = {.kind = WIRE_WATCH_TASK, .pid = pid, .cpu_ns = cpu_ns};

	task.pages[WIRE_WATCH_ANON] = anon_pages;
	put(s, &task, sizeof(task));
}

static void put_process(struct stream *s, uint32_t pid, uint64_t cpu_ns, int64_t anon_pages,
			uint32_t cgroup)
{
	struct wire_watch_process process = {
		.task = {.kind = WIRE_WATCH_PROCESS, .pid = pid, .cpu_ns = cpu_ns},
		.ended_cpu_ns = 1000,
		.start_boottime_ns = pid * 10,
		.comm = "sixteen-letters!",
		.cgroup = cgroup,
	};

	process.pages[WIRE_WATCH_ANON] = anon_pages;
	put(s, &process, sizeof(process));
}

static void put_cgroup(struct stream *s, uint32_t index, uint64_t limit_pages)
{
	struct wire_watch_cgroup cgroup = {
		.kind = WIRE_WATCH_CGROUP,
		.index = index,
		.id = 100 + index,
		.pages = 7,
		.limit_pages = limit_pages,
		.limit_used_pages = 9,
	};

	put(s, &cgroup, sizeof(cgroup));
}

static int parse(struct watch_records *r, const struct stream *s)
{
	struct diag d = {0};
	size_t used;
	int err;

	r->page_bytes = PAGE;
	watch_records_begin(r);
	err = watch_records_add(r, s->bytes, s->n, &used, &d);
	if (err)
		return err;
	assert_int_equal(used, s->n);
	watch_records_end(r);
	return 0;
}

static void threads_add_to_their_process(void **state)
{
	struct watch_records r = {0};
	struct stream s = {0};

	(void)state;
	put_task(&s, 7, 5, 1); /* ids wrap around: a thread can come before its process */
	put_process(&s, 3, 50, 10, WIRE_WATCH_NO_CGROUP);
	put_task(&s, 3, 20, -2);
	put_process(&s, 7, 1, -4, WIRE_WATCH_NO_CGROUP);
	put_task(&s, 3, 30, 0);
	put_task(&s, 8, 30, 0); /* ended before its process was seen */
	assert_int_equal(parse(&r, &s), 0);
	assert_int_equal(r.processes.n, 2);
	assert_int_equal(r.processes.items[0].pid, 3);
	assert_int_equal(r.processes.items[0].cpu_ns, 1000 + 50 + 20 + 30);
	assert_int_equal(r.processes.items[0].anon_bytes, 8 * PAGE);
	assert_memory_equal(r.processes.items[0].comm, "sixteen-letters!", 16);
	assert_int_equal(r.processes.items[1].cpu_ns, 1000 + 1 + 5);
	assert_int_equal(r.processes.items[1].anon_bytes, 0); /* never below */
	watch_records_done(&r);
}

static void process_without_its_first_thread(void **state)
{
	struct watch_records r = {0};
	struct stream s = {0};

	(void)state;
	put_process(&s, 3, 1, 30, WIRE_WATCH_NO_CGROUP);
	put_task(&s, 5, 40, 0); /* the thread that has ended */
	put_process(&s, 5, 2, 50, WIRE_WATCH_NO_CGROUP);
	put_process(&s, 5, 3, 50, WIRE_WATCH_NO_CGROUP);
	put_process(&s, 9, 4, 90, WIRE_WATCH_NO_CGROUP);
	put_process(&s, 5, 5, 50, WIRE_WATCH_NO_CGROUP);
	put_process(&s, 5, 6, 50, WIRE_WATCH_NO_CGROUP);
	put_process(&s, 11, 7, 110, WIRE_WATCH_NO_CGROUP);
	put_task(&s, 11, 8, 0);
	put_process(&s, 5, 9, 50, WIRE_WATCH_NO_CGROUP);
	assert_int_equal(parse(&r, &s), 0);
	assert_int_equal(r.processes.n, 4);
	assert_int_equal(r.processes.items[1].pid, 5);
	assert_int_equal(r.processes.items[1].anon_bytes, 50 * PAGE);
	assert_int_equal(r.processes.items[1].cpu_ns, 1000 + 40 + 2 + 3 + 5 + 6 + 9);
	assert_int_equal(r.processes.items[3].cpu_ns, 1000 + 7 + 8);
	watch_records_done(&r);
}

static void limits_of_cgroups(void **state)
{
	struct watch_records r = {0};
	struct stream s = {0};

	(void)state;
	put_cgroup(&s, 0, KERNEL_NO_LIMIT);
	put_process(&s, 3, 0, 0, 0);
	put_cgroup(&s, 1, 1000);
	put_process(&s, 4, 0, 0, 1);
	put_process(&s, 5, 0, 0, 0);
	for (unsigned pass = 0; pass < 2; pass++) {
		assert_int_equal(parse(&r, &s), 0);
		assert_int_equal(r.cgroups.n, 2);
		assert_int_equal(r.cgroups.items[0].limit_bytes, 0);
		assert_int_equal(r.cgroups.items[0].limit_current_bytes, 0);
		assert_int_equal(r.cgroups.items[0].current_bytes, 7 * PAGE);
		assert_int_equal(r.cgroups.items[1].id, 101);
		assert_int_equal(r.cgroups.items[1].limit_bytes, 1000 * PAGE);
		assert_int_equal(r.cgroups.items[1].limit_current_bytes, 9 * PAGE);
		assert_int_equal(r.processes.n, 3);
		assert_int_equal(r.processes.items[1].cgroup, 1);
		assert_int_equal(r.processes.items[2].cgroup, 0);
	}
	watch_records_done(&r);
}

/* Whatever the reads' boundaries are. */
static void records_in_pieces(void **state)
{
	struct stream s = {0};

	(void)state;
	put_cgroup(&s, 0, 1000);
	put_process(&s, 3, 50, 10, 0);
	put_task(&s, 3, 20, 1);
	put_process(&s, 4, 1, 2, 0);
	for (size_t size = 8; size <= s.n; size += 8) {
		struct watch_records r = {.page_bytes = PAGE};
		size_t at = 0, end = 0, used;

		watch_records_begin(&r);
		while (end < s.n) {
			end = end + size < s.n ? end + size : s.n;
			assert_int_equal(watch_records_add(&r, s.bytes + at, end - at, &used, NULL),
					 0);
			at += used;
		}
		assert_int_equal(at, s.n);
		watch_records_end(&r);
		assert_int_equal(r.processes.n, 2);
		assert_int_equal(r.processes.items[0].cpu_ns, 1000 + 50 + 20);
		assert_int_equal(r.processes.items[0].anon_bytes, 11 * PAGE);
		watch_records_done(&r);
	}
}

static void what_is_no_record(void **state)
{
	struct watch_records r = {0};
	struct stream s = {0};

	(void)state;
	put_process(&s, 3, 0, 0, 0); /* its cgroup has not come */
	assert_int_equal(parse(&r, &s), -EPROTO);
	s.n = 0;
	put_cgroup(&s, 1, 0);
	assert_int_equal(parse(&r, &s), -EPROTO);
	s.n = 0;
	put_task(&s, 3, 0, 0);
	s.bytes[0] = 77;
	assert_int_equal(parse(&r, &s), -EPROTO);
	s.n = 0;
	assert_int_equal(parse(&r, &s), 0);
	assert_int_equal(r.processes.n, 0);
	watch_records_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_add_to_their_process),
		cmocka_unit_test(process_without_its_first_thread),
		cmocka_unit_test(limits_of_cgroups),
		cmocka_unit_test(records_in_pieces),
		cmocka_unit_test(what_is_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
