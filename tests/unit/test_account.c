// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/memory.h"
#include "process/resident.h"
#include "reach/account.h"
#include "reach/glibc_heap.h"

static void reads_smaps(void **state)
{
	char text[] = "55c1b5c85000-55c1b5c99000 r-xp 00003000 fe:00 248030   /usr/bin/a b\n"
		      "Size:                 80 kB\nRss:                  40 kB\n"
		      "Anonymous:             8 kB\nSwap:                  4 kB\nVmFlags: rd ex\n"
		      "55c1b5c99000-55c1b5c9f000 rw-s 00000000 00:01 77 /memfd:x (deleted)\n"
		      "Rss:                   4 kB\n"
		      "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n"
		      "Rss:                  12 kB\nAnonymous:            12 kB\n"
		      "7ffc1b9ec000-7ffc1ba0d000 rw-p 00000000 00:00 0       [stack]\n";
	struct resident r;
	struct diag d = {0};

	(void)state;
	assert_int_equal(resident_parse(text, &r, &d), 0);
	assert_int_equal(r.n, 4);
	assert_int_equal(r.items[0].kind, RESIDENT_FILE);
	assert_int_equal(r.items[0].start, 0x55c1b5c85000);
	assert_int_equal(r.items[0].end, 0x55c1b5c99000);
	assert_int_equal(r.items[0].rss_bytes, 40 << 10);
	assert_int_equal(r.items[0].anonymous_bytes, 8 << 10);
	assert_int_equal(r.items[0].swap_bytes, 4 << 10);
	assert_int_equal(r.items[1].kind, RESIDENT_SHARED);
	assert_int_equal(r.items[2].kind, RESIDENT_PLAIN);
	assert_int_equal(r.items[2].rss_bytes, 12 << 10);
	assert_int_equal(r.items[3].kind, RESIDENT_STACK);
	assert_int_equal(r.items[3].rss_bytes, 0);
	resident_done(&r);
}

static void refuses_what_is_no_smaps(void **state)
{
	static const char *const texts[] = {"Rss: 4 kB\n", "xyz\n", "10-20\n",
					    "20-10 rw-p 0 0:0 0 \n",
					    "10-20 rw-p 0 0:0 0 \nRss: 1 kB\nnothing\n"};
	struct resident r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct diag d = {0};
		char text[64];

		snprintf(text, sizeof(text), "%s", texts[i]);
		assert_int_equal(resident_parse(text, &r, &d), -EINVAL);
		assert_non_null(strstr(d.text, "line"));
	}
}

static uint64_t sum(const struct memory_account *m)
{
	return m->outstanding_bytes + m->rounding_bytes + m->before_bytes + m->cached_bytes +
	       m->free_bytes + m->own_bytes - m->untouched_bytes + m->stack_bytes +
	       m->anonymous_bytes + m->file_bytes + m->shared_bytes;
}

static struct heap_chunk chunks[] = {{0x1010, 0x30, HEAP_USED},	   {0x1040, 0x40, HEAP_USED},
				     {0x1080, 0x50, HEAP_TCACHED}, {0x10d0, 0x60, HEAP_FAST},
				     {0x1130, 0x70, HEAP_FREE},	   {0x11a0, 0xe60, HEAP_TOP},
				     {0x8010, 0x2000, HEAP_MAPPED}};

static void adds_up(void **state)
{
	struct glibc_heap heap = {chunks, ARRAY_SIZE(chunks), .own_bytes = 5, .unparsed_bytes = 2};
	struct resident_mapping mappings[] = {
		{0x1000, 0x2000, RESIDENT_PLAIN, 0x1000, 0x1000, 0},
		{0x8000, 0xa000, RESIDENT_PLAIN, 0x1000, 0x1000, 0},
		{0xb000, 0xc000, RESIDENT_PLAIN, 0x700, 0x700, 0},
		{0xd000, 0xe000, RESIDENT_FILE, 0x500, 0x100, 0},
		{0xe000, 0xf000, RESIDENT_SHARED, 0x300, 0, 0},
		{0xf000, 0x10000, RESIDENT_STACK, 0x200, 0x200, 0},
	};
	struct resident resident = {mappings, ARRAY_SIZE(mappings)};
	/* One is recorded, one was freed meanwhile, one is another allocator's. */
	struct account_block blocks[] = {{0xb123, 99}, {0x1130, 8}, {0x1010, 0x21}};
	struct memory_account m;

	(void)state;
	account_memory(&heap, &resident, blocks, ARRAY_SIZE(blocks), &m);
	assert_int_equal(m.resident_bytes, 0x1000 + 0x1000 + 0x700 + 0x500 + 0x300 + 0x200);
	assert_int_equal(sum(&m), m.resident_bytes);
	assert_int_equal(m.outstanding_bytes, 0x21);
	assert_int_equal(m.outstanding_allocations, 1);
	assert_int_equal(m.rounding_bytes, 0x30 - 0x21);
	assert_int_equal(m.before_bytes, 0x40 + 0x2000);
	assert_int_equal(m.before_allocations, 2);
	assert_int_equal(m.cached_bytes, 0x50 + 0x60);
	assert_int_equal(m.free_bytes, 0x70 + 0xe60);
	assert_int_equal(m.own_bytes, 7);
	assert_int_equal(m.elsewhere_bytes, 99);
	assert_int_equal(m.anonymous_bytes, 0x700 + 0x100);
	assert_int_equal(m.file_bytes, 0x400);
	assert_int_equal(m.shared_bytes, 0x300);
	assert_int_equal(m.stack_bytes, 0x200);
	/* The chunks are 0xff0 and 0x2000 bytes long. */
	assert_int_equal(m.untouched_bytes, 0xff0 + 7 + 0x2000 - 0x2000);
}

/* Something else in the mapping of a chunk. */
static void shares_a_mapping(void **state)
{
	struct glibc_heap heap = {&chunks[6], 1};
	struct resident_mapping mappings[] = {{0x8000, 0x20000, RESIDENT_PLAIN, 0x9000, 0x9000, 0}};
	struct resident resident = {mappings, 1};
	struct memory_account m;

	(void)state;
	account_memory(&heap, &resident, NULL, 0, &m);
	assert_int_equal(sum(&m), 0x9000);
	assert_int_equal(m.before_bytes, 0x2000);
	assert_int_equal(m.anonymous_bytes, 0x7000);
	assert_int_equal(m.untouched_bytes, 0);
}

static void without_a_heap(void **state)
{
	struct glibc_heap heap = {0};
	struct resident resident = {0};
	struct account_block block = {0x1000, 10};
	struct memory_account m;

	(void)state;
	account_memory(&heap, &resident, &block, 1, &m);
	assert_int_equal(m.elsewhere_bytes, 10);
	assert_int_equal(sum(&m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_smaps),	  cmocka_unit_test(refuses_what_is_no_smaps),
		cmocka_unit_test(adds_up),	  cmocka_unit_test(shares_a_mapping),
		cmocka_unit_test(without_a_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
