/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_MARK_H
#define SEEP_MODEL_MARK_H
/* A mark: a report of a running trace that got a name, for later ones to be compared with. */
#include <stdbool.h>
#include <stdint.h>

#define MARK_NAME_MAX 64

struct mark {
	char name[MARK_NAME_MAX + 1];
	uint64_t time_ns;  /* CLOCK_REALTIME */
	uint64_t sequence; /* of its report */
};

/* What is outstanding, or was allocated, more than at a mark. Estimates where figures are. */
struct since_mark {
	int64_t outstanding_bytes, outstanding_allocations;
	uint64_t allocations;
};

/* Names are 1 to MARK_NAME_MAX of the letters and digits of ASCII, '.', '_', ':' and '-', a letter or digit first. "start" and "end"
 * are none: in `seep diff` they are the first and the last report. NULL is none, too. */
bool mark_name_is_valid(const char *name);
/* The same as words. */
#define MARK_NAME_RULE                                                                             \
	"1 to 64 letters, digits, '.', '_', ':' or '-', a letter or digit first, and neither "     \
	"'start' nor 'end'"

#endif
