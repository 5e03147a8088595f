/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_SCAN_H
#define SEEP_OUTPUT_SCAN_H
/* What `seep scan` adds to the formats of output.h; the same goes for these. */
#include "model/scan_path.h"
#include "model/scan_report.h"
#include "output/output.h"

/* In place of output_text.report. */
int scan_text_report(FILE *f, const struct output_options *o, const struct scan_report *s);
/* Records `scan` and `leak`, behind output_ndjson.report's. */
int scan_ndjson_report(FILE *f, const struct scan_report *s);

/* Of --check, before the end: what all processes of the command lost, and how it ended. */
int check_text(FILE *f, const struct output_options *o, const struct check_sums *c);
/* Record `check`. time_ns: CLOCK_REALTIME. */
int check_ndjson(FILE *f, uint64_t time_ns, const struct check_sums *c);

/* The same of --paths: its text, and its record `path`. */
int scan_path_text(FILE *f, const struct output_options *o, const struct scan_path *p);
int scan_path_ndjson(FILE *f, const struct scan_path *p);
/* "global variable sessions of server": where a chain of pointers begins. */
void scan_root_put(FILE *f, const struct scan_root *r);

#endif
