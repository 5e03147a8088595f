/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_REPORT_FIXTURE_H
#define SEEP_TESTS_REPORT_FIXTURE_H
/* A session of two reports that has each kind of thing in it: several processes, one of them ended, hostile names, unknown
 * values, losses, blocks. Writable, so that a test can change one thing. */
#include <math.h>

#include "base/cleanup.h"
#include "model/memory.h"
#include "model/report.h"
#include "output/output.h"

#define FIXTURE_START_NS (1795376769ULL * 1000000000) /* 2026-11-22T19:46:09Z */
#define FIXTURE_REPORTS 2
#define FIXTURE_BLOCKS 3

struct fixture {
	struct session session;
	struct report reports[FIXTURE_REPORTS];
	struct process_report processes[FIXTURE_REPORTS][3];
	struct site sites[FIXTURE_REPORTS][5];
	struct loss process_losses[2], report_losses[1], end_losses[1];
	struct loss truncated[3];
	struct block blocks[FIXTURE_BLOCKS];
	struct session_end end;
};

static const struct frame fixture_leak[] = {
	{.function = "std::vector<char, std::allocator<char> >::reserve(unsigned long)",
	 .module = "/srv/bin/api-server",
	 .build_id = "00112233445566778899aabbccddeeff00112233",
	 .offset = 0x1234,
	 .file = "/usr/include/c++/12/bits/vector.tcc",
	 .line = 67,
	 .inlined = true},
	{.function = "session_parse_cookie",
	 .module = "/srv/bin/api-server",
	 .build_id = "00112233445566778899aabbccddeeff00112233",
	 .offset = 0x1234,
	 .file = "/src/api/session.c",
	 .line = 188},
	{.module = "/usr/lib/x86_64-linux-gnu/libc.so.6", .offset = 0x27249},
	{.offset = 0xdeadbeefdeadbeef},
};

/* A terminal's title sequence, a semicolon, quotes, a broken UTF-8 byte, a right-to-left override. */
static const struct frame fixture_hostile[] = {
	{.function = "evil\033]0;owned\007;\"\\\n\xff\xe2\x80\xae"
		     "cod.c",
	 .module = "/tmp/a;b c\n.so",
	 .offset = 16,
	 .file = "\xc3\xa4.c",
	 .line = 4294967295u},
};

static const char *const fixture_targets[] = {"pid 1234", "command ./wörker"};
static const char *const fixture_capabilities[] = {"link:session", "task_storage"};

static const struct memory_account fixture_memory = {
	.resident_bytes = 120 << 20,
	.outstanding_bytes = 5 << 20,
	.outstanding_allocations = 1024,
	.rounding_bytes = 8 << 10,
	.before_bytes = 100 << 20,
	.before_allocations = 31415,
	.cached_bytes = 416,
	.untouched_bytes = 4 << 20,
	.file_bytes = 19 << 20,
	.elsewhere_bytes = 3,
};

static struct site fixture_site(uint32_t process, uint64_t id, uint64_t bytes, uint64_t count)
{
	return (struct site){
		.survival = {NAN, 1, 0.0625, 0},
		.process = process,
		.fingerprint = id,
		.family = id ^ 0xf,
		.kind = SITE_MALLOC,
		.outstanding_bytes = bytes,
		.outstanding_allocations = count,
		.allocated_bytes = bytes * 3 + 7,
		.allocations = count * 3 + 1,
		.freed_bytes = bytes * 2 + 7,
		.frees = count * 2 + 1,
		.oldest_age_seconds = 9.876543210123,
		.median_age_seconds = 0.25,
		.growth_bytes_per_second = 1234567.125,
		.confidence = 0.5,
		.verdict = "unknown",
		.frames = fixture_leak,
		.n_frames = ARRAY_SIZE(fixture_leak),
	};
}

static struct process_report fixture_process(uint32_t pid, const char *comm, const struct site *s,
					     size_t n)
{
	struct process_report p = {
		.pid = pid,
		.start_ns = FIXTURE_START_NS - 3600ULL * 1000000000,
		.comm = comm,
		.exe = "/srv/bin/api-server",
		.growth_bytes_per_second = NAN,
		.seconds_to_limit = NAN,
		.overhead_ratio = NAN,
		.verdict = "unknown",
	};

	for (size_t i = 0; i < n; i++) {
		p.outstanding_bytes += s[i].outstanding_bytes;
		p.outstanding_allocations += s[i].outstanding_allocations;
		p.allocated_bytes += s[i].allocated_bytes;
		p.allocations += s[i].allocations;
		p.freed_bytes += s[i].freed_bytes;
		p.frees += s[i].frees;
	}
	return p;
}

