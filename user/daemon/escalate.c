// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/escalate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/cover.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/tracing.h"
#include "output/output.h"
#include "output/watch.h"
#include "process/identity.h"
#include "process/select.h"

#define ROWS 5 /* beside the suspects */
#define PASS_NS NS_PER_SECOND

/* What was done about one process. */
struct attempt {
	uint64_t start_boottime_ns; /* whose pid it was */
	uint64_t until_ns; /* CLOCK_MONOTONIC: traced until then; after that: left alone until then */
	bool active;
};

int escalation_init(struct escalation *e, const struct escalation_options *options,
		    struct tracing *t, struct diag *d)
{
	*e = (struct escalation){
		.options = *options,
		.tracing = t,
		.view_options = {.top = ROWS},
		.view = {.selector = options->selector},
		.start_ns = clock_monotonic_ns(),
	};
	e->view.options = &e->view_options;
	return passes_open(&e->passes, d);
}

void escalation_done(struct escalation *e)
{
	struct attempt *a;
	size_t cursor = 0;

	while ((a = hashmap_next(&e->attempts, &cursor, NULL)))
		free(a);
	hashmap_done(&e->attempts);
	view_done(&e->view);
	passes_done(&e->passes);
	*e = (struct escalation){0};
}

static void rest(struct escalation *e, struct attempt *a, uint64_t now_ns)
{
	a->active = false;
	a->until_ns = now_ns + e->options.again_ns;
	e->n_active--;
}

/* Ends what has been traced long enough, and what has ended by itself. */
static void end_old(struct escalation *e, uint64_t now_ns)
{
	struct attempt *a;
	size_t cursor = 0;
	uint64_t pid;

	while ((a = hashmap_next(&e->attempts, &cursor, &pid))) {
		if (!a->active)
			continue;
		if (!tracing_is_traced(e->tracing, pid)) {
			rest(e, a, now_ns);
		} else if (now_ns >= a->until_ns) {
			tracing_release(e->tracing, pid);
			rest(e, a, now_ns);
		}
	}
}

/* The record of a process, made on first sight; one of another process with this pid begins anew. NULL without memory. */
static struct attempt *attempt_get(struct escalation *e, const struct watch_process *process)
{
	struct attempt *a = hashmap_get(&e->attempts, process->pid);

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (a && hashmap_put(&e->attempts, process->pid, a)) {
			free(a);
			return NULL;
		}
	}
	if (a && a->start_boottime_ns != process->start_boottime_ns && !a->active)
		*a = (struct attempt){.start_boottime_ns = process->start_boottime_ns};
	return a;
}

/* A trace is bounded in time and cost, so it need not wait until the watch is as sure as a suspicion has to be. */
static bool is_growing(const struct watcher_item *item)
{
	return item->suspect || !strcmp(item->estimate.verdict, "growing");
}

static bool is_wanted(const struct escalation *e, const struct watcher_item *item,
		      struct identity *ret)
{
	struct diag d = {0};

	return !item->is_cgroup && item->process.pid != (uint32_t)getpid() &&
	       !identity_read(item->process.pid, ret, &d) &&
	       selector_matches(&e->options.selector, ret);
}

static void tell(const struct escalation *e, const struct watcher_item *item,
		 const struct identity *id)
{
	char rate[WATCH_RATE_SIZE], duration[FORMAT_SIZE];

	watch_format_rate(item->estimate.bytes_per_second, rate);
	format_seconds((double)e->options.for_ns / NS_PER_SECOND, duration);
	log_info("process %d (%s) grows by %s: traced for %s", id->pid, id->comm, rate, duration);
}

static void begin(struct escalation *e, const struct watcher_item *item, uint64_t now_ns)
{
	struct identity id;
	struct diag d = {0};
	struct attempt *a;

	if (!is_wanted(e, item, &id))
		return;
	a = attempt_get(e, &item->process);
	if (!a || a->active || now_ns < a->until_ns)
		return;
	a->active = true;
	a->until_ns = now_ns + e->options.for_ns;
	e->n_active++;
	if (tracing_attach(e->tracing, id.pid, &d)) {
		tracing_dismiss(e->tracing, id.pid);
		rest(e, a, now_ns);
		if (!e->tracing->quiet)
			log_diag(&d);
		return;
	}
	if (!e->tracing->quiet)
		tell(e, item, &id);
}

int escalation_step(struct escalation *e, struct diag *d)
{
	const struct watcher_item *items;
	uint64_t now_ns;
	size_t n;
	int err;

	if (!passes_due(&e->passes))
		return 0;
	err = passes_take(&e->passes, d);
	if (err)
		return err;
	now_ns = clock_monotonic_ns();
	end_old(e, now_ns);
	n = watcher_items(e->passes.watcher, &items);
	for (size_t i = 0; i < n && e->n_active < e->options.most; i++)
		if (is_growing(&items[i]))
			begin(e, &items[i], now_ns);
	return 0;
}

static void leave_out_traced(struct escalation *e, struct watch_report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_processes; i++)
		if (!tracing_is_traced(e->tracing, r->processes[i].pid))
			r->processes[n++] = r->processes[i];
	r->n_processes = n;
}

int escalation_report(struct escalation *e, FILE *f, bool ndjson,
		      const struct watch_output_options *output, uint64_t time_ns, bool last)
{
	const struct watch_format *format = ndjson ? &watch_ndjson : &watch_text;
	const struct watch_session session = {.hostname = e->options.hostname};
	double elapsed_seconds = (double)(clock_monotonic_ns() - e->start_ns) / NS_PER_SECOND;
	struct watch_report r = {
		.time_ns = time_ns,
		.elapsed_seconds = elapsed_seconds,
		.sequence = ++e->n_reports,
		.final = last,
	};
	const struct watcher_item *items;
	size_t n;
	int err;

	if (!e->passes.last)
		return 0;
	n = watcher_items(e->passes.watcher, &items);
	err = view_report(&e->view, e->passes.last, items, n, &r);
	if (err)
		return err;
	if (ndjson)
		leave_out_traced(e, &r);
	passes_cost(&e->passes, PASS_NS, &r.cost);
	return format->report(f, output, &session, &r);
}
