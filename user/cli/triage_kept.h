/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_TRIAGE_KEPT_H
#define SEEP_CLI_TRIAGE_KEPT_H
/* Who keeps what grows: where the pointers to a block of the first stack begin. */
#include <stdbool.h>

#include "cli/scan_paths.h"
#include "model/triage.h"

struct assembled;
struct assembly;
struct scanning;

/* Zeroed. */
struct triage_kept {
	struct found_path found;
	struct scan_root root;
};

/* After the scan's last pass: follows the pointers to the oldest reachable block of t->top[0]. Returns whether ret->root is known; it
 * is not looked for where that would take long. */
bool triage_kept_find(struct assembly *a, const struct assembled *r, const struct triage_report *t,
		      struct scanning *s, struct triage_kept *ret);
void triage_kept_done(struct triage_kept *kept);

#endif
