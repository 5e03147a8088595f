/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_SCAN_SUMS_H
#define SEEP_CLI_SCAN_SUMS_H
/* What a scan found, added up by call site. */
#include "model/scan_report.h"

struct assembled;
struct assembly;
struct scanning;

/* After the last pass: fills ret but for stopped_seconds, from the blocks that r counts of its process number `process`. Blocks freed
 * since the pass are left out. ret->leaks is malloc'ed. Returns 0 or -errno. */
int scan_sums(struct assembly *a, const struct assembled *r, uint32_t process,
	      const struct scanning *s, struct scan_report *ret);
/* Whether a block is reachable, for its record: 1, 0, or -1 when it is not known. */
int scan_verdict(const struct scanning *s, const struct block *b);

#endif
