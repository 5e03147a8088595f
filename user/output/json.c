// SPDX-License-Identifier: BSD-2-Clause
#include "output/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "output/escape.h"

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_escaped(FILE *f, const char *text)
{
	putc_unlocked('"', f);
	while (*text) {
		size_t n = 0;
		uint32_t c;

		/* Nearly all text is plain: a run at once. */
		while (is_plain(text[n]))
			n++;
		fwrite_unlocked(text, 1, n, f);
		text += n;
		if (!*text)
			break;
		n = utf8_decode(text, &c);
		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\u%04x", c);
		else if (c == UTF8_REPLACEMENT)
			fputs_unlocked("\xef\xbf\xbd", f);
		else
			fwrite_unlocked(text, 1, n, f);
		text += n;
	}
	putc_unlocked('"', f);
}

static void begin_value(struct json_line *j, const char *key)
{
	if (j->comma)
		putc_unlocked(',', j->f);
	j->comma = true;
	if (!key)
		return;
	put_escaped(j->f, key);
	putc_unlocked(':', j->f);
}

void json_line_begin(struct json_line *j, FILE *f)
{
	*j = (struct json_line){.f = f};
	json_open(j, NULL, '{');
}

void json_line_end(struct json_line *j)
{
	json_close(j, '}');
	putc_unlocked('\n', j->f);
}

void json_open(struct json_line *j, const char *key, char bracket)
{
	begin_value(j, key);
	putc_unlocked(bracket, j->f);
	j->comma = false;
}

void json_close(struct json_line *j, char bracket)
{
	putc_unlocked(bracket, j->f);
	j->comma = true;
}

void json_put_string(struct json_line *j, const char *key, const char *text)
{
	if (!text) {
		json_put_null(j, key);
		return;
	}
	begin_value(j, key);
	put_escaped(j->f, text);
}

void json_put_u64(struct json_line *j, const char *key, uint64_t value)
{
	begin_value(j, key);
	fprintf(j->f, "%" PRIu64, value > INT64_MAX ? (uint64_t)INT64_MAX : value);
}

void json_put_i64(struct json_line *j, const char *key, int64_t value)
{
	begin_value(j, key);
	fprintf(j->f, "%" PRId64, value);
}

void json_put_u64_or_null(struct json_line *j, const char *key, uint64_t value)
{
	if (value)
		json_put_u64(j, key, value);
	else
		json_put_null(j, key);
}

void json_put_double(struct json_line *j, const char *key, double value)
{
	char text[32];

	if (!isfinite(value)) {
		json_put_null(j, key);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value == 0 ? 0 : value);
		if (strtod(text, NULL) == value)
			break;
	}
	begin_value(j, key);
	fputs_unlocked(text, j->f);
}

void json_put_bool(struct json_line *j, const char *key, bool value)
{
	begin_value(j, key);
	fputs_unlocked(value ? "true" : "false", j->f);
}

void json_put_null(struct json_line *j, const char *key)
{
	begin_value(j, key);
	fputs_unlocked("null", j->f);
}

void json_put_id(struct json_line *j, const char *key, uint64_t id)
{
	begin_value(j, key);
	fprintf(j->f, "\"%016" PRIx64 "\"", id);
}

void json_put_address(struct json_line *j, const char *key, uint64_t address)
{
	begin_value(j, key);
	fprintf(j->f, "\"0x%" PRIx64 "\"", address);
}

void json_put_time(struct json_line *j, const char *key, uint64_t realtime_ns)
{
	char text[CLOCK_RFC3339_SIZE];

	if (!realtime_ns) {
		json_put_null(j, key);
		return;
	}
	clock_format_rfc3339(realtime_ns, text);
	json_put_string(j, key, text);
}
