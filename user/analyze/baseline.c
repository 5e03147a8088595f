// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/baseline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/strings.h"
#include "model/report.h"

struct baseline_figures {
	uint64_t outstanding_bytes, outstanding_allocations, allocations;
};

/* kind 0, fingerprint 0: of the process itself. */
static uint64_t figures_key(const struct process_report *p, uint64_t fingerprint, uint64_t kind)
{
	const uint64_t parts[] = {p->pid, p->start_ns, p->instance, fingerprint, kind};

	return hash_bytes(0, parts, sizeof(parts));
}

static int keep(struct hashmap *map, struct baseline_figures *to, uint64_t key, uint64_t bytes,
		uint64_t outstanding, uint64_t allocations)
{
	*to = (struct baseline_figures){bytes, outstanding, allocations};
	return hashmap_put(map, key, to);
}

int baseline_set(struct baseline *b, const char *name, const struct report *r)
{
	struct baseline next = {.set = true,
				.mark = {.time_ns = r->time_ns, .sequence = r->sequence}};
	struct baseline_figures *to;
	int err = 0;

	snprintf(next.mark.name, sizeof(next.mark.name), "%s", name);
	next.figures = calloc(r->n_processes + r->n_sites + 1, sizeof(*next.figures));
	if (!next.figures)
		return -ENOMEM;
	to = next.figures;
	for (size_t i = 0; i < r->n_processes && !err; i++) {
		const struct process_report *p = &r->processes[i];

		err = keep(&next.by_key, to++, figures_key(p, 0, 0), p->outstanding_bytes,
			   p->outstanding_allocations, p->allocations);
	}
	for (size_t i = 0; i < r->n_sites && !err; i++) {
		const struct site *s = &r->sites[i];

		err = keep(&next.by_key, to++,
			   figures_key(&r->processes[s->process], s->fingerprint, s->kind),
			   s->outstanding_bytes, s->outstanding_allocations, s->allocations);
	}
	if (err) {
		baseline_done(&next);
		return err;
	}
	baseline_done(b);
	*b = next;
	return 0;
}

/* Counters of a site that was put out of the kernel's table, and came back, begin anew: then all of them are of after the mark. */
static struct since_mark since(const struct baseline *b, uint64_t key, uint64_t bytes,
			       uint64_t outstanding, uint64_t allocations)
{
	static const struct baseline_figures nothing;
	const struct baseline_figures *was = hashmap_get(&b->by_key, key);

	if (!was)
		was = &nothing;
	return (struct since_mark){
		.outstanding_bytes = (int64_t)(bytes - was->outstanding_bytes),
		.outstanding_allocations = (int64_t)(outstanding - was->outstanding_allocations),
		.allocations = allocations >= was->allocations ? allocations - was->allocations
							       : allocations,
	};
}

void baseline_apply(const struct baseline *b, struct report *r)
{
	if (!b->set)
		return;
	r->mark = &b->mark;
	for (size_t i = 0; i < r->n_processes; i++) {
		struct process_report *p = &r->processes[i];

		p->since_mark = since(b, figures_key(p, 0, 0), p->outstanding_bytes,
				      p->outstanding_allocations, p->allocations);
	}
	for (size_t i = 0; i < r->n_sites; i++) {
		struct site *s = &r->sites[i];

		s->since_mark =
			since(b, figures_key(&r->processes[s->process], s->fingerprint, s->kind),
			      s->outstanding_bytes, s->outstanding_allocations, s->allocations);
	}
}

void baseline_done(struct baseline *b)
{
	hashmap_done(&b->by_key);
	free(b->figures);
	*b = (struct baseline){0};
}
