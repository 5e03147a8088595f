// SPDX-License-Identifier: BSD-2-Clause
/* What probes at seep's sites cost without the rest of seep: the same links, with programs that do nothing, or with seep's own that
 * record without stacks, hits counted for a governor that never acts or not.
 *
 *	floor PID session|multi|perf [empty|recorded|counted]
 *
 * Prints "ready" when the probes stand; removes them at the end of its input, or with its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "attach/link.h"
#include "base/clock.h"
#include "process/identity.h"

#define MAX_ENTRIES 64

static int add_process(struct kernel *kernel, pid_t pid, struct diag *d)
{
	uint64_t ticks, ns_per_tick = NS_PER_SECOND / sysconf(_SC_CLK_TCK);
	int err = identity_start_ticks(pid, &ticks);
	int64_t instance;

	if (err)
		return diag_set(d, -err, "no process %d", pid);
	instance = kernel_add_process(kernel, pid, ticks * ns_per_tick, false, d);
	return instance < 0 ? instance : 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[3] : "empty";
	struct kernel_options options = {
		.max_outstanding = MAX_ENTRIES,
		.max_sites = MAX_ENTRIES,
		.max_stacks = MAX_ENTRIES,
		.max_frames = 1,
		.stack = KERNEL_STACK_NONE,
		.empty = !strcmp(mode, "empty"),
		.governed = !strcmp(mode, "counted"),
	};
	const struct cover_options every_file = {0};
	struct kernel *kernel = NULL;
	struct cover *cover = NULL;
	struct diag d = {0};
	char byte;
	int err;

	options.link = argc == 3 || argc == 4 ? link_kind_find(argv[2]) : 0;
	if (!options.link) {
		fprintf(stderr, "usage: floor PID session|multi|perf [empty|recorded|counted]\n");
		return 2;
	}
	err = kernel_open(&options, &kernel, &d);
	if (!err && !options.empty)
		err = add_process(kernel, atoi(argv[1]), &d);
	if (!err)
		err = cover_create(kernel, &every_file, &cover, &d);
	if (!err)
		err = cover_update(cover, atoi(argv[1]), &d);
	if (err < 0)
		fprintf(stderr, "floor: %s\n", d.text);
	else if (puts("ready") >= 0 && !fflush(stdout))
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	cover_destroy(cover);
	kernel_close(kernel);
	return err < 0;
}
