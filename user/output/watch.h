/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_WATCH_H
#define SEEP_OUTPUT_WATCH_H
/* Reports of `seep watch` as text or ndjson; what output.h says of its formats goes for these. */
#include <stdbool.h>
#include <stdio.h>

#include "model/watch_report.h"

struct watch_output_options {
	bool color;	/* text only, as the others */
	bool utf8;	/* the reader knows characters beyond ASCII */
	unsigned width; /* columns of the terminal, 0: unlimited */
	bool verbose;
	bool all; /* what does not grow is shown, too */
};

/* Calls come in this order: session, reports, end. Each flushes f and returns 0 or -errno. */
struct watch_format {
	int (*session)(FILE *f, const struct watch_output_options *o,
		       const struct watch_session *s);
	int (*report)(FILE *f, const struct watch_output_options *o, const struct watch_session *s,
		      const struct watch_report *r);
	int (*end)(FILE *f, const struct watch_output_options *o, const struct watch_session *s,
		   const struct watch_end *e);
};

extern const struct watch_format watch_text, watch_ndjson;

/* "+12.3 MiB/min", "0 B/min", "?" */
#define WATCH_RATE_SIZE 40
void watch_format_rate(double bytes_per_second, char out[WATCH_RATE_SIZE]);

/* Draws n values as characters of eight heights, the least at the bottom; NAN as a space. What differs by less than a hundredth
 * is drawn flat. */
void watch_put_line(FILE *f, bool utf8, const double *values, size_t n);

#endif
