/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_OPENMETRICS_H
#define SEEP_OUTPUT_OPENMETRICS_H
/* /metrics, as FORMATS.md has it. Stacks are no labels, and series have bounds: processes that are alike are one series, of processes
 * and call sites by themselves there are the largest only, and what those leave out is one series more, so that sums stay right. */
#include <stdbool.h>
#include <stdio.h>

struct metrics;

#define OPENMETRICS_PROCESSES 50 /* shown singly */
#define OPENMETRICS_SITES 100
#define OPENMETRICS_OTHER "[other]" /* label value of what is left out */

/* openmetrics: OpenMetrics 1.0; else Prometheus' text format 0.0.4. Returns 0, -ENOMEM or -errno of the stream. */
int openmetrics_write(FILE *f, bool openmetrics, const struct metrics *m);

#endif
