/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_DIFFERENCE_H
#define SEEP_OUTPUT_DIFFERENCE_H
/* What differs between two moments, as text or ndjson. As in output.h: const data and a stream, 0 or -errno of the stream. */
#include <stdio.h>

#include "model/difference.h"
#include "output/output.h"

/* options: top (of what grew, and of what shrank), by_count, color, width, verbose. */
int difference_text(FILE *f, const struct output_options *options,
		    const struct difference_report *r);
/* One record of type diff, then one of type difference for each site at which something is outstanding before or after. */
int difference_ndjson(FILE *f, const struct difference_report *r);

#endif
