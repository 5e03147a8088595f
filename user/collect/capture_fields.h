/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_CAPTURE_FIELDS_H
#define SEEP_COLLECT_CAPTURE_FIELDS_H
/* Typed access to the members of one untrusted JSON object. The first thing that is wrong is kept in err and diag, what
 * is returned from then on means nothing: read all members, then look at err once. Private to the capture reader. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct diag;
struct loss;
struct strings;

struct fields {
	const json_t *object;
	const char *record; /* "site": what messages begin with */
	struct strings *strings;
	struct arena *arena;
	struct diag *d;
	int err; /* 0, -EBADMSG, -ENOMEM */
};

/* Sets err and the message "RECORD: 'NAME' WHAT", unless there is one already. */
void fields_fail(struct fields *f, const char *name, const char *what);

/* An integer in [0, max]. */
uint64_t fields_u64(struct fields *f, const char *name, uint64_t max);
/* An integer of either sign; 0 when null or missing. */
int64_t fields_i64_or_0(struct fields *f, const char *name);
/* These take null and a missing member for "unknown": 0, unknown, false, NULL. */
uint64_t fields_u64_or_0(struct fields *f, const char *name);
double fields_double(struct fields *f, const char *name, double unknown);
bool fields_bool(struct fields *f, const char *name);
const char *fields_string(struct fields *f, const char *name);
/* RFC 3339 as clock_format_rfc3339() writes it, to nanoseconds. */
uint64_t fields_time(struct fields *f, const char *name);
/* The hex number of a string, with or without 0x in front. */
uint64_t fields_hex(struct fields *f, const char *name);
/* The array and its length; NULL and 0 when missing. */
const json_t *fields_array(struct fields *f, const char *name, size_t max, size_t *ret_n);
/* An array of strings, in the arena. */
const char *const *fields_strings(struct fields *f, const char *name, size_t max, size_t *ret_n);
/* An object {cause: count}, in the arena. */
struct loss *fields_losses(struct fields *f, const char *name, size_t *ret_n);

#endif
