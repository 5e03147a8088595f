/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_CALLS_H
#define SEEP_CLI_CALLS_H
#include <stdbool.h>
#include <stdio.h>

struct collector_event;

/* Where -t writes: one line for each allocation and free. */
struct calls {
	FILE *stream;
	bool ndjson;
};

/* As tracing.on_call; arg is a struct calls. Errors stay in the stream, for its next flush. */
void calls_print(void *arg, const struct collector_event *e);

#endif
