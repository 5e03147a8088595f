// SPDX-License-Identifier: BSD-2-Clause
/* What FORMATS.md asks of a pprof profile, checked by a decoder that shares nothing with the encoder. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "output/escape.h"
#include "output/pprof.h"
#include "report_fixture.h"

#define UNPACKED_MAX (8u << 20)

struct span {
	const unsigned char *at, *end;
};

struct field {
	unsigned number;
	uint64_t value;	  /* of a varint */
	struct span span; /* of all else */
};

/* What is known of a profile after its decoding. */
struct profile {
	unsigned char *bytes;
	size_t n_bytes;
	struct span strings[100000];
	size_t n_strings, n_samples, n_mappings, n_locations, n_functions, n_comments;
	uint64_t types[8];
	size_t n_types;
	uint64_t default_type, period, time_ns;
	uint64_t sums[4], other;
	bool has_duration;
};

static uint64_t take_varint(struct span *s)
{
	uint64_t value = 0;

	for (unsigned shift = 0;; shift += 7) {
		assert_true(s->at < s->end && shift < 64);
		value |= (uint64_t)(*s->at & 0x7f) << shift;
		if (!(*s->at++ & 0x80))
			return value;
	}
}

static bool take_field(struct span *s, struct field *f)
{
	uint64_t tag;

	if (s->at == s->end)
		return false;
	tag = take_varint(s);
	f->number = tag >> 3;
	f->value = take_varint(s);
	f->span = (struct span){0};
	assert_true((tag & 7) == 0 || (tag & 7) == 2);
	if ((tag & 7) == 2) {
		assert_true(f->value <= (uint64_t)(s->end - s->at));
		f->span = (struct span){s->at, s->at + f->value};
		s->at += f->value;
	}
	return true;
}

static void unpack(struct profile *p, const char *packed, size_t n)
{
	z_stream z = {.next_in = (unsigned char *)packed, .avail_in = n};

	p->bytes = malloc(UNPACKED_MAX);
	z.next_out = p->bytes;
	z.avail_out = UNPACKED_MAX;
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	p->n_bytes = z.total_out;
	inflateEnd(&z);
}

static void check_utf8(struct span s)
{
	char text[8192];
	size_t n = s.end - s.at;

	assert_true(n < sizeof(text));
	memcpy(text, s.at, n);
	text[n] = '\0';
	assert_int_equal(strlen(text), n);
	for (size_t i = 0; i < n;) {
		uint32_t character;
		size_t length = utf8_decode(text + i, &character);

		assert_true(character != UTF8_REPLACEMENT || length == 3);
		assert_true(character >= ' ');
		i += length;
	}
}

static bool string_is(const struct profile *p, uint64_t i, const char *text)
{
	size_t n = strlen(text);

	assert_true(i < p->n_strings);
	return (size_t)(p->strings[i].end - p->strings[i].at) == n &&
	       !memcmp(p->strings[i].at, text, n);
}

/* Messages that begin with their number: it must be the next one. */
static void check_id(struct span s, size_t *n)
{
	struct field f;
	uint64_t id = 0;

	while (take_field(&s, &f))
		if (f.number == 1)
			id = f.value;
	assert_int_equal(id, ++*n);
}

static bool has_field(struct span s, unsigned number)
{
	struct field f;

	while (take_field(&s, &f))
		if (f.number == number)
			return true;
	return false;
}

static void decode_sample(struct profile *p, struct span s)
{
	struct field f;
	size_t n_values = 0, n_locations = 0;

	while (take_field(&s, &f)) {
		if (f.number == 1) {
			assert_in_range(f.value, 1, p->n_locations);
			n_locations++;
		}
		if (f.number == 2) {
			assert_true(n_values < 4 && f.value <= INT64_MAX);
			p->sums[n_values++] += f.value;
		}
	}
	assert_int_equal(n_values, 4);
	assert_true(n_locations > 0);
	p->n_samples++;
}

static void decode_field(struct profile *p, const struct field *f)
{
	struct span s = f->span;
	struct field part;

	switch (f->number) {
	case 1:
		while (take_field(&s, &part))
			p->types[p->n_types++] = part.value;
		break;
	case 2:
		decode_sample(p, s);
		break;
	case 3:
		check_id(s, &p->n_mappings);
		break;
	case 4:
		check_id(s, &p->n_locations);
		assert_true(has_field(s, 4)); /* speedscope drops a frame without a line */
		break;
	case 5:
		check_id(s, &p->n_functions);
		break;
	case 6:
		assert_true(p->n_strings < ARRAY_SIZE(p->strings));
		check_utf8(s);
		p->strings[p->n_strings++] = s;
		break;
	case 9:
		p->time_ns = f->value;
		break;
	case 10:
		p->has_duration = true;
		break;
	case 12:
		p->period = f->value;
		break;
	case 13:
		p->n_comments++;
		break;
	case 14:
		p->default_type = f->value;
		break;
	}
}

static struct profile *decode(const char *packed, size_t n)
{
	struct profile *p = calloc(1, sizeof(*p));
	struct field f;
	struct span s;

	unpack(p, packed, n);
	s = (struct span){p->bytes, p->bytes + p->n_bytes};
	while (take_field(&s, &f))
		decode_field(p, &f);
	return p;
}

static void profile_free(struct profile *p)
{
	free(p->bytes);
	free(p);
}

