// SPDX-License-Identifier: BSD-2-Clause
/* What it takes to place seep's probes in a file and to remove them:  links FILE own|shared PID...
 *
 * own: in each process by itself; shared: once for all that map FILE, which must therefore be a copy that nobody else has. Prints
 * "result N_PROBES OPEN_NS OPEN_CPU_NS CLOSE_NS CLOSE_CPU_NS": time, and CPU time of ours, of one placing and one removing,
 * mean of all processes. The processes are not traced: their calls find that out and return. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/kernel.h"
#include "attach/place.h"
#include "base/clock.h"
#include "elf/image.h"
#include "plan/plan.h"

#define MAX_ENTRIES 64

struct spent {
	uint64_t wall_ns, cpu_ns;
};

static struct spent now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (struct spent){clock_monotonic_ns(), t.tv_sec * NS_PER_SECOND + t.tv_nsec};
}

static void add_since(struct spent *sum, struct spent from)
{
	struct spent to = now();

	sum->wall_ns += to.wall_ns - from.wall_ns;
	sum->cpu_ns += to.cpu_ns - from.cpu_ns;
}

/* pids: of n processes, or 0 for all at once. */
static int measure(const struct kernel *k, int fd, const struct plan *plan, const pid_t *pids,
		   int n, struct diag *d)
{
	struct spent opening = {0}, closing = {0};
	struct links *links = calloc(n, sizeof(*links));
	int err = links ? 0 : -ENOMEM;

	for (int i = 0; i < n && !err; i++) {
		struct spent from = now();

		err = place_plan(k, pids[i], fd, plan, PLACE_ALL, &links[i], d);
		add_since(&opening, from);
	}
	for (int i = 0; links && i < n; i++) {
		struct spent from = now();

		links_done(&links[i]);
		add_since(&closing, from);
	}
	free(links);
	if (!err)
		printf("result %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", plan->n,
		       opening.wall_ns / n, opening.cpu_ns / n, closing.wall_ns / n,
		       closing.cpu_ns / n);
	return err;
}

int main(int argc, char **argv)
{
	const struct kernel_options options = {
		.max_outstanding = MAX_ENTRIES,
		.max_sites = MAX_ENTRIES,
		.max_stacks = MAX_ENTRIES,
		.max_frames = 1,
	};
	bool shared = argc > 3 && !strcmp(argv[2], "shared");
	int fd = argc > 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1, n = shared ? 1 : argc - 3;
	struct elf_image *image = NULL;
	struct kernel *kernel = NULL;
	struct plan *plan = NULL;
	struct diag d = {0};
	pid_t *pids;
	int err;

	if (fd < 0 || (!shared && strcmp(argv[2], "own"))) {
		fprintf(stderr, "usage: links FILE own|shared PID...\n");
		return 2;
	}
	pids = calloc(n, sizeof(*pids));
	if (!pids)
		return 1;
	for (int i = 0; i < n && !shared; i++)
		pids[i] = atoi(argv[3 + i]);
	err = elf_image_open(fd, argv[1], &image, &d);
	if (!err)
		err = plan_create(image, NULL, &plan, &d);
	if (!err)
		err = kernel_open(&options, &kernel, &d);
	if (!err)
		err = measure(kernel, fd, plan, pids, n, &d);
	if (err)
		fprintf(stderr, "links: %s\n", d.text);
	kernel_close(kernel);
	plan_destroy(plan);
	elf_image_close(image);
	free(pids);
	return err != 0;
}