static void fixture_fill_report(struct fixture *x, size_t i)
{
	struct site *s = x->sites[i];
	struct process_report *p = x->processes[i];

	s[0] = fixture_site(0, 0x9f8e7d6c5b4a3921, 4194304 + i * 1048576, 1024);
	s[1] = fixture_site(0, 2, 4096, 2);
	s[1].frames = fixture_hostile;
	s[1].n_frames = ARRAY_SIZE(fixture_hostile);
	s[1].kind = SITE_MMAP;
	s[1].truncated = "too deep";
	s[2] = fixture_site(0, 3, 0, 0);
	s[2].oldest_age_seconds = s[2].median_age_seconds = -1;
	s[2].growth_bytes_per_second = NAN;
	s[3] = fixture_site(1, 0, 7, 1);
	s[3].n_frames = 0;
	s[3].frames = NULL;
	p[0] = fixture_process(1234, "api-server", s, 3);
	p[0].container = "docker/0123456789ab";
	p[0].pod = "web-1";
	p[0].namespace_ = "prod";
	p[0].rss_bytes = 120 << 20;
	p[0].memory = &fixture_memory;
	p[0].limit_bytes = 512 << 20;
	p[0].growth_bytes_per_second = 1048576.1;
	p[0].seconds_to_limit = 0.1 + 0.2;
	p[0].overhead_ratio = 1.0 / 3;
	p[0].seen_from_seconds = 3590;
	p[0].unknown_frees = 12;
	p[0].inherited_frees = 3456789;
	p[0].notes[0] = "files without symbols: /opt/x\ty.so";
	p[0].n_notes = 1;
	p[0].losses = x->process_losses;
	p[0].n_losses = ARRAY_SIZE(x->process_losses);
	p[0].n_stacks = p[0].allocations;
	p[0].truncated = x->truncated;
	p[0].n_truncated = ARRAY_SIZE(x->truncated);
	p[1] = fixture_process(1235,
			       "w\xff"
			       "rker",
			       s + 3, 1);
	p[1].final = true;
	p[1].ended = i ? "exit" : "exec";
	p[1].exit_status = i ? 11 : 0;
	p[2] = fixture_process(1235, NULL, NULL, 0);
	p[2].exe = NULL;
	p[2].start_ns = 0;
	p[0].final = p[2].final = i == FIXTURE_REPORTS - 1;
	x->reports[i] = (struct report){
		.time_ns = FIXTURE_START_NS + (i + 1) * 5000000000ULL + 123000000,
		.elapsed_seconds = (i + 1) * 5.123,
		.sequence = i + 1,
		.processes = p,
		.n_processes = 3,
		.sites = s,
		.n_sites = 4,
		.map_bytes = 3 << 20,
		.losses = x->report_losses,
		.n_losses = 1,
	};
}

static inline void fixture_init(struct fixture *x)
{
	*x = (struct fixture){
		.session = {.schema = 1,
			    .version = "0.1.0",
			    .kernel = "6.18.0",
			    .hostname = "web-1",
			    .start_ns = FIXTURE_START_NS,
			    .targets = fixture_targets,
			    .n_targets = 2,
			    .capabilities = fixture_capabilities,
			    .n_capabilities = 2},
		.process_losses = {{"live_map_full", 1234567}, {"some\nnew_cause", 1}},
		.report_losses = {{"process_ring_full", 2}},
		.end_losses = {{"live_map_full", 1234567}},
		.truncated = {{"too_deep", 31}, {"read_fault", 2}, {"some\nnew_reason", 1}},
		.blocks = {{0, 0x7f0000001000, 4096, 1.5, 2, -1},
			   {0, 0x55aa00000010, 1, 0, 0x9f8e7d6c5b4a3921, 1},
			   {1, 0xffffffffffffff00, 7, -1, 0, 0}},
		.end = {.time_ns = FIXTURE_START_NS + 10500000000ULL,
			.why = "interrupted",
			.duration_seconds = 10.5},
	};
	x->end.losses = x->end_losses;
	x->end.n_losses = 1;
	for (size_t i = 0; i < FIXTURE_REPORTS; i++)
		fixture_fill_report(x, i);
}

/* The whole session to f. Returns 0 or what the format returned. */
static inline int fixture_print(const struct fixture *x, const struct output_format *format,
				const struct output_options *o, FILE *f)
{
	int err = format->session ? format->session(f, o, &x->session) : 0;

	for (size_t i = 0; !err && i < FIXTURE_REPORTS; i++) {
		const struct report *r = &x->reports[i];

		err = format->report(f, o, &x->session, r);
		for (size_t b = 0; !err && o->blocks && format->block && b < FIXTURE_BLOCKS; b++)
			err = format->block(f, o, r, &x->blocks[b]);
		if (!err && format->report_end)
			err = format->report_end(f, o, &x->session, r);
	}
	return err || !format->end ? err : format->end(f, o, &x->session, &x->end);
}

#endif
