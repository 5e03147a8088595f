/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_NAMING_H
#define SEEP_DAEMON_NAMING_H
/* The names of a report's stacks, kept from one report to the next. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hashmap.h"

struct frame;
struct suppressions;
struct traced;
struct tracing;

/* Zeroed but for the options. */
struct naming {
	bool frame_pointers; /* stacks come by them alone, so nothing else says where they end */
	const struct suppressions *suppressions; /* or NULL */
	uint64_t sequence;			 /* of the report that is being made */
	struct hashmap stacks;			 /* stack -> struct named_stack */
};

struct named_stack {
	uint64_t sequence; /* of the last report that used it */
	struct frame *frames;
	size_t n;
	uint64_t fingerprint, family;
	const char *truncated;
	const char *suppressed;
	bool complete; /* else what is unknown may become known: mappings are read late */
};

/* The names of a stack of p, from before or made now: then files are read. p: NULL where nothing is known of the process. The result
 * belongs to names, until naming_trim. NULL without memory. */
const struct named_stack *naming_get(struct naming *names, struct tracing *t,
				     const struct traced *p, uint64_t stack);
/* After a report: names go with their sites, which end with their process or are evicted. */
void naming_trim(struct naming *names);
void naming_done(struct naming *names);

#endif
