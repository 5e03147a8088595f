// SPDX-License-Identifier: BSD-2-Clause
#include "reach/pass.h"

#include <errno.h>
#include <string.h>

#include "process/maps.h"
#include "reach/roots.h"

static int explain(struct diag *d, int err, pid_t pid)
{
	if (err == -ESRCH)
		return diag_set(d, ESRCH, "process %d ended while it was scanned", pid);
	return diag_set(d, -err, "the memory of process %d cannot be scanned: %s", pid,
			strerror(-err));
}

int reach_pass(pid_t pid, const struct reach_blocks *blocks, const struct thread_state *threads,
	       size_t n_threads, const struct reach_reader *reader,
	       const struct reach_options *options, struct reach_progress *progress, uint8_t *marks,
	       struct diag *d)
{
	struct reach_roots roots = {0};
	struct maps maps = {0};
	int err = maps_read(pid, &maps, d);

	if (err)
		return err;
	/* Of what has ended, the maps are empty before it is gone. */
	err = maps.n ? reach_roots_find(&maps, threads, n_threads, reader, options->stands, &roots)
		     : -ESRCH;
	if (!err)
		err = reach_mark(blocks, &roots, reader, options, progress, marks);
	reach_roots_done(&roots);
	maps_done(&maps);
	return err ? explain(d, err, pid) : 0;
}
