/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_PLACE_H
#define SEEP_ATTACH_PLACE_H
#include <sys/types.h>

#include "attach/kernel.h"
#include "attach/link.h"
#include "base/diag.h"

struct plan;

/* Places all probes of a plan in process pid; fd: the file. Appends to links; on error what was placed is in links, for the
 * caller to close. Returns 0 or -errno with a diag. */
int place_plan(const struct kernel *k, pid_t pid, int fd, const struct plan *plan,
	       struct links *links, struct diag *d);

#endif
