/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_JSON_H
#define SEEP_OUTPUT_JSON_H
/* A streaming JSON writer: one object a line, nothing kept, so that a million records cost no memory. Errors stay in the
 * stream (ferror). A key is NULL inside arrays. Locale "C" is assumed for numbers. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_line {
	FILE *f;
	bool comma; /* before the next member */
};

/* Opens the line's object, and ends it and the line. */
void json_line_begin(struct json_line *j, FILE *f);
void json_line_end(struct json_line *j);

void json_open(struct json_line *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_line *j, char bracket);		    /* '}' or ']' */

/* Any bytes: what is not UTF-8 becomes U+FFFD. NULL: null. */
void json_put_string(struct json_line *j, const char *key, const char *text);
/* Readers know 63 bits: what is above (no count gets there) is written as INT64_MAX. */
void json_put_u64(struct json_line *j, const char *key, uint64_t value);
/* As json_put_u64, null when it is 0. */
void json_put_u64_or_null(struct json_line *j, const char *key, uint64_t value);
void json_put_i64(struct json_line *j, const char *key, int64_t value);
/* Shortest form that reads back as the same value; NAN and infinities: null. */
void json_put_double(struct json_line *j, const char *key, double value);
void json_put_bool(struct json_line *j, const char *key, bool value);
void json_put_null(struct json_line *j, const char *key);
/* Strings: 16 hex digits; "0x" and hex digits. */
void json_put_id(struct json_line *j, const char *key, uint64_t id);
void json_put_address(struct json_line *j, const char *key, uint64_t address);
/* RFC 3339, UTC, milliseconds; 0: null. */
void json_put_time(struct json_line *j, const char *key, uint64_t realtime_ns);

#endif
