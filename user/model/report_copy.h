/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_REPORT_COPY_H
#define SEEP_MODEL_REPORT_COPY_H
/* Some processes of a report with all that they borrow, for readers that live longer than it. Nobody changes a copy, so any thread may
 * read one that it has a reference to. */
#include <stdbool.h>
#include <stddef.h>

#include "model/report.h"

struct report_copy {
	struct report report;
	uint64_t n_sites_omitted; /* beyond sites_max: of each process and kind, these are one site [other] */
	struct report_copy_private *private_;
};

/* wanted: by process, NULL: all. sites_max: copied at most. One reference is the caller's. Returns 0 or -ENOMEM. */
int report_copy_create(const struct report *r, const bool *wanted, size_t sites_max,
		       struct report_copy **ret);
/* Thread-safe. */
struct report_copy *report_copy_ref(struct report_copy *c);
/* Frees it with its last reference. Accepts NULL. Thread-safe. */
void report_copy_unref(struct report_copy *c);

#endif
