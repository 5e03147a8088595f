// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "collect/capture.h"
#include "report_fixture.h"

static char path[] = "/tmp/test_capture.XXXXXX";

/* What a format makes of the calls that reading a capture leads to. */
struct rendering {
	const struct output_format *format;
	const struct output_options *options;
	FILE *f;
	int n_reports, n_ends, n_final;
	uint64_t first_offset;
	int stop_at_block; /* returned from the first block */
};

static int on_session(void *arg, const struct session *s)
{
	struct rendering *x = arg;

	return x->format && x->format->session ? x->format->session(x->f, x->options, s) : 0;
}

static int on_report(void *arg, const struct session *s, const struct report *r)
{
	struct rendering *x = arg;

	x->n_reports++;
	for (size_t i = 0; i < r->n_processes; i++)
		x->n_final += r->processes[i].final;
	return x->format ? x->format->report(x->f, x->options, s, r) : 0;
}

static int on_block(void *arg, const struct report *r, const struct block *b)
{
	struct rendering *x = arg;

	if (x->stop_at_block)
		return x->stop_at_block;
	if (!x->format || !x->format->block || !x->options->blocks)
		return 0;
	return x->format->block(x->f, x->options, r, b);
}

static int on_report_end(void *arg, const struct session *s, const struct report *r)
{
	struct rendering *x = arg;

	if (!x->format || !x->format->report_end)
		return 0;
	return x->format->report_end(x->f, x->options, s, r);
}

static int on_end(void *arg, const struct session *s, const struct session_end *e)
{
	struct rendering *x = arg;

	x->n_ends++;
	return x->format && x->format->end ? x->format->end(x->f, x->options, s, e) : 0;
}

static const struct capture_visitor visitor = {
	.session = on_session,
	.report = on_report,
	.block = on_block,
	.report_end = on_report_end,
	.end = on_end,
};

static void write_capture(const struct fixture *x)
{
	struct capture_writer *w;
	struct diag d = {0};

	assert_int_equal(capture_writer_create(path, &w, &d), 0);
	assert_int_equal(capture_write_session(w, &x->session), 0);
	for (size_t i = 0; i < FIXTURE_REPORTS; i++) {
		assert_int_equal(capture_write_report(w, &x->session, &x->reports[i]), 0);
		for (size_t b = 0; b < FIXTURE_BLOCKS; b++)
			assert_int_equal(capture_write_block(w, &x->reports[i], &x->blocks[b]), 0);
		assert_int_equal(capture_write_report_end(w, &x->session, &x->reports[i]), 0);
	}
	assert_int_equal(capture_write_end(w, &x->session, &x->end), 0);
	assert_int_equal(capture_writer_destroy(w), 0);
}

static void write_file(const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static unsigned char *read_file(size_t *ret_n)
{
	unsigned char *bytes = malloc(1 << 20);
	FILE *f = fopen(path, "r");

	*ret_n = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	return bytes;
}

/* The capture's records as plain text. */
static char *unzip(void)
{
	char *text = calloc(1, 1 << 20);
	gzFile f = gzopen(path, "r");

	assert_true(gzread(f, text, (1 << 20) - 1) > 0);
	assert_int_equal(gzclose(f), Z_OK);
	return text;
}

static char *render(const char *format, const struct output_options *o)
{
	struct rendering x = {.format = output_find(format), .options = o};
	struct diag d = {0};
	char *text = NULL;
	size_t n = 0;

	x.f = open_memstream(&text, &n);
	if (capture_read(path, &visitor, &x, &d))
		fail_msg("%s", d.text);
	assert_int_equal(x.n_ends, 1);
	fclose(x.f);
	return text;
}

static void formats_agree(const struct fixture *x)
{
	static const char *const formats[] = {"text", "ndjson", "folded"};
	static const struct output_options options[] = {
		{.top = 10, .blocks = true},
		{.top = 1, .by_count = true, .color = true, .width = 70, .verbose = true},
	};

	write_capture(x);
	for (size_t i = 0; i < ARRAY_SIZE(formats) * ARRAY_SIZE(options); i++) {
		const struct output_options *o = &options[i / ARRAY_SIZE(formats)];
		const char *format = formats[i % ARRAY_SIZE(formats)];
		char *from_capture = render(format, o), *direct = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&direct, &n);

		assert_int_equal(fixture_print(x, output_find(format), o, f), 0);
		fclose(f);
		assert_string_equal(from_capture, direct);
		free(from_capture);
		free(direct);
	}
}

