// SPDX-License-Identifier: BSD-2-Clause
/* What was found at the ends of processes, by the sites of a report. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/assemble.h"
#include "daemon/checking_room.h"
#include "model/scan_report.h"

struct summing {
	const struct assembled *r;
	const struct checked *checked;
	struct scan_report *to;
	struct hashmap by_fingerprint; /* -> struct scan_leak */
};

static void count(struct scan_count *to, struct scan_count c)
{
	to->n += c.n;
	to->bytes += c.bytes;
}

/* By a stack of the process; NULL: its site was not kept. */
static struct scan_leak *leak_of(const struct summing *s, uint64_t stack)
{
	const struct site_ref *ref = assembled_find(s->r, stack, s->checked->instance, SITE_MALLOC);

	return ref ? hashmap_get(&s->by_fingerprint, ref->fingerprint) : NULL;
}

/* As LeakSanitizer has it: what a suppressed block leads to is suppressed, too. */
static bool is_suppressed(const struct summing *s, const struct scan_leak *leak,
			  const struct scan_leak *root)
{
	const struct site *sites = s->r->report.sites;

	return (leak && sites[leak->site].suppressed) || (root && sites[root->site].suppressed);
}

static void add(struct summing *s, const struct checked_leak *from)
{
	struct scan_report *to = s->to;
	struct scan_leak *leak = leak_of(s, from->stack), *root = leak_of(s, from->root_stack);
	struct scan_leak nowhere = {0};

	if (is_suppressed(s, leak, root)) {
		count(&to->suppressed, from->count);
		return;
	}
	if (!leak)
		leak = &nowhere;
	if (!leak->example || from->kind == REACH_DIRECT)
		leak->example = from->example;
	switch (from->kind) {
	case REACH_DIRECT:
		count(&leak->direct, from->count);
		count(&to->direct, from->count);
		break;
	case REACH_CYCLE:
		count(&leak->cycle, from->count);
		count(&to->cycle, from->count);
		break;
	default:
		count(&leak->indirect, from->count);
		count(&to->indirect, from->count);
		if (root)
			count(&root->held, from->count);
	}
}

/* One for each site of the process, in their order. */
static int prepare(struct summing *s)
{
	const struct report *report = &s->r->report;
	struct scan_report *to = s->to;
	int err = 0;

	to->leaks = calloc(report->n_sites + 1, sizeof(*to->leaks));
	if (!to->leaks)
		return -ENOMEM;
	for (size_t i = 0; i < report->n_sites && !err; i++) {
		if (report->sites[i].process != to->process)
			continue;
		to->leaks[to->n_leaks].site = i;
		err = hashmap_put(&s->by_fingerprint, report->sites[i].fingerprint,
				  &to->leaks[to->n_leaks]);
		to->n_leaks++;
	}
	return err;
}

static int sum(const struct assembled *r, uint32_t process, const struct checked *checked,
	       struct scan_report *ret)
{
	struct summing s = {.r = r, .checked = checked, .to = ret};
	int err;

	*ret = (struct scan_report){
		.report = &r->report,
		.process = process,
		.reachable = checked->reachable,
		.n_passes = 1,
		.pass_bytes = checked->pass_bytes,
		.pass_seconds = (double)checked->pass_ns / NS_PER_SECOND,
		.stopped_seconds = (double)checked->stopped_ns / NS_PER_SECOND,
		.n_threads = checked->n_threads,
		.interior = true,
		.complete = true,
	};
	err = prepare(&s);
	for (size_t i = 0; i < checked->n && !err; i++)
		add(&s, &checked->items[i]);
	hashmap_done(&s.by_fingerprint);
	if (!err)
		scan_report_order(ret);
	return err;
}

static void add_sums(struct check_sums *sums, const struct scan_report *s)
{
	sums->n_checked++;
	sums->n_leaking += s->direct.n || s->cycle.n || s->indirect.n;
	count(&sums->direct, s->direct);
	count(&sums->indirect, s->indirect);
	count(&sums->indirect, s->cycle);
	count(&sums->suppressed, s->suppressed);
}

static int report_one(struct checking *c, const struct assembled *r, uint32_t process,
		      struct checked *checked, int (*write)(void *arg, const struct scan_report *s),
		      void *arg)
{
	struct scan_report s;
	int err = sum(r, process, checked, &s);

	if (!err) {
		add_sums(&c->sums, &s);
		err = write(arg, &s);
	}
	scan_report_done(&s);
	return err;
}

/* Its end was not seen, or its memory could not be read: of one that holds nothing that is no loss. */
static void count_unchecked(struct checking *c, const struct process_report *p)
{
	if (p->ended && !strcmp(p->ended, "exit") && !p->outstanding_allocations)
		c->sums.n_checked++;
	else
		c->sums.n_unchecked++;
}

int checking_report(struct checking *c, const struct assembled *r,
		    int (*write)(void *arg, const struct scan_report *s), void *arg)
{
	int err = 0;

	for (uint32_t i = 0; i < r->report.n_processes && !err; i++) {
		const struct process_report *p = &r->report.processes[i];
		struct checked *checked;

		/* What it held when it executed another program is gone with that, as with LeakSanitizer. */
		if (!p->final || (p->ended && !strcmp(p->ended, "exec")))
			continue;
		pthread_mutex_lock(&c->lock);
		checked = hashmap_take(&c->checked, p->instance);
		pthread_mutex_unlock(&c->lock);
		if (checked)
			err = report_one(c, r, i, checked, write, arg);
		else
			count_unchecked(c, p);
		checked_free(checked);
	}
	return err;
}

void checking_set_command(struct checking *c, bool ended, int wait_status)
{
	c->sums.command_ended = ended;
	c->sums.command_status = wait_status;
}

const struct check_sums *checking_sums(const struct checking *c)
{
	return &c->sums;
}
