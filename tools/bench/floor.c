// SPDX-License-Identifier: BSD-2-Clause
/* The least that probes at seep's sites can cost: the same links, with programs that do nothing.
 *
 *	floor PID session|multi|perf
 *
 * Prints "ready" when the probes stand; removes them at the end of its input, or with its own. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "attach/link.h"

int main(int argc, char **argv)
{
	struct kernel_options options = {
		.max_outstanding = 1,
		.max_sites = 1,
		.max_stacks = 1,
		.max_frames = 1,
		.empty = true,
	};
	const struct cover_options every_file = {0};
	struct kernel *kernel = NULL;
	struct cover *cover = NULL;
	struct diag d = {0};
	char byte;
	int err;

	options.link = argc == 3 ? link_kind_find(argv[2]) : 0;
	if (!options.link) {
		fprintf(stderr, "usage: floor PID session|multi|perf\n");
		return 2;
	}
	err = kernel_open(&options, &kernel, &d);
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
