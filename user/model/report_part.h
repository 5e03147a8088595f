/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_REPORT_PART_H
#define SEEP_MODEL_REPORT_PART_H
/* Some processes of a report, with what is theirs. */
#include <stdbool.h>
#include <stdint.h>

#include "model/report.h"

#define REPORT_PART_WITHOUT UINT32_MAX

/* Arrays of its own; strings, frames and losses stay the whole report's. */
struct report_part {
	struct report report;
	uint32_t *index; /* by a process's index in the whole: that in the part, or REPORT_PART_WITHOUT */
};

/* The processes that are wanted, their sites and errors, in order. Returns 0 or -ENOMEM. */
int report_part_take(const struct report *whole,
		     bool (*is_wanted)(const void *arg, const struct process_report *p),
		     const void *arg, struct report_part *ret);
/* Empties it; accepts an empty one. */
void report_part_done(struct report_part *part);

#endif
