// SPDX-License-Identifier: BSD-2-Clause
#include "reach/account.h"

#include <stdbool.h>
#include <stdlib.h>

#include "model/memory.h"
#include "process/maps.h"
#include "process/resident.h"
#include "reach/glibc_heap.h"

static int compare_blocks(const void *left, const void *right)
{
	const struct account_block *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

/* Each chunk with the block in it, both by address. */
static void add_heap(const struct glibc_heap *heap, const struct account_block *blocks, size_t n,
		     struct memory_account *to)
{
	size_t block = 0;

	for (size_t i = 0; i < heap->n_chunks; i++) {
		const struct heap_chunk *c = &heap->chunks[i];
		bool used = c->state == HEAP_USED || c->state == HEAP_MAPPED;

		for (; block < n && blocks[block].address < c->address; block++)
			to->elsewhere_bytes += blocks[block].size_bytes;
		if (block < n && blocks[block].address == c->address) {
			uint64_t size = blocks[block++].size_bytes;

			if (used && size <= c->size_bytes) {
				to->outstanding_allocations++;
				to->outstanding_bytes += size;
				to->rounding_bytes += c->size_bytes - size;
				continue;
			}
		}
		if (used) {
			to->before_allocations++;
			to->before_bytes += c->size_bytes;
		} else if (c->state == HEAP_TCACHED || c->state == HEAP_FAST) {
			to->cached_bytes += c->size_bytes;
		} else {
			to->free_bytes += c->size_bytes;
		}
	}
	for (; block < n; block++)
		to->elsewhere_bytes += blocks[block].size_bytes;
	to->own_bytes = heap->own_bytes + heap->unparsed_bytes;
}

/* Whether chunks lie in the mapping. next: the first chunk that may; moved on. */
static bool holds_chunks(const struct glibc_heap *heap, const struct resident_mapping *m,
			 size_t *next)
{
	bool any = false;

	while (*next < heap->n_chunks && heap->chunks[*next].address < m->end) {
		any |= heap->chunks[*next].address >= m->start;
		++*next;
	}
	return any;
}

/* Of a private mapping of a file some pages are the process's own. */
static void add_private(const struct resident_mapping *m, struct memory_account *to)
{
	uint64_t own = m->anonymous_bytes < m->rss_bytes ? m->anonymous_bytes : m->rss_bytes;

	to->anonymous_bytes += own;
	to->file_bytes += m->rss_bytes - own;
	if (m->thread_stack)
		to->thread_stack_bytes += own;
	else if (m->kind == RESIDENT_PLAIN && m->executable)
		to->executable_bytes += own;
}

void account_memory(const struct glibc_heap *heap, const struct resident *resident,
		    struct account_block *blocks, size_t n, struct memory_account *ret)
{
	uint64_t in_heap = 0, of_heap;
	size_t next = 0;

	*ret = (struct memory_account){0};
	if (n > 1)
		qsort(blocks, n, sizeof(*blocks), compare_blocks);
	add_heap(heap, blocks, n, ret);
	for (size_t i = 0; i < resident->n; i++) {
		const struct resident_mapping *m = &resident->items[i];
		bool is_heap = holds_chunks(heap, m, &next);

		ret->resident_bytes += m->rss_bytes;
		if (is_heap)
			in_heap += m->rss_bytes;
		else if (m->kind == RESIDENT_STACK)
			ret->stack_bytes += m->rss_bytes;
		else if (m->kind == RESIDENT_SHARED)
			ret->shared_bytes += m->rss_bytes;
		else
			add_private(m, ret);
	}
	of_heap = ret->outstanding_bytes + ret->rounding_bytes + ret->before_bytes +
		  ret->cached_bytes + ret->free_bytes + ret->own_bytes;
	/* What else shares a mapping with chunks counts as other memory. */
	if (in_heap > of_heap)
		ret->anonymous_bytes += in_heap - of_heap;
	else
		ret->untouched_bytes = of_heap - in_heap;
}

void account_read(pid_t pid, struct account_block *blocks, size_t n, struct memory_account *ret)
{
	struct resident resident = {0};
	struct glibc_heap heap = {0};
	struct maps maps = {0};
	struct diag ignored = {0};

	*ret = (struct memory_account){0};
	if (!maps_read(pid, &maps, &ignored) && !glibc_heap_read(pid, &maps, &heap, &ignored) &&
	    !resident_read(pid, &resident, &ignored)) {
		size_t n_threads = resident_find_stacks(pid, &resident);

		account_memory(&heap, &resident, blocks, n, ret);
		ret->n_threads = n_threads;
	}
	resident_done(&resident);
	glibc_heap_done(&heap);
	maps_done(&maps);
}
