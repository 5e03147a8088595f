/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_UNWIND_SEGMENTS_H
#define SEEP_ATTACH_UNWIND_SEGMENTS_H
/* Pages of rows in the kernel: arrays that we have mapped and write to directly, made as they are needed, up to a bound.
 * Not thread-safe. */
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "attach/unwind_room.h"
#include "wire.h"

/* Where a table lies; n_pages 0: nowhere. */
struct rows_place {
	uint32_t segment, first_page, n_pages;
};

struct segment {
	int fd;
	uint32_t n_pages;
	struct wire_row_page *pages;
	struct room room;
};

struct segments {
	int map_fd; /* row_segments */
	size_t max_pages, n_pages;
	struct segment items[WIRE_SEGMENTS];
	uint32_t n;
};

/* map_fd is borrowed. */
void segments_init(struct segments *s, int map_fd, size_t max_bytes);
void segments_done(struct segments *s);

/* Room for a table of n_pages > 0 pages. Making a segment takes the kernel some 10 ms, so it is made for more than one table.
 * Returns 0; -ENOSPC: the bound is reached; another -errno with a diag. */
int segments_take(struct segments *s, uint32_t n_pages, struct rows_place *ret, struct diag *d);
/* No published mapping refers to it any more; before it is written to again, segments_settle. */
void segments_give(struct segments *s, const struct rows_place *place);
struct wire_row_page *segments_pages(const struct segments *s, const struct rows_place *place);

/* Waits until each walk that was under way in the kernel has ended. Returns 0 or -errno. */
int segments_settle(const struct segments *s);

#endif