static struct profile *print(const struct fixture *x, struct output_options *o)
{
	struct profile *p;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_int_equal(output_prepare(&output_pprof, o), 0);
	assert_int_equal(fixture_print(x, &output_pprof, o, f), 0);
	assert_int_equal(output_finish(o, f), 0);
	fclose(f);
	p = decode(text, n);
	free(text);
	return p;
}

static bool has_string(const struct profile *p, const char *text)
{
	for (size_t i = 0; i < p->n_strings; i++)
		if (string_is(p, i, text))
			return true;
	return false;
}

static void profiles_keep_the_consumers_rules(void **state)
{
	static const char *const types[] = {"alloc_objects", "count", "alloc_space", "bytes",
					    "inuse_objects", "count", "inuse_space", "bytes"};
	struct output_options o = {0};
	struct fixture x;
	struct profile *p;

	(void)state;
	fixture_init(&x);
	p = print(&x, &o);
	assert_true(string_is(p, 0, ""));
	assert_int_equal(p->n_types, ARRAY_SIZE(types));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_true(string_is(p, p->types[i], types[i]));
	assert_true(string_is(p, p->default_type, "inuse_space"));
	assert_false(p->has_duration);
	assert_int_equal(p->time_ns, x.reports[1].time_ns);
	assert_true(has_string(p, "session_parse_cookie"));
	assert_true(has_string(p, "libc.so.6+0x27249"));
	assert_true(has_string(p, "00112233445566778899aabbccddeeff00112233"));
	assert_true(has_string(p, "pid") && has_string(p, "comm") && has_string(p, "container"));
	profile_free(p);
}

/* The last report of each process counts, whole. */
static void sums_are_those_of_the_last_reports(void **state)
{
	uint64_t bytes = 0, count = 0;
	struct output_options o = {.top = 1};
	struct fixture x;
	struct profile *p;

	(void)state;
	fixture_init(&x);
	for (size_t i = 0; i < FIXTURE_REPORTS; i++)
		for (size_t k = 0; k < x.reports[i].n_sites; k++) {
			const struct site *s = &x.reports[i].sites[k];

			if (!x.reports[i].processes[s->process].final)
				continue;
			bytes += s->outstanding_bytes;
			count += s->outstanding_allocations;
		}
	p = print(&x, &o);
	assert_true(bytes > 0);
	assert_int_equal(p->sums[2], count);
	assert_int_equal(p->sums[3], bytes);
	assert_true(has_string(p, "[other]"));
	profile_free(p);
}

#define MANY 20000

/* Long names, hostile ones, and more sites than Pyroscope takes: cut, with sums that stay right. */
static void no_profile_is_too_large(void **state)
{
	static const size_t lengths[] = {10, 300, 1000};
	struct site *sites = calloc(MANY, sizeof(*sites));
	struct frame *frames = calloc(MANY, sizeof(*frames));
	char(*names)[1024] = calloc(MANY, sizeof(*names));
	struct process_report *processes = calloc(MANY, sizeof(*processes));
	struct session session = {.schema = 1};

	(void)state;
	for (size_t k = 0; k < 2 * ARRAY_SIZE(lengths); k++) {
		bool alone = k < ARRAY_SIZE(lengths); /* else each site has a process of its own */
		struct report r = {.processes = processes, .sites = sites, .n_sites = MANY};
		struct output_options o = {.is_last = true};
		struct profile *p;
		char *text = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&text, &n);

		for (size_t i = 0; i < MANY; i++) {
			size_t n_name = snprintf(names[i], sizeof(names[i]), "f%zu", i);

			memset(names[i] + n_name, '\xff', lengths[k % ARRAY_SIZE(lengths)]);
			frames[i] = (struct frame){.function = names[i], .module = "/a"};
			processes[i] = (struct process_report){.pid = i + 1, .comm = names[i]};
			sites[i] = (struct site){.process = alone ? 0 : i,
						 .outstanding_bytes = 3,
						 .outstanding_allocations = 1,
						 .frames = &frames[i],
						 .n_frames = 1};
		}
		r.n_processes = alone ? 1 : MANY;
		assert_int_equal(output_prepare(&output_pprof, &o), 0);
		assert_int_equal(output_pprof.session(f, &o, &session), 0);
		assert_int_equal(output_pprof.report(f, &o, &session, &r), 0);
		assert_int_equal(output_finish(&o, f), 0);
		fclose(f);
		p = decode(text, n);
		assert_in_range(p->n_bytes, 1, PPROF_BYTES_MAX);
		assert_in_range(p->n_samples, 100, PPROF_SAMPLES_MAX);
		assert_int_equal(p->sums[2], MANY);
		assert_int_equal(p->sums[3], 3 * MANY);
		profile_free(p);
		free(text);
	}
	free(processes);
	free(names);
	free(frames);
	free(sites);
}

static void errors_of_the_stream_come_back(void **state)
{
	struct output_options o = {0};
	FILE *full = fopen("/dev/full", "w");
	struct fixture x;
	int err;

	(void)state;
	fixture_init(&x);
	assert_int_equal(output_prepare(&output_pprof, &o), 0);
	err = fixture_print(&x, &output_pprof, &o, full);
	assert_int_equal(err ? err : output_finish(&o, full), -ENOSPC);
	output_finish(&o, full);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles_keep_the_consumers_rules),
		cmocka_unit_test(sums_are_those_of_the_last_reports),
		cmocka_unit_test(no_profile_is_too_large),
		cmocka_unit_test(errors_of_the_stream_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
