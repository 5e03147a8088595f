// SPDX-License-Identifier: BSD-2-Clause
#include "attach/unwind_segments.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES sizeof(struct wire_row_page)
#define SEGMENT_MIN_PAGES ((4 << 20) / PAGE_BYTES)

void segments_init(struct segments *s, int map_fd, size_t max_bytes)
{
	size_t max_pages = max_bytes / PAGE_BYTES;

	/* Numbers of pages have 32 bits, and the kernel searches among 2^19 (PAGE_STEPS). */
	if (max_pages > (size_t)WIRE_SEGMENTS << 19)
		max_pages = (size_t)WIRE_SEGMENTS << 19;
	*s = (struct segments){.map_fd = map_fd, .max_pages = max_pages};
}

static void segment_done(struct segment *segment)
{
	room_done(&segment->room);
	if (segment->pages && segment->pages != MAP_FAILED)
		munmap(segment->pages, segment->n_pages * PAGE_BYTES);
	if (segment->fd >= 0)
		close(segment->fd);
}

void segments_done(struct segments *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		segment_done(&s->items[i]);
	s->n = 0;
}

static int segment_fill(struct segment *segment)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);

	segment->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rows", sizeof(uint32_t), PAGE_BYTES,
				     segment->n_pages, &options);
	if (segment->fd < 0)
		return segment->fd;
	segment->pages = mmap(NULL, segment->n_pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_SHARED, segment->fd, 0);
	if (segment->pages == MAP_FAILED)
		return -errno;
	return room_init(&segment->room, segment->n_pages);
}

/* The bound divided by the number of segments is the least a segment has, so that the number suffices. */
static size_t segment_pages(const struct segments *s, size_t wanted)
{
	size_t n = wanted, left = s->max_pages - s->n_pages;

	if (n < SEGMENT_MIN_PAGES)
		n = SEGMENT_MIN_PAGES;
	if (n < (s->max_pages + WIRE_SEGMENTS - 1) / WIRE_SEGMENTS)
		n = (s->max_pages + WIRE_SEGMENTS - 1) / WIRE_SEGMENTS;
	return n < left ? n : left;
}

static int segment_add(struct segments *s, size_t n_pages, struct diag *d)
{
	struct segment *segment = &s->items[s->n];
	int err;

	*segment = (struct segment){.fd = -1, .n_pages = n_pages};
	err = segment_fill(segment);
	if (!err)
		err = bpf_map_update_elem(s->map_fd, &s->n, &segment->fd, BPF_ANY);
	if (err) {
		segment_done(segment);
		return diag_set(d, -err, "%zu kB of unwind tables: %s", n_pages * PAGE_BYTES / 1024,
				strerror(-err));
	}
	s->n_pages += n_pages;
	s->n++;
	return 0;
}

int segments_take(struct segments *s, uint32_t n_pages, struct rows_place *ret, struct diag *d)
{
	struct rows_place place = {.n_pages = n_pages};
	size_t more;
	int err;

	for (uint32_t i = 0; i < s->n; i++) {
		err = room_take(&s->items[i].room, n_pages, &place.first_page);
		if (err == -ENOSPC)
			continue;
		if (err)
			return diag_set(d, -err, "out of memory");
		place.segment = i;
		*ret = place;
		return 0;
	}
	more = segment_pages(s, n_pages);
	if (s->n == WIRE_SEGMENTS || more < n_pages)
		return -ENOSPC;
	err = segment_add(s, more, d);
	return err ? err : segments_take(s, n_pages, ret, d);
}

void segments_give(struct segments *s, const struct rows_place *place)
{
	room_give(&s->items[place->segment].room, place->first_page, place->n_pages);
}

struct wire_row_page *segments_pages(const struct segments *s, const struct rows_place *place)
{
	return &s->items[place->segment].pages[place->first_page];
}

/* The kernel waits for all programs that run when an array of arrays changes (1ae80cf31938, 4.19), whatever the change. */
int segments_settle(const struct segments *s)
{
	const uint32_t first = 0;

	return s->n ? bpf_map_update_elem(s->map_fd, &first, &s->items[0].fd, BPF_ANY) : 0;
}
