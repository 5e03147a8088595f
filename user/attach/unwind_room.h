/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_UNWIND_ROOM_H
#define SEEP_ATTACH_UNWIND_ROOM_H
/* The numbers from 0 on, handed out in runs and taken back: pages of a segment, entries of an array. First fit; neighbours that
 * are free again become one. Not thread-safe. */
#include <stddef.h>
#include <stdint.h>

struct room_gap {
	uint32_t first, n;
};

struct room {
	struct room_gap *items; /* what is free: sorted, none empty, none adjacent */
	size_t n, cap;
	size_t n_taken; /* runs */
};

/* [0, n) is free. Returns 0 or -ENOMEM. */
int room_init(struct room *room, uint32_t n);
void room_done(struct room *room);
/* Takes n > 0 numbers in a row. Returns 0, -ENOSPC or -ENOMEM. */
int room_take(struct room *room, uint32_t n, uint32_t *ret_first);
/* Gives back what room_take gave, whole. */
void room_give(struct room *room, uint32_t first, uint32_t n);

#endif