static void every_format_is_the_same_from_a_capture(void **state)
{
	struct fixture x;

	(void)state;
	fixture_init(&x);
	for (enum report_mode mode = REPORT_EXACT; mode <= REPORT_SAMPLED_PAGES; mode++) {
		x.session.mode = mode;
		x.session.sample_interval = mode ? 524288 : 0;
		x.session.max_size_bytes = mode ? 1 << 30 : 0;
		x.sites[0][0].interval_bytes = mode ? 4711 : 0;
		formats_agree(&x);
	}
}

/* Also the lowest figures that a hostile file can have. */
static void marks_are_the_same_from_a_capture(void **state)
{
	struct mark mark = {.name = "warm", .sequence = 1};
	struct fixture x;

	(void)state;
	fixture_init(&x);
	mark.time_ns = x.reports[0].time_ns;
	for (size_t i = 0; i < FIXTURE_REPORTS; i++) {
		x.reports[i].mark = &mark;
		x.processes[i][0].since_mark = (struct since_mark){-12345, 678, 910};
		x.sites[i][0].since_mark = (struct since_mark){1 << 20, -3, 4};
		x.sites[i][1].since_mark = (struct since_mark){INT64_MIN, INT64_MIN, INT64_MAX};
	}
	formats_agree(&x);
}

static int keep_offset(void *arg, const struct session *s, const struct report *r)
{
	struct rendering *x = arg;

	(void)s;
	x->first_offset = r->sites[0].frames[3].offset;
	assert_null(r->sites[0].frames[3].module);
	assert_true(isnan(r->processes[1].growth_bytes_per_second));
	assert_true(r->sites[2].oldest_age_seconds < 0);
	return 0;
}

