// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/passes.h"

#include <errno.h>

#include "base/clock.h"
#include "collect/watch.h"

int passes_open(struct passes *p, struct diag *d)
{
	int err = watch_reader_create(&p->reader, d);

	if (!err && watcher_create(&p->watcher))
		err = diag_set(d, ENOMEM, "out of memory");
	return err;
}

void passes_done(struct passes *p)
{
	watcher_destroy(p->watcher);
	watch_reader_destroy(p->reader);
	*p = (struct passes){0};
}

bool passes_due(const struct passes *p)
{
	return !p->last || watch_reader_due(p->reader);
}

int passes_take(struct passes *p, struct diag *d)
{
	int err = watch_reader_pass(p->reader, &p->last, d);

	if (err)
		return err;
	p->n++;
	p->n_new++;
	p->cpu_ns += p->last->cost_ns;
	return watcher_update(p->watcher, p->last) ? diag_set(d, ENOMEM, "out of memory") : 0;
}

void passes_cost(struct passes *p, uint64_t period_ns, struct watch_cost *ret)
{
	double pass_seconds = p->n_new ? (double)p->cpu_ns / p->n_new / NS_PER_SECOND : 0;
	double period_seconds = (double)period_ns / NS_PER_SECOND;

	*ret = (struct watch_cost){
		.period_seconds = period_seconds,
		.n_passes = p->n,
		.n_missed = p->n_missed,
		.pass_cpu_seconds = pass_seconds,
		.cpu_ratio = pass_seconds / period_seconds,
	};
	p->cpu_ns = p->n_new = 0;
}
