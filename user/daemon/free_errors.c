// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/free_errors.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attach/kernel.h"
#include "base/clock.h"
#include "daemon/assemble.h"
#include "daemon/traced.h"
#include "daemon/tracing.h"
#include "model/losses.h"

static struct error_stack name_stack(struct assembly *a, const struct traced *p, uint64_t stack)
{
	const struct named_stack *name = stack ? naming_get(&a->names, a->tracing, p, stack) : NULL;

	if (!name)
		return (struct error_stack){0};
	return (struct error_stack){name->frames, name->n, name->truncated};
}

/* Of the process that an error is of, or NULL: the report has it not. */
static const struct process_report *find_process(const struct report *r, instance_id instance)
{
	for (size_t i = 0; i < r->n_processes; i++)
		if (r->processes[i].instance == instance)
			return &r->processes[i];
	return NULL;
}

/* Losses of which the kernel side knew when it told of an error have kept it from telling. */
static bool calls_unseen(const struct tracing *t, const struct process_report *p)
{
	for (size_t i = 0; i < p->n_losses; i++)
		if (!strcmp(p->losses[i].cause, loss_text(LOSS_THREAD_ENDED)->cause))
			return true;
	return kernel_missed_runs(t->kernel) > 0;
}

/* Probes of frees stand a moment before those of allocations, and calls that had begun are not seen to end: what was freed then may
 * have been allocated again unseen. */
#define SETTLE_NS NS_PER_SECOND

static bool is_certain(struct tracing *t, const struct process_report *p,
		       const struct snapshot_error *e)
{
	const struct traced *traced = tracing_find(t, e->instance);

	if (!traced || calls_unseen(t, p))
		return false;
	switch (e->type) {
	case FREE_ERROR_DOUBLE:
		return !traced->probed_ns || e->freed_ns > traced->probed_ns + SETTLE_NS;
	case FREE_ERROR_MISMATCH:
		return true;
	default:
		return !traced->probed_ns && !(p->seen_from_seconds > 0) && !t->n_unprobed;
	}
}

static struct free_error error_of(struct assembly *a, const struct assembled *r,
				  const struct process_report *p, const struct snapshot_error *e)
{
	const struct traced *traced = tracing_find(a->tracing, e->instance);
	struct free_error error = {
		.process = p - r->report.processes,
		.type = e->type,
		.count = e->count,
		.address = e->address,
		.block_address = e->block_address,
		.size_bytes = e->size_bytes,
		.tid = e->tid,
		.freed_tid = e->freed_tid,
		.freed_seconds_before = NAN,
		.allocated_with = free_error_family(e->allocated_with),
		.freed_with = free_error_family(e->freed_with),
		.stack = name_stack(a, traced, e->stack),
		.allocation = name_stack(a, traced, e->allocation),
		.freed = name_stack(a, traced, e->freed),
	};

	if (r->snapshot.time_ns > e->time_ns)
		error.age_seconds = (double)(r->snapshot.time_ns - e->time_ns) / NS_PER_SECOND;
	if (e->freed_ns && e->time_ns >= e->freed_ns)
		error.freed_seconds_before = (double)(e->time_ns - e->freed_ns) / NS_PER_SECOND;
	return error;
}

int free_errors_fill(struct assembly *a, struct assembled *r)
{
	size_t n = 0;

	if (!r->snapshot.errors.n)
		return 0;
	r->errors = calloc(r->snapshot.errors.n, sizeof(*r->errors));
	if (!r->errors)
		return -ENOMEM;
	for (size_t i = 0; i < r->snapshot.errors.n; i++) {
		const struct snapshot_error *e = &r->snapshot.errors.items[i];
		const struct process_report *p = find_process(&r->report, e->instance);

		if (p && is_certain(a->tracing, p, e))
			r->errors[n++] = error_of(a, r, p, e);
	}
	r->report.errors = r->errors;
	r->report.n_errors = n;
	return 0;
}
