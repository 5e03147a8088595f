// SPDX-License-Identifier: BSD-2-Clause
#include "cli/scan_sums.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "cli/scan_walked.h"
#include "daemon/assemble.h"
#include "daemon/blocks.h"
#include "daemon/scanning.h"
#include "reach/leaks.h"

#define NO_SITE UINT32_MAX

struct summing {
	const struct scanning *scanning;
	struct scan_report *report;
	uint32_t *sites; /* by block of the scan that is a leak: the number of its site */
	struct hashmap by_fingerprint; /* -> struct scan_leak */
};

/* Its number in the last pass, or REACH_NONE. */
static uint32_t number_of(const struct scanning *s, const struct block *b)
{
	uint32_t i = reach_blocks_at(&s->blocks, b->address);

	if (i == REACH_NONE || s->blocks.items[i].start != b->address ||
	    s->blocks.items[i].birth_ns != b->birth_ns)
		return REACH_NONE;
	return i;
}

int scan_verdict(const struct scanning *s, const struct block *b)
{
	uint32_t i = number_of(s, b);

	if (i == REACH_NONE || !s->marks)
		return -1;
	if (s->leaks && s->leaks[i])
		return 0;
	return s->marks[i] ? 1 : -1;
}

static void count(struct scan_count *c, uint64_t bytes)
{
	c->n++;
	c->bytes += bytes;
}

static void count_leak(struct summing *s, struct scan_leak *leak, uint32_t i, const struct block *b)
{
	struct scan_report *r = s->report;

	if (!leak->example || s->scanning->kinds[i] == REACH_DIRECT)
		leak->example = b->address;
	switch ((enum reach_leak)s->scanning->kinds[i]) {
	case REACH_DIRECT:
		count(&leak->direct, b->size_bytes);
		count(&r->direct, b->size_bytes);
		break;
	case REACH_CYCLE:
		count(&leak->cycle, b->size_bytes);
		count(&r->cycle, b->size_bytes);
		break;
	default:
		count(&leak->indirect, b->size_bytes);
		count(&r->indirect, b->size_bytes);
	}
}

static int sum_block(void *arg, const struct block *b)
{
	struct summing *s = arg;
	struct scan_leak *leak;
	uint32_t i;

	if (b->process != s->report->process)
		return 0;
	switch (scan_verdict(s->scanning, b)) {
	case 1:
		count(&s->report->reachable, b->size_bytes);
		return 0;
	case -1:
		count(&s->report->open, b->size_bytes);
		return 0;
	}
	leak = hashmap_get(&s->by_fingerprint, b->site);
	if (!leak)
		return 0;
	i = number_of(s->scanning, b);
	s->sites[i] = leak - s->report->leaks;
	count_leak(s, leak, i, b);
	return 0;
}

/* What each root leads to counts for its site; the sizes are the kernel's, which the blocks of the scan have, too. */
static void sum_held(struct summing *s)
{
	const struct scanning *scanning = s->scanning;

	for (size_t i = 0; i < scanning->blocks.n; i++) {
		const struct reach_block *block = &scanning->blocks.items[i];
		uint32_t root = scanning->roots[i];

		if (!scanning->leaks[i] || root == REACH_NONE || root == i ||
		    s->sites[root] == NO_SITE)
			continue;
		count(&s->report->leaks[s->sites[root]].held, block->end - block->start);
	}
}

/* One for each site of the process, in their order. */
static int prepare(struct summing *s, const struct report *report)
{
	struct scan_report *r = s->report;
	int err = 0;

	r->leaks = calloc(report->n_sites + 1, sizeof(*r->leaks));
	s->sites = malloc((s->scanning->blocks.n + 1) * sizeof(*s->sites));
	if (!r->leaks || !s->sites)
		return -ENOMEM;
	for (size_t i = 0; i < s->scanning->blocks.n; i++)
		s->sites[i] = NO_SITE;
	for (size_t i = 0; i < report->n_sites && !err; i++) {
		if (report->sites[i].process != r->process)
			continue;
		r->leaks[r->n_leaks].site = i;
		err = hashmap_put(&s->by_fingerprint, report->sites[i].fingerprint,
				  &r->leaks[r->n_leaks]);
		r->n_leaks++;
	}
	return err;
}

static void describe_pass(const struct scanning *s, struct scan_report *r)
{
	r->n_passes = s->candidates.n_passes;
	r->n_unsettled = s->candidates.n_returned;
	r->pass_bytes = s->pass_bytes;
	r->pass_seconds = (double)s->pass_ns / NS_PER_SECOND;
	r->n_threads = s->n_threads;
	for (size_t i = 0; i < s->n_threads; i++)
		r->n_running += s->threads[i].running;
	r->interior = s->options.pointers.interior;
	r->tagged = s->options.pointers.tagged;
	r->complete = true;
}

int scan_sums(struct assembly *a, const struct assembled *r, uint32_t process,
	      const struct scanning *scanning, struct scan_report *ret)
{
	struct summing s = {.scanning = scanning, .report = ret};
	int err;

	*ret = (struct scan_report){.report = &r->report, .process = process};
	describe_pass(scanning, ret);
	err = prepare(&s, &r->report);
	if (!err)
		err = blocks_each(a, r, sum_block, &s);
	if (!err)
		err = scan_walked_sum(scanning, ret);
	if (!err) {
		sum_held(&s);
		scan_report_order(ret);
	}
	hashmap_done(&s.by_fingerprint);
	free(s.sites);
	return err;
}
