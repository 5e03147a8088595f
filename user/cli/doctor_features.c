// SPDX-License-Identifier: BSD-2-Clause
/* What goes beyond following one process by its probes: each is set up as its command does it, and taken down again. */
#include <string.h>

#include "attach/kernel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "collect/watch.h"
#include "output/format.h"

#define MAX_ENTRIES 64 /* of maps that nothing enters */
#define MAX_FRAMES 127
#define N_PASSES 3	   /* the first one finds nothing in the caches */
#define BUDGET_PERCENT 5.0 /* that of selectors and --all */

/* What is wrong is said once, by the trial, where it is the same. */
static void refuse(struct host *h, const char *name, const struct diag *d)
{
	bool known = !h->can_trace && !strcmp(d->text, h->refusal.text);

	host_add_check(h, name, CHECK_LESS, known ? NULL : d->hint, "%s",
		       known ? "not without what the trial lacks" : d->text);
}

static void check_watch(struct host *h)
{
	const struct watch_pass *pass = NULL;
	struct watch_reader *reader = NULL;
	uint64_t cost_ns = UINT64_MAX;
	struct diag d = {0};
	size_t n = 0;
	int err = watch_reader_create(&reader, &d);

	for (int i = 0; !err && i < N_PASSES; i++) {
		err = watch_reader_pass(reader, &pass, &d);
		if (err)
			break;
		cost_ns = pass->cost_ns < cost_ns ? pass->cost_ns : cost_ns;
		n = pass->n_processes;
	}
	watch_reader_destroy(reader);
	if (err)
		refuse(h, "watch", &d);
	else
		host_add_check(h, "watch", CHECK_GOOD, NULL,
			       "memory of %zu process%s read in one pass, in %.2f ms of CPU", n,
			       n == 1 ? "" : "es", (double)cost_ns / NS_PER_MS);
}

static int try_kernel(struct kernel_options options, struct diag *d)
{
	struct kernel *k = NULL;
	int err;

	options.max_outstanding = options.max_sites = options.max_stacks = MAX_ENTRIES;
	options.max_frames = MAX_FRAMES;
	err = kernel_open(&options, &k, d);
	kernel_close(k);
	return err;
}

/* Both without probes, and at once where all is well: a load takes half a second. */
static void check_events(struct host *h, enum link_kind link)
{
	const struct kernel_options selectors = {
		.link = link, .strangers = true, .strange_names = true, .strange_cgroups = true};
	const struct kernel_options growth = {.growth = true, .sample_interval = 64 << 10};
	struct kernel_options both = growth;
	struct diag of_selectors = {0}, of_growth = {0};
	bool selects = false, grows = false;

	both.strangers = both.strange_names = both.strange_cgroups = true;
	if (!try_kernel(both, &of_growth)) {
		selects = grows = true;
	} else {
		selects = !try_kernel(selectors, &of_selectors);
		grows = !try_kernel(growth, &of_growth);
	}
	if (selects)
		host_add_check(h, "selectors", CHECK_GOOD, NULL,
			       "the kernel tells of exec, rename and moves between cgroups "
			       "(--comm, --exe, --cgroup, --container, --user)");
	else
		refuse(h, "selectors", &of_selectors);
	if (grows)
		host_add_check(h, "trace --growth", CHECK_GOOD, NULL,
			       "the kernel tells of page faults and mappings");
	else
		refuse(h, "trace --growth", &of_growth);
}

static void check_budget(struct host *h, enum link_kind link)
{
	const struct kernel_options options = {.link = link, .governed = true};
	const struct calibration_hit *hit = &h->costs.emulated;
	double pairs = BUDGET_PERCENT / 100 * NS_PER_SECOND / (hit->allocate_ns + hit->free_ns);
	char count[FORMAT_SIZE];
	struct diag d = {0};

	format_count(pairs, count);
	if (try_kernel(options, &d))
		refuse(h, "trace --budget", &d);
	else if (!h->can_trace)
		host_add_check(h, "trace --budget", CHECK_GOOD, NULL, "hits are counted");
	else
		host_add_check(
			h, "trace --budget", CHECK_GOOD, NULL,
			"hits are counted; with --budget %.0f a program is traced exactly up "
			"to some %s malloc/free pairs in a second of its CPU time",
			BUDGET_PERCENT, count);
}

void features_examine(enum link_kind link, struct host *h)
{
	check_watch(h);
	check_events(h, link);
	check_budget(h, link);
	/* Part of every trace: the trial had it. */
	if (h->can_trace)
		host_add_check(h, "out of memory", CHECK_GOOD, NULL,
			       "the kernel tells whom it kills (oom_killed)");
}
