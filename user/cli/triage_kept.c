// SPDX-License-Identifier: BSD-2-Clause
#include "cli/triage_kept.h"

#include "base/clock.h"
#include "cli/scan_sums.h"
#include "daemon/blocks.h"
#include "daemon/scanning.h"

/* It takes as long as a pass of one thread, and nobody hears signals meanwhile. */
#define PASS_MOST_NS (NS_PER_SECOND)

struct choosing {
	const struct triage_report *triage;
	const struct scanning *scanning;
	uint64_t address; /* 0: none yet */
	double age_seconds;
};

static int choose(void *arg, const struct block *b)
{
	struct choosing *c = arg;
	const struct site *site = &c->triage->report->sites[c->triage->top[0]];

	if (b->process != c->triage->process || b->site != site->fingerprint ||
	    (c->address && b->age_seconds <= c->age_seconds) || scan_verdict(c->scanning, b) != 1)
		return 0;
	c->address = b->address;
	c->age_seconds = b->age_seconds;
	return 0;
}

bool triage_kept_find(struct assembly *a, const struct assembled *r, const struct triage_report *t,
		      struct scanning *s, struct triage_kept *ret)
{
	struct choosing c = {.triage = t, .scanning = s};
	struct diag ignored = {0};
	const struct reach_root_name *name = &ret->found.root;

	if (!t->n_top || !t->scan || s->pass_ns > PASS_MOST_NS || blocks_each(a, r, choose, &c) ||
	    !c.address || scan_paths_find(s, c.address, &ret->found, &ignored) ||
	    !ret->found.path.n)
		return false;
	ret->root = (struct scan_root){
		.kind = reach_root_kind_name(name->kind),
		.name = *name->name ? name->name : NULL,
		.module = *name->module ? name->module : NULL,
		.offset = name->offset,
		.tid = name->tid,
	};
	return true;
}

void triage_kept_done(struct triage_kept *kept)
{
	scan_paths_done(&kept->found);
}
