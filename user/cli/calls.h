/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_CALLS_H
#define SEEP_CLI_CALLS_H
#include <stdbool.h>

struct collector_event;
struct tracer;

/* What -t shows: one line for each allocation and free, written by the tracer. Returns as tracer_say(). */
bool calls_print(struct tracer *t, bool ndjson, const struct collector_event *e);

#endif
