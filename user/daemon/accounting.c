// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/accounting.h"

#include <stdlib.h>

#include "base/vec.h"
#include "collect/collector.h"
#include "daemon/assemble.h"
#include "daemon/tracing.h"
#include "model/memory.h"
#include "reach/account.h"

struct block_list {
	struct account_block *items;
	size_t n, cap;
};

struct gathering {
	const struct assembled *r;
	struct block_list *lists; /* by the process's index */
};

static int gather_block(void *arg, const struct snapshot_block *b)
{
	const struct gathering *g = arg;
	const struct site_ref *ref = assembled_find(g->r, b->stack, b->instance, b->kind);

	if (!ref || ref->process == SITE_HIDDEN || b->kind != SITE_MALLOC)
		return 0;
	return vec_push(&g->lists[ref->process], (struct account_block){b->address, b->size_bytes});
}

void accounting_fill(struct assembly *a, struct assembled *r)
{
	struct report *report = &r->report;
	struct gathering g = {.r = r};

	if (!report->n_processes || report->n_processes > ACCOUNTING_MOST)
		return;
	g.lists = calloc(report->n_processes, sizeof(*g.lists));
	r->memory = calloc(report->n_processes, sizeof(*r->memory));
	if (g.lists && r->memory && !collector_each_block(a->tracing->collector, gather_block, &g))
		for (size_t i = 0; i < report->n_processes; i++) {
			struct process_report *p = &report->processes[i];

			if (p->ended)
				continue;
			account_read(p->pid, g.lists[i].items, g.lists[i].n, &r->memory[i]);
			if (!r->memory[i].resident_bytes)
				continue;
			p->memory = &r->memory[i];
			p->rss_bytes = r->memory[i].resident_bytes;
		}
	for (size_t i = 0; i < report->n_processes && g.lists; i++)
		free(g.lists[i].items);
	free(g.lists);
}
