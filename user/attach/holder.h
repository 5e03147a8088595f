/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_HOLDER_H
#define SEEP_ATTACH_HOLDER_H
/* Keeps a process's probes working after its first thread has ended.
 *
 * The kernel ties links of one process to that process's first thread. A uprobe is a breakpoint in memory and consumers that are run
 * when it is hit; a consumer is asked (its filter) whether it wants the breakpoint in some memory, and answers by whether that is its
 * thread's. A thread that has ended has none, so from then on it is nobody's:
 *
 *   uprobe_multi, session   The programs go on to run, as they look at whose thread was hit. But when any other consumer of the same
 *                           instruction goes, as when another traced process ends, the breakpoint goes, too; and where a file is mapped anew
 *                           none is set.
 *   perf events             The first hit finds nobody who wants the breakpoint, removes it, and runs nothing.
 *
 * So the first kind is given a second consumer that answers yes: a perf event on another thread, the heir, which is not enabled and has
 * no program. Links of the second kind are placed again, on the heir. */
#include <stdbool.h>
#include <sys/types.h>

#include "attach/link.h"
#include "base/diag.h"

struct cover_file;

/* Keeps the breakpoints of these parts (enum place_parts) of a file in place while thread tid lives, frees first. Appends to links.
 * ret_stood: whether each stood already, just before it was kept, wherever the thread's process has the file; false, too, when that
 * cannot be read. Returns 0 or -errno with a diag. */
int holder_place(pid_t tid, const struct cover_file *f, unsigned parts, struct links *links,
		 bool *ret_stood, struct diag *d);

#endif
