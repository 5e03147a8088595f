/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_TRIAGE_H
#define SEEP_OUTPUT_TRIAGE_H
/* `seep triage`, on one screen or as records. As in output.h: 0 or -errno of the stream. */
#include "model/triage.h"
#include "output/output.h"

/* options: color, width, verbose. utf8: the reader takes it. */
int triage_text(FILE *f, const struct output_options *options, bool utf8,
		const struct triage_report *t);
/* A record of type triage, then those of output_ndjson's report and, when there is one, of the scan. */
int triage_ndjson(FILE *f, const struct triage_report *t);

#endif