static void raw_addresses_and_unknowns_survive(void **state)
{
	const struct capture_visitor v = {.report = keep_offset};
	struct rendering x = {0};
	struct fixture fixture;
	struct stat st;

	(void)state;
	fixture_init(&fixture);
	write_capture(&fixture);
	assert_int_equal(capture_read(path, &v, &x, NULL), 0);
	assert_true(x.first_offset == 0xdeadbeefdeadbeef);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void plain_text_is_read_too(void **state)
{
	struct rendering x = {0};
	struct fixture fixture;
	char *text;

	(void)state;
	fixture_init(&fixture);
	write_capture(&fixture);
	text = unzip();
	write_file(text, strlen(text));
	assert_int_equal(capture_read(path, &visitor, &x, NULL), 0);
	assert_int_equal(x.n_reports, FIXTURE_REPORTS);
	free(text);
}

/* Cut after each byte: never taken for whole, never fewer reports than with a byte less, and what is last is marked so. */
static void cut_files_keep_their_reports(void **state)
{
	struct fixture fixture;
	unsigned char *bytes;
	int most = 0;
	size_t n;

	(void)state;
	fixture_init(&fixture);
	write_capture(&fixture);
	bytes = read_file(&n);
	for (size_t cut = 0; cut < n; cut++) {
		struct rendering x = {0};
		struct diag d = {0};

		write_file(bytes, cut);
		assert_int_equal(capture_read(path, &visitor, &x, &d), cut ? -ENODATA : -EBADMSG);
		assert_non_null(strstr(d.text, cut ? "cut short" : "empty, not a capture"));
		assert_true(x.n_reports >= most);
		if (x.n_reports == 1)
			assert_int_equal(x.n_final, 3);
		most = x.n_reports;
	}
	assert_int_equal(most, FIXTURE_REPORTS);
	free(bytes);
}

/* Every seventh bit flipped: it is noticed, or it was one that means nothing (in the gzip header, padding) and all is the same. */
static void flipped_bits_are_noticed(void **state)
{
	struct fixture fixture;
	size_t n, n_unnoticed = 0;
	unsigned char *bytes;
	char *text;

	(void)state;
	fixture_init(&fixture);
	write_capture(&fixture);
	bytes = read_file(&n);
	text = unzip();
	for (size_t bit = 0; bit < n * 8; bit += 7) {
		struct rendering x = {0};
		struct diag d = {0};
		int err;

		bytes[bit / 8] ^= 1 << bit % 8;
		write_file(bytes, n);
		err = capture_read(path, &visitor, &x, &d);
		assert_true(!err == !d.text[0]);
		if (!err) {
			char *same = unzip();

			assert_string_equal(same, text);
			free(same);
		}
		n_unnoticed += !err;
		bytes[bit / 8] ^= 1 << bit % 8;
	}
	assert_true(n_unnoticed < 20);
	free(bytes);
	free(text);
}

#define HEAD "{\"type\":\"capture\",\"version\":1,\"seep\":\"0.1.0\"}\n"
#define SESSION "{\"type\":\"session\",\"time\":\"2026-11-22T19:46:09.000Z\",\"schema\":1}\n"
#define END "{\"type\":\"end\",\"time\":null,\"why\":null,\"duration_seconds\":1,\"lost\":{}}\n"
#define PROCESS(members)                                                                             \
	"{\"type\":\"process\",\"process\":0,\"outstanding_bytes\":0,\"outstanding_allocations\":0," \
	"\"allocated_bytes\":0,\"freed_bytes\":0,\"allocations\":0,\"frees\":0," members "}\n"
#define MARK(members) "{\"type\":\"mark\",\"time\":\"2026-11-22T19:46:19.123Z\"," members "}\n"
#define SITE(members)                                                                               \
	"{\"type\":\"site\",\"process\":0,\"site\":\"1\",\"family\":\"1\",\"outstanding_bytes\":0," \
	"\"outstanding_allocations\":0,\"allocated_bytes\":0,\"freed_bytes\":0,\"allocations\":0,"  \
	"\"frees\":0," members "}\n"
#define BODY(records) HEAD SESSION records "{\"type\":\"report_end\",\"sequence\":1}\n" END

static void bad_input_has_its_own_message(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *message;
	} cases[] = {
		{HEAD SESSION END, 0, ""},
		{BODY(PROCESS("\"pid\":1")), 0, ""},
		{BODY(PROCESS("\"pid\":1,\"stacks\":null,\"truncated_stacks\":{}")), 0, ""},
		{BODY(PROCESS("\"pid\":1,\"stacks\":-1")), EBADMSG,
		 "process: 'stacks' is negative"},
		{BODY(PROCESS("\"pid\":1,\"truncated_stacks\":[]")), EBADMSG,
		 "process: 'truncated_stacks' is not an object"},
		{BODY(PROCESS("\"pid\":1,\"truncated_stacks\":{\"x\":0.5}")), EBADMSG,
		 "process: 'truncated_stacks' is not a whole number"},
		{BODY("{\"type\":\"of a later schema\",\"x\":[1]}\n"), 0, ""},
		{"hello\n", EBADMSG, ": not a capture (neither gzip nor JSON)"},
		{"{\"type\":\"session\"}\n", EBADMSG, ": not a capture"},
		{"{}\n", EBADMSG, ": not a capture"},
		{"{\"type\":\"capture\",\"version\":2,\"seep\":\"9.9\"}\n", ENOTSUP,
		 ": capture version 2, written by seep 9.9; this seep reads version 1"},
		{"{\"type\":\"capture\"}\n", EBADMSG, "capture: 'version' is missing"},
		{HEAD, ENODATA, "after line 1: the file is cut short; 0 reports"},
		{HEAD SESSION, ENODATA, "after line 2: the file is cut short"},
		{HEAD SESSION "{\"type\":\"end\"", ENODATA, "after line 2: the file is cut short"},
		{HEAD END, EBADMSG, "line 2: a record before the session"},
		{HEAD SESSION SESSION, EBADMSG, "line 3: a second session"},
		{HEAD SESSION END END, EBADMSG, "line 4: a record behind the end"},
		{HEAD SESSION "{]\n", EBADMSG, "line 3: not JSON: "},
		{HEAD SESSION "{\"a\":1,\"a\":2}\n", EBADMSG, "line 3: not JSON: duplicate"},
		{HEAD SESSION "[]\n", EBADMSG, "line 3: a record without a type"},
		{HEAD "{\"type\":\"session\",\"schema\":7}\n", EBADMSG, "'schema' is too large"},
		{HEAD "{\"type\":\"session\",\"schema\":1,\"time\":\"yesterday\"}\n", EBADMSG,
		 "session: 'time' is not a time"},
		{HEAD "{\"type\":\"session\",\"schema\":1,\"time\":\"2026-02-31T00:00:00.000Z\"}\n",
		 EBADMSG, "session: 'time' is not a time"},
		{HEAD "{\"type\":\"session\",\"schema\":1,\"time\":\"9999-01-01T00:00:00.000Z\"}\n",
		 EBADMSG, "session: 'time' is a time out of range"},
		{HEAD "{\"type\":\"session\",\"schema\":1,\"targets\":{}}\n", EBADMSG,
		 "session: 'targets' is not a list"},
		{HEAD "{\"type\":\"session\",\"schema\":1,\"targets\":[1]}\n", EBADMSG,
		 "session: 'targets' is not a string"},
		{HEAD "{\"type\":\"session\",\"schema\":1,\"sampling\":\"moon\"}\n", EBADMSG,
		 "'sampling' has a value that this version does not know"},
		{BODY(PROCESS("\"comm\":1")), EBADMSG, "line 3: process: 'pid' is missing"},
		{BODY(PROCESS("\"pid\":4294967296")), EBADMSG, "process: 'pid' is too large"},
		{BODY(PROCESS("\"pid\":-1")), EBADMSG, "process: 'pid' is negative"},
		{BODY(PROCESS("\"pid\":1.5")), EBADMSG, "process: 'pid' is not a whole number"},
		{BODY(PROCESS("\"pid\":99999999999999999999")), EBADMSG, "not JSON: too big"},
		{BODY(PROCESS("\"pid\":1,\"comm\":1")), EBADMSG, "'comm' is not a string"},
		{BODY(PROCESS("\"pid\":1,\"final\":1")), EBADMSG, "'final' is neither"},
		{BODY(PROCESS("\"pid\":1,\"rss_bytes\":\"1\"")), EBADMSG, "'rss_bytes' is not a"},
		{BODY(PROCESS("\"pid\":1,\"overhead_ratio\":{}")), EBADMSG, "is not a number"},
		{BODY(PROCESS("\"pid\":1,\"lost\":[]")), EBADMSG, "'lost' is not an object"},
		{BODY(PROCESS("\"pid\":1,\"lost\":{\"x\":null}")), EBADMSG,
		 "'lost' is not a whole"},
		{BODY(PROCESS("\"pid\":1,\"notes\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]")),
		 EBADMSG, "'notes' is too long"},
		{BODY(MARK("\"name\":\"a\",\"sequence\":1")), 0, ""},
		{BODY(MARK("\"name\":\"a\"")), EBADMSG, "mark: 'sequence' is missing"},
		{BODY(MARK("\"sequence\":1")), EBADMSG, "mark: 'name' is no name of a mark"},
		{BODY(MARK("\"name\":\"a\\u001b\",\"sequence\":1")), EBADMSG,
		 "mark: 'name' is no name of a mark"},
		{BODY(PROCESS("\"pid\":1,\"since_mark_allocations\":-1")), EBADMSG,
		 "'since_mark_allocations' is negative"},
		{BODY(PROCESS("\"pid\":1,\"since_mark_outstanding_bytes\":0.5")), EBADMSG,
		 "'since_mark_outstanding_bytes' is not a whole number"},
		{BODY(PROCESS("\"pid\":1") PROCESS("\"pid\":2")), EBADMSG,
		 "'process' is out of order"},
		{BODY(SITE("\"frames\":[]")), EBADMSG, "site: 'process' is no process"},
		{BODY(PROCESS("\"pid\":1") SITE("\"kind\":\"x\"")), EBADMSG, "'kind' has a value"},
		{BODY(PROCESS("\"pid\":1") SITE("\"frames\":[{}]")), EBADMSG,
		 "frame: 'address' is not a string of hex digits"},
		{BODY(PROCESS("\"pid\":1") SITE("\"frames\":[7]")), EBADMSG, "frame: 'address'"},
		{BODY(PROCESS("\"pid\":1") SITE("\"frames\":[{\"offset\":-1}]")), EBADMSG,
		 "frame: 'offset' is negative"},
		{BODY(PROCESS("\"pid\":1") SITE("\"frames\":[{\"address\":\"0xg\"}]")), EBADMSG,
		 "frame: 'address' is not a string of 1 to 16 hex digits"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rendering x = {0};
		struct diag d = {0};
		int err;

		write_file(cases[i].text, strlen(cases[i].text));
		err = capture_read(path, &visitor, &x, &d);
		if (err != -cases[i].err || !strstr(d.text, cases[i].message))
			fail_msg("%s: %d, %s", cases[i].text, err, d.text);
		if (err)
			assert_memory_equal(d.text, path, strlen(path));
	}
}

static void damage_leaves_the_reports_before_it(void **state)
{
	struct rendering x = {0};
	struct fixture fixture;
	struct diag d = {0};
	char *text;

	(void)state;
	fixture_init(&fixture);
	write_capture(&fixture);
	text = unzip();
	memcpy(strstr(text, "\"sequence\":2,\"elapsed"), "\"sequence\":x", 12);
	write_file(text, strlen(text));
	assert_int_equal(capture_read(path, &visitor, &x, &d), -EBADMSG);
	assert_non_null(strstr(d.text, "; 1 report before it could be used"));
	assert_int_equal(x.n_reports, 1);
	assert_int_equal(x.n_final, 3);
	free(text);
}

static void long_lines_and_deep_ones_are_refused(void **state)
{
	static char text[17 << 20];
	struct rendering x = {0};
	struct diag d = {0};
	size_t n = strlen(HEAD SESSION);

	(void)state;
	memset(text, '[', sizeof(text));
	memcpy(text, HEAD SESSION, n);
	write_file(text, sizeof(text));
	assert_int_equal(capture_read(path, &visitor, &x, &d), -EBADMSG);
	assert_non_null(strstr(d.text, "after line 2: the line is longer than 16 MiB"));
	text[1 << 20] = '\n';
	write_file(text, sizeof(text));
	assert_int_equal(capture_read(path, &visitor, &x, &d), -EBADMSG);
	assert_non_null(strstr(d.text, "line 3: not JSON: maximum parsing depth"));
}

static void more_behind_the_end_is_refused(void **state)
{
	struct rendering x = {0};
	struct fixture fixture;
	struct diag d = {0};
	FILE *f;

	(void)state;
	fixture_init(&fixture);
	write_capture(&fixture);
	f = fopen(path, "a");
	fputc(0, f);
	fclose(f);
	assert_int_equal(capture_read(path, &visitor, &x, &d), -EBADMSG);
	assert_non_null(strstr(d.text, "more behind the end of the gzip stream"));
	assert_int_equal(x.n_ends, 1);
}

static void the_visitor_can_stop(void **state)
{
	struct rendering x = {.stop_at_block = -EPIPE};
	struct fixture fixture;
	struct diag d = {0};

	(void)state;
	fixture_init(&fixture);
	write_capture(&fixture);
	assert_int_equal(capture_read(path, &visitor, &x, &d), -EPIPE);
	assert_string_equal(d.text, "");
	assert_int_equal(x.n_reports, 1);
}

static void files_that_cannot_be_used(void **state)
{
	struct capture_writer *w = NULL;
	struct fixture x;
	struct diag d = {0};

	(void)state;
	fixture_init(&x);
	assert_int_equal(capture_read("/nonexistent/x", &visitor, NULL, &d), -ENOENT);
	assert_string_equal(d.text, "/nonexistent/x: cannot read it: No such file or directory");
	assert_int_equal(capture_read("/tmp", &visitor, NULL, &d), -EISDIR);
	assert_int_equal(capture_writer_create("/nonexistent/x", &w, &d), -ENOENT);
	assert_null(w);
	assert_int_equal(capture_writer_create("/dev/full", &w, &d), 0);
	assert_int_equal(capture_write_session(w, &x.session), -ENOSPC);
	assert_int_equal(capture_write_report(w, &x.session, &x.reports[0]), -ENOSPC);
	assert_int_equal(capture_writer_destroy(w), -ENOSPC);
	assert_int_equal(capture_writer_destroy(NULL), 0);
}

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_is_the_same_from_a_capture),
		cmocka_unit_test(marks_are_the_same_from_a_capture),
		cmocka_unit_test(raw_addresses_and_unknowns_survive),
		cmocka_unit_test(plain_text_is_read_too),
		cmocka_unit_test(cut_files_keep_their_reports),
		cmocka_unit_test(flipped_bits_are_noticed),
		cmocka_unit_test(bad_input_has_its_own_message),
		cmocka_unit_test(damage_leaves_the_reports_before_it),
		cmocka_unit_test(long_lines_and_deep_ones_are_refused),
		cmocka_unit_test(more_behind_the_end_is_refused),
		cmocka_unit_test(the_visitor_can_stop),
		cmocka_unit_test(files_that_cannot_be_used),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
