// SPDX-License-Identifier: BSD-2-Clause
#include "cli/accounting.h"

#include <stdlib.h>

#include "base/vec.h"
#include "cli/assemble.h"
#include "cli/tracing.h"
#include "collect/collector.h"
#include "model/memory.h"
#include "process/maps.h"
#include "process/resident.h"
#include "reach/account.h"
#include "reach/glibc_heap.h"

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

static void account_process(pid_t pid, struct block_list *blocks, struct memory_account *ret)
{
	struct resident resident = {0};
	struct glibc_heap heap = {0};
	struct maps maps = {0};
	struct diag ignored = {0};

	if (!maps_read(pid, &maps, &ignored) && !glibc_heap_read(pid, &maps, &heap, &ignored) &&
	    !resident_read(pid, &resident, &ignored))
		account_memory(&heap, &resident, blocks->items, blocks->n, ret);
	resident_done(&resident);
	glibc_heap_done(&heap);
	maps_done(&maps);
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
			account_process(p->pid, &g.lists[i], &r->memory[i]);
			if (!r->memory[i].resident_bytes)
				continue;
			p->memory = &r->memory[i];
			p->rss_bytes = r->memory[i].resident_bytes;
		}
	for (size_t i = 0; i < report->n_processes && g.lists; i++)
		free(g.lists[i].items);
	free(g.lists);
}

void accounting_read(pid_t pid, struct memory_account *ret)
{
	struct block_list none = {0};

	*ret = (struct memory_account){0};
	account_process(pid, &none, ret);
}
