// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/scanning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "collect/collector.h"
#include "collect/threads.h"
#include "process/freeze.h"
#include "process/maps.h"
#include "reach/heap_chunks.h"
#include "reach/glibc_heap.h"
#include "reach/leaks.h"
#include "reach/pass.h"

#define THOROUGH 2 /* passes at least that look twice, where pointers move */

int scanning_open_stopped(struct scanning *s, pid_t pid, struct collector *collector,
			  const struct reach_options *options, struct diag *d)
{
	s->pid = pid;
	s->collector = collector;
	s->options = *options;
	return reach_memory_open(pid, &s->memory, d);
}

int scanning_open(struct scanning *s, pid_t pid, struct collector *collector,
		  const struct reach_options *options, struct diag *d)
{
	int err = scanning_open_stopped(s, pid, collector, options, d);

	return err ? err : thread_reader_create(pid, &s->threads_reader, d);
}

static void forget_pass(struct scanning *s)
{
	free(s->threads);
	free(s->marks);
	s->threads = NULL;
	s->marks = NULL;
	s->n_threads = 0;
	reach_blocks_done(&s->blocks);
}

void scanning_close(struct scanning *s)
{
	scanning_resume(s);
	forget_pass(s);
	free(s->leaks);
	free(s->kinds);
	free(s->roots);
	reach_candidates_done(&s->candidates);
	thread_reader_destroy(s->threads_reader);
	reach_memory_close(&s->memory);
}

struct taking {
	struct reach_blocks *blocks;
	uint32_t instance;
};

/* What lies beyond the end of the address space is no block of anybody's. */
static int take_block(void *arg, const struct snapshot_block *b)
{
	const struct taking *t = arg;
	int err;

	if (b->instance != t->instance || b->kind != SITE_MALLOC)
		return 0;
	err = reach_blocks_add(t->blocks, b->address, b->size_bytes, b->time_ns);
	return err == -ERANGE ? 0 : err;
}

static int take_blocks(struct scanning *s, uint32_t instance)
{
	struct taking t = {&s->blocks, instance};
	int err = collector_each_block(s->collector, take_block, &t);

	if (!err)
		err = reach_blocks_finish(&s->blocks);
	if (!err && s->wanted && reach_blocks_at(&s->blocks, s->wanted) == REACH_NONE) {
		err = reach_blocks_add(&s->blocks, s->wanted, sizeof(s->wanted), 0);
		if (!err)
			err = reach_blocks_finish(&s->blocks);
	}
	if (!err) {
		s->marks = calloc(s->blocks.n + 1, 1);
		err = s->marks ? 0 : -ENOMEM;
	}
	return err;
}

static int prepare_blocks(struct scanning *s, uint32_t instance, struct diag *d)
{
	int err = take_blocks(s, instance);

	return err ? diag_set(d, -err, "cannot read the blocks from the kernel: %s", strerror(-err))
		   : 0;
}

/* What glibc's heap says, where the process uses it; another one's memory is all taken for the program's. stands: what was freed is
 * known, and is no root. */
static int add_heap(struct scanning *s, bool stands)
{
	struct glibc_heap heap = {0};
	struct maps maps = {0};
	struct diag ignored = {0};
	uint8_t *marks;
	int err = 0;

	if (!maps_read(s->pid, &maps, &ignored) &&
	    !glibc_heap_read(s->pid, &maps, &heap, &ignored)) {
		s->n_arenas = heap.n_arenas;
		s->unparsed_bytes = heap.unparsed_bytes;
		if (s->heap_walk)
			err = reach_walked_add(&s->blocks, &heap);
		if (!err && stands)
			err = reach_freed_add(&s->blocks, &heap);
	}
	glibc_heap_done(&heap);
	maps_done(&maps);
	marks = err ? NULL : calloc(s->blocks.n + 1, 1);
	if (!marks)
		return -ENOMEM;
	free(s->marks);
	s->marks = marks;
	reach_freed_mark(&s->blocks, marks);
	return 0;
}

