/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_PLACE_H
#define SEEP_ATTACH_PLACE_H
#include <sys/types.h>

#include "attach/kernel.h"
#include "attach/link.h"
#include "base/diag.h"

struct plan;

/* Bits. Frees alone can stand: they only take away what was recorded. */
enum place_parts {
	PLACE_FREES = 1,
	PLACE_ALLOCATIONS = 2,
	PLACE_ALL = 3,
};

/* Places the probes of these parts of a plan in process pid, 0: in all processes that map the file; fd: the file. Appends to
 * links; on error what was placed is in links, for the caller to close. Returns 0 or -errno with a diag. */
int place_plan(const struct kernel *k, pid_t pid, int fd, const struct plan *plan, unsigned parts,
	       struct links *links, struct diag *d);

#endif
