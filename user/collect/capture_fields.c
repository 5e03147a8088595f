// SPDX-License-Identifier: BSD-2-Clause
#include "collect/capture_fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/strings.h"
#include "collect/arena.h"
#include "model/report.h"

#define NAMES_MAX_BYTES ((size_t)1 << 30)

void fields_fail(struct fields *f, const char *name, const char *what)
{
	if (!f->err)
		f->err = diag_set(f->d, EBADMSG, "%s: '%s' %s", f->record, name, what);
}

static void fail_memory(struct fields *f)
{
	if (!f->err)
		f->err = diag_set(f->d, ENOMEM, "%s: no memory for it", f->record);
}

/* The member, NULL when it is missing or null. */
static const json_t *get(const struct fields *f, const char *name)
{
	const json_t *member = json_object_get(f->object, name);

	return json_is_null(member) ? NULL : member;
}

static uint64_t to_u64(struct fields *f, const char *name, const json_t *value, uint64_t max)
{
	if (!json_is_integer(value))
		fields_fail(f, name, "is not a whole number");
	else if (json_integer_value(value) < 0)
		fields_fail(f, name, "is negative");
	else if ((uint64_t)json_integer_value(value) > max)
		fields_fail(f, name, "is too large");
	else
		return json_integer_value(value);
	return 0;
}

uint64_t fields_u64(struct fields *f, const char *name, uint64_t max)
{
	const json_t *value = get(f, name);

	if (value)
		return to_u64(f, name, value, max);
	fields_fail(f, name, "is missing");
	return 0;
}

int64_t fields_i64_or_0(struct fields *f, const char *name)
{
	const json_t *value = get(f, name);

	if (value && !json_is_integer(value))
		fields_fail(f, name, "is not a whole number");
	return json_integer_value(value);
}

uint64_t fields_u64_or_0(struct fields *f, const char *name)
{
	const json_t *value = get(f, name);

	return value ? to_u64(f, name, value, UINT64_MAX) : 0;
}

double fields_double(struct fields *f, const char *name, double unknown)
{
	const json_t *value = get(f, name);

	if (!value)
		return unknown;
	if (!json_is_number(value))
		fields_fail(f, name, "is not a number");
	return json_number_value(value);
}

bool fields_bool(struct fields *f, const char *name)
{
	const json_t *value = get(f, name);

	if (value && !json_is_boolean(value))
		fields_fail(f, name, "is neither true nor false");
	return json_is_true(value);
}

static const char *intern(struct fields *f, const char *name, const json_t *value)
{
	const char *text;

	if (!json_is_string(value)) {
		fields_fail(f, name, "is not a string");
		return NULL;
	}
	if (f->strings->size_bytes > NAMES_MAX_BYTES) {
		fields_fail(f, name, "comes after more than 1 GiB of names");
		return NULL;
	}
	text = strings_intern_n(f->strings, json_string_value(value), json_string_length(value));
	if (!text)
		fail_memory(f);
	return text;
}

const char *fields_string(struct fields *f, const char *name)
{
	const json_t *value = get(f, name);

	return value ? intern(f, name, value) : NULL;
}

uint64_t fields_time(struct fields *f, const char *name)
{
	const char *text = json_string_value(get(f, name));
	char canonical[CLOCK_RFC3339_SIZE];
	unsigned milliseconds = 0;
	struct tm tm = {0};
	uint64_t time_ns;
	time_t seconds;

	if (!get(f, name))
		return 0;
	if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ", &tm.tm_year, &tm.tm_mon,
			    &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &milliseconds) != 7) {
		fields_fail(f, name, "is not a time");
		return 0;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = timegm(&tm);
	if (seconds < 0 || (uint64_t)seconds >= UINT64_MAX / NS_PER_SECOND) {
		fields_fail(f, name, "is a time out of range");
		return 0;
	}
	time_ns = seconds * NS_PER_SECOND + milliseconds * NS_PER_MS;
	/* sscanf takes signs, blanks and a 31st of February: nothing but the form that we write is accepted. */
	clock_format_rfc3339(time_ns, canonical);
	if (strcmp(text, canonical))
		fields_fail(f, name, "is not a time");
	return time_ns;
}

uint64_t fields_hex(struct fields *f, const char *name)
{
	const char *text = json_string_value(get(f, name)), *digits;
	size_t n;

	if (!text) {
		fields_fail(f, name, "is not a string of hex digits");
		return 0;
	}
	digits = strncmp(text, "0x", 2) ? text : text + 2;
	n = strlen(digits);
	if (!n || n > 16 || strspn(digits, "0123456789abcdef") != n)
		fields_fail(f, name, "is not a string of 1 to 16 hex digits");
	return strtoull(digits, NULL, 16);
}

const json_t *fields_array(struct fields *f, const char *name, size_t max, size_t *ret_n)
{
	const json_t *array = get(f, name);

	*ret_n = 0;
	if (!array)
		return NULL;
	if (!json_is_array(array))
		fields_fail(f, name, "is not a list");
	else if (json_array_size(array) > max)
		fields_fail(f, name, "is too long");
	else
		*ret_n = json_array_size(array);
	return array;
}

const char *const *fields_strings(struct fields *f, const char *name, size_t max, size_t *ret_n)
{
	const json_t *array;
	const char **texts;
	size_t n;

	*ret_n = 0;
	array = fields_array(f, name, max, &n);
	texts = arena_alloc(f->arena, n, sizeof(*texts));
	if (!texts) {
		fail_memory(f);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		texts[i] = intern(f, name, json_array_get(array, i));
	*ret_n = f->err ? 0 : n;
	return texts;
}

struct loss *fields_losses(struct fields *f, const char *name, size_t *ret_n)
{
	const json_t *object = get(f, name);
	struct loss *losses;
	const char *cause;
	json_t *count;
	size_t n = 0;

	*ret_n = 0;
	if (!object)
		return NULL;
	if (!json_is_object(object)) {
		fields_fail(f, name, "is not an object");
		return NULL;
	}
	losses = arena_alloc(f->arena, json_object_size(object), sizeof(*losses));
	if (!losses) {
		fail_memory(f);
		return NULL;
	}
	json_object_foreach((json_t *)object, cause, count)
	{
		losses[n].cause = strings_intern(f->strings, cause);
		losses[n].count = to_u64(f, name, count, UINT64_MAX);
		if (!losses[n++].cause)
			fail_memory(f);
	}
	*ret_n = f->err ? 0 : n;
	return losses;
}
