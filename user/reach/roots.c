// SPDX-License-Identifier: BSD-2-Clause
#include "reach/roots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "process/maps.h"
#include "reach/ended_stack.h"

#define WORD_BYTES sizeof(uint64_t)

/* Not the kernel's [vvar] and [vdso], and no files that are shared with whoever writes them. */
static bool may_hold_pointers(const struct mapping *m)
{
	return m->readable && strncmp(m->path, "[v", 2) && (m->writable || !m->shared);
}

/* A file's private mapping is as the file is but for what the process has written, which may be protected by now: the loader does
 * so (RELRO). */
static bool only_own(const struct mapping *m)
{
	return m->inode && !m->shared;
}

/* Thread libraries put a guard before each stack. Elsewhere a stack may share its mapping with other data. */
static bool is_stack(const struct mapping *m, const struct mapping *before)
{
	if (!strncmp(m->path, "[stack", 6))
		return true;
	return !m->inode && before && before->end == m->start && !before->readable &&
	       !before->writable && !before->executable;
}

/* How far down a thread's stack is in use. */
static uint64_t in_use_from(const struct thread_state *t)
{
	uint64_t below = t->running ? REACH_RUNNING_SLACK : REACH_RED_ZONE;

	return t->stack_pointer > below ? (t->stack_pointer - below) & ~(WORD_BYTES - 1) : 0;
}

void reach_root_bounds(const struct mapping *m, const struct mapping *before,
		       const struct thread_state *threads, size_t n_threads, uint64_t *ret_start,
		       uint64_t *ret_end)
{
	uint64_t lowest = UINT64_MAX;

	*ret_start = *ret_end = m->start;
	if (!may_hold_pointers(m))
		return;
	*ret_end = m->end;
	if (!is_stack(m, before))
		return;
	for (size_t i = 0; i < n_threads; i++) {
		uint64_t sp = threads[i].stack_pointer, from = in_use_from(&threads[i]);

		if (sp >= m->start && sp < m->end && from < lowest)
			lowest = from;
	}
	if (lowest != UINT64_MAX && lowest > m->start)
		*ret_start = lowest;
}

static int add_pieces(struct reach_roots *r, const struct reach_reader *reader, uint64_t start,
		      uint64_t end, bool own)
{
	uint64_t from, to;
	int err = 0;

	while (!err && start < end && reader->touched(reader->arg, start, end, own, &from, &to)) {
		if (to - from > REACH_PIECE_BYTES)
			to = from + REACH_PIECE_BYTES;
		err = vec_push(&r->pieces, (struct reach_piece){from, to});
		start = to;
	}
	return err;
}

/* Where what may be in use of a stack begins, if its thread has ended; else start. */
static uint64_t ended_until(const struct mapping *m, const struct thread_state *threads,
			    size_t n_threads, const struct reach_reader *reader, uint64_t start)
{
	uint64_t descriptor = reach_ended_stack(m, threads, n_threads, reader);

	return descriptor > start ? descriptor : start;
}

int reach_roots_find(const struct maps *maps, const struct thread_state *threads, size_t n_threads,
		     const struct reach_reader *reader, bool stands, struct reach_roots *ret)
{
	struct reach_roots r = {0};
	int err = 0;

	for (size_t i = 0; i < n_threads && !err; i++)
		for (size_t j = 0; j < THREAD_REGISTERS && !err; j++)
			err = vec_push(&r.registers, threads[i].registers[j]);
	for (size_t i = 0; i < maps->n && !err; i++) {
		const struct mapping *m = &maps->items[i], *before = i ? m - 1 : NULL;
		uint64_t start, end;

		reach_root_bounds(m, before, threads, n_threads, &start, &end);
		if (stands && is_stack(m, before))
			start = ended_until(m, threads, n_threads, reader, start);
		err = add_pieces(&r, reader, start, end, only_own(m));
	}
	if (err)
		reach_roots_done(&r);
	else
		*ret = r;
	return err;
}

void reach_roots_done(struct reach_roots *r)
{
	free(r->pieces.items);
	free(r->registers.items);
	*r = (struct reach_roots){0};
}
