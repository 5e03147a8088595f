// SPDX-License-Identifier: BSD-2-Clause
#include "reach/ended_stack.h"

#include <stdbool.h>

#include "model/threads.h"
#include "process/maps.h"

#define TOP_BYTES 8192 /* struct pthread of glibc takes 2.3 KiB */
#define SELF_WORD 2

static bool is_inside(const struct mapping *m, uint64_t address)
{
	return address >= m->start && address < m->end;
}

static bool is_in_use(const struct mapping *m, const struct thread_state *threads, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_inside(m, threads[i].stack_pointer) || is_inside(m, threads[i].robust_list))
			return true;
	return false;
}

/* The thread's descriptor at the top of m, 0: there is none. */
static uint64_t find_descriptor(const struct mapping *m, const struct reach_reader *reader)
{
	uint64_t words[TOP_BYTES / sizeof(uint64_t)], start;
	size_t n = TOP_BYTES / sizeof(uint64_t);

	if (m->end - m->start < TOP_BYTES)
		return 0;
	start = m->end - TOP_BYTES;
	if (reader->read(reader->arg, start, (char *)words, TOP_BYTES) != TOP_BYTES)
		return 0;
	for (size_t i = 0; i + SELF_WORD < n; i++) {
		uint64_t address = start + i * sizeof(uint64_t);

		if (words[i] == address && words[i + SELF_WORD] == address)
			return address;
	}
	return 0;
}

uint64_t reach_ended_stack(const struct mapping *m, const struct thread_state *threads,
			   size_t n_threads, const struct reach_reader *reader)
{
	if (m->inode || !m->readable || !m->writable || m->shared ||
	    is_in_use(m, threads, n_threads))
		return 0;
	return find_descriptor(m, reader);
}
