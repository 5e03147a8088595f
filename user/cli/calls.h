/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_CALLS_H
#define SEEP_CLI_CALLS_H
#include <stdbool.h>

struct collector_event;
struct reporter;

/* What -t shows: one line for each allocation and free. */
struct calls {
	struct reporter *reporter; /* who writes them */
	bool ndjson;
};

/* As tracing.on_call; arg is a struct calls. */
bool calls_print(void *arg, const struct collector_event *e);

#endif
