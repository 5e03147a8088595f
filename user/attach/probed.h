/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_PROBED_H
#define SEEP_ATTACH_PROBED_H
/* The probes of one file, in one process or in all that map it: which parts of them stand just now. */
#include <sys/types.h>

#include "attach/link.h"
#include "base/diag.h"

struct closer;
struct kernel;
struct plan;

struct probed {
	struct links frees, allocations;
	unsigned standing; /* enum place_parts */
};

/* Makes exactly these parts (enum place_parts) stand. pid 0: in all processes that map the file open at fd. What goes is closed in
 * the background, allocations before frees; what comes stands on return, frees before allocations. Returns 0 or -errno with a
 * diag: then what stood before goes on standing. */
int probed_set(struct probed *p, const struct kernel *k, struct closer *closer, pid_t pid, int fd,
	       const struct plan *plan, unsigned parts, struct diag *d);
/* Removes all, in the background. */
void probed_close(struct probed *p, struct closer *closer);
/* Removes all at once: waits for the kernel's grace period. */
void probed_close_now(struct probed *p);

#endif
