/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_RANGES_H
#define SEEP_COLLECT_RANGES_H
/* Memory that processes map themselves: which parts of which mmap or brk call are still there. Or, in ranges of their own, the pages
 * that were touched, or a sample of them.
 *
 * A call makes an allocation of one range. munmap may take parts out of its middle, mremap may move, grow and shrink it:
 * its pieces remember where they are from, and it is freed when its last byte is gone. What grows or moves keeps its age.
 *
 * Built from events in the order of the kernel's ring; any order, size and overlap is survived, as events may have been
 * lost: the newest word on an address holds, and outstanding is always the sum of the pieces. Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/snapshot.h"

struct ranges;

/* session_start_ns: CLOCK_MONOTONIC. max_pieces: bound of what is kept, all processes together, about 100 bytes each.
 * Returns 0 or -errno. */
int ranges_create(uint64_t session_start_ns, size_t max_pieces, struct ranges **ret);
void ranges_destroy(struct ranges *r);

/* Whether anything was ever added for the instance, and it was not forgotten. */
bool ranges_has(const struct ranges *r, instance_id instance);

/* A call made a range; whatever was recorded there is freed. Empty ranges are ignored; one past the end of the address space ends
 * there. Returns 0, or -ENOSPC or -ENOMEM: the range is not recorded, and counted by ranges_lost. */
int ranges_add(struct ranges *r, instance_id instance, enum site_kind kind, uint64_t stack,
	       uint64_t time_ns, uint64_t start, uint64_t n_bytes);
/* The same for a page that was touched first, of kind SITE_FAULT: it counts as `weight` such, 0 as one. */
int ranges_touch(struct ranges *r, instance_id instance, uint64_t stack, uint64_t time_ns,
		 uint64_t start, uint64_t n_bytes, uint32_t weight);

/* A thread begins a call that unmaps or moves a range: what is recorded there counts as freed, and is kept until the call's end.
 * Only a thread's last call is kept. Returns 0, or -ENOSPC or -ENOMEM: it counts as outstanding still, and as one loss. */
int ranges_take(struct ranges *r, instance_id instance, uint32_t tid, uint64_t start,
		uint64_t n_bytes);

/* The thread's call failed: all is as it was. */
void ranges_put_back(struct ranges *r, instance_id instance, uint32_t tid);
/* It succeeded, and what it took is now n_bytes at start; 0 bytes: nowhere. A range that grew does so at its end, as part of the
 * allocation that was there; one of pages (SITE_FAULT) does not. */
void ranges_settle(struct ranges *r, instance_id instance, uint32_t tid, uint64_t start,
		   uint64_t n_bytes);

void ranges_forget(struct ranges *r, instance_id instance);

/* Ranges and parts of them that could not be recorded for want of memory or room. */
uint64_t ranges_lost(const struct ranges *r, instance_id instance);
/* Appends all sites of all instances to s, as of s->time_ns. Returns 0 or -ENOMEM. */
int ranges_read(const struct ranges *r, struct snapshot *s);
/* Passes every piece to visit, by instance and address within it, until it returns non-zero, which is returned. */
int ranges_each_block(struct ranges *r, int (*visit)(void *arg, const struct snapshot_block *block),
		      void *arg);

#endif
