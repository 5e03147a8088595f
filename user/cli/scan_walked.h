/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_SCAN_WALKED_H
#define SEEP_CLI_SCAN_WALKED_H
/* Blocks from before the trace, in the sums and the records of `seep scan --heap-walk`. */
#include <stdint.h>

#include "model/scan_report.h"

struct block;
struct scanning;

/* Sums up what the last pass says of them: before, before_unreachable and walked of ret. Returns 0 or -ENOMEM. */
int scan_walked_sum(const struct scanning *s, struct scan_report *ret);
/* Passes each of them to visit, as a block of that process without age and site, until it returns non-zero, which is returned. */
int scan_walked_each(const struct scanning *s, uint32_t process,
		     int (*visit)(void *arg, const struct block *b), void *arg);

#endif
