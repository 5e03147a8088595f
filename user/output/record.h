/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_RECORD_H
#define SEEP_OUTPUT_RECORD_H
/* What the ndjson records of several commands have in common. */
#include <stdio.h>

#include "model/report.h"

struct json_line;

/* Opens a record; json_line_end() ends it. */
void record_begin(struct json_line *j, FILE *f, const char *type, uint64_t time_ns);
/* The member "frames". */
void record_put_frames(struct json_line *j, const struct frame *frames, size_t n);
/* The records `process`, by its number in the report, and `site`: a line each. */
void record_put_process(FILE *f, const struct report *r, size_t i);
void record_put_site(FILE *f, const struct report *r, const struct site *s);
/* The value of "kind". */
const char *record_kind(enum site_kind kind);

#endif