int scanning_prepare_stopped(struct scanning *s, uint32_t instance, struct thread_state *threads,
			     size_t n_threads, struct diag *d)
{
	int err;

	forget_pass(s);
	s->options.stands = true;
	s->threads = threads;
	s->n_threads = n_threads;
	err = prepare_blocks(s, instance, d);
	if (!err && add_heap(s, true))
		err = diag_set(d, ENOMEM, "out of memory");
	return err;
}

int scanning_prepare(struct scanning *s, uint32_t instance, bool stop, struct diag *d)
{
	int err;

	forget_pass(s);
	s->options.stands = stop;
	err = stop ? freeze_create(s->pid, &s->freeze, d) : 0;
	if (!err)
		err = prepare_blocks(s, instance, d);
	if (!err && (stop || s->heap_walk) && add_heap(s, stop))
		err = diag_set(d, ENOMEM, "out of memory");
	if (err)
		return err;
	return thread_reader_read(s->threads_reader, &s->threads, &s->n_threads, d);
}

void scanning_resume(struct scanning *s)
{
	s->stopped_ns += freeze_destroy(s->freeze);
	s->freeze = NULL;
}

static int find_leaks(struct scanning *s, const struct reach_reader *reader)
{
	const struct reach_blocks *b = &s->blocks;

	s->leaks = calloc(b->n + 1, 1);
	s->kinds = calloc(b->n + 1, 1);
	s->roots = calloc(b->n + 1, sizeof(*s->roots));
	if (!s->leaks || !s->kinds || !s->roots)
		return -ENOMEM;
	for (size_t i = 0; i < b->n; i++)
		s->leaks[i] = reach_candidates_has(&s->candidates, b->items[i].start,
						   b->items[i].birth_ns);
	return reach_leaks(b, reader, s->options.pointers, s->leaks, &s->progress.stop, s->kinds,
			   s->roots);
}

static bool is_settled(const struct scanning *s, unsigned n_passes)
{
	const struct reach_candidates *c = &s->candidates;

	if (c->n_passes < n_passes)
		return false;
	if (n_passes == 1 || c->n_passes >= SCANNING_MORE * n_passes)
		return true;
	return !c->moving || (!c->n_returned && s->n_thorough >= THOROUGH);
}

/* What a pass reaches. Threads are where they are by then. */
static int reach(struct scanning *s, const struct reach_reader *reader, struct diag *d)
{
	struct reach_options options = s->options;
	int err = reach_pass(s->pid, &s->blocks, s->threads, s->n_threads, reader, &options,
			     &s->progress, s->marks, d);

	if (err || !s->candidates.moving)
		return err;
	free(s->threads);
	s->threads = NULL;
	s->n_threads = 0;
	err = thread_reader_read(s->threads_reader, &s->threads, &s->n_threads, d);
	options.again = true;
	s->n_thorough++;
	if (!err)
		err = reach_pass(s->pid, &s->blocks, s->threads, s->n_threads, reader, &options,
				 &s->progress, s->marks, d);
	return err;
}

int scanning_pass(struct scanning *s, unsigned n_passes, struct diag *d)
{
	const struct reach_reader reader = reach_memory_reader(&s->memory);
	uint64_t began_ns = clock_monotonic_ns();
	int err;

	s->progress.n_bytes = 0;
	err = reach(s, &reader, d);
	if (err)
		return err;
	s->pass_bytes = s->progress.n_bytes;
	s->pass_ns = clock_monotonic_ns() - began_ns;
	err = reach_candidates_pass(&s->candidates, &s->blocks, s->marks);
	s->settled = !err && is_settled(s, n_passes);
	if (s->settled)
		err = find_leaks(s, &reader);
	return err ? diag_set(d, -err, "process %d cannot be scanned: %s", s->pid, strerror(-err))
		   : 0;
}
