// SPDX-License-Identifier: BSD-2-Clause
#include "reach/scanner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096ULL
#define CACHED_PAGES 1024
#define GROUP_PAGES 8 /* read at once where memory is looked at in order */
#define WORD_BYTES sizeof(uint64_t)
/* Blocks beyond this are read past the cache. */
#define LARGE_BYTES (16 * PAGE_BYTES)
/* Words that may point to blocks are looked up so many at a time: the first step of all is on its way from memory meanwhile. */
#define BATCH 32

int reach_scanner_init(struct reach_scanner *s)
{
	s->n_bytes = 0;
	s->cached = malloc(CACHED_PAGES * sizeof(*s->cached));
	s->pages = malloc(CACHED_PAGES * PAGE_BYTES);
	s->buffer = malloc(REACH_PIECE_BYTES);
	if (!s->cached || !s->pages || !s->buffer) {
		reach_scanner_done(s);
		return -ENOMEM;
	}
	reach_scanner_renew(s);
	return 0;
}

void reach_scanner_done(struct reach_scanner *s)
{
	free(s->cached);
	free(s->pages);
	free(s->buffer);
	s->cached = NULL;
	s->pages = s->buffer = NULL;
}

void reach_scanner_renew(struct reach_scanner *s)
{
	for (size_t i = 0; i < CACHED_PAGES; i++)
		s->cached[i] = 1;
}

#define UNTAGGED_BITS 0x0000fffffffffff8ULL

static uint64_t pointer_bits(const struct reach_scanner *s)
{
	return s->pointers.tagged ? UNTAGGED_BITS : ~0ULL;
}

void reach_scan_word(struct reach_scanner *s, uint64_t address, uint64_t word)
{
	uint32_t block;

	word &= pointer_bits(s);
	block = reach_blocks_at(s->blocks, word);
	if (block == REACH_NONE)
		return;
	if (s->pointers.interior || s->blocks->items[block].start == word)
		s->hit(s->arg, address, block);
}

/* text holds the bytes at [start, end), both aligned. */
static void scan_words(struct reach_scanner *s, const char *text, uint64_t start, uint64_t end)
{
	const uint64_t *words = (const uint64_t *)text;
	size_t n = (end - start) / WORD_BYTES, n_waiting = 0;
	const uint64_t bits = pointer_bits(s);
	uint32_t waiting[BATCH];

	s->n_bytes += end - start;
	for (size_t i = 0; i < n; i++) {
		if (!reach_blocks_near(s->blocks, words[i] & bits))
			continue;
		waiting[n_waiting++] = i;
		if (n_waiting < BATCH)
			continue;
		for (size_t j = 0; j < BATCH; j++)
			reach_scan_word(s, start + waiting[j] * WORD_BYTES, words[waiting[j]]);
		n_waiting = 0;
	}
	for (size_t j = 0; j < n_waiting; j++)
		reach_scan_word(s, start + waiting[j] * WORD_BYTES, words[waiting[j]]);
}

/* The bounds of the whole words in [*start, *end). */
static void align(uint64_t *start, uint64_t *end)
{
	*start = (*start + WORD_BYTES - 1) & ~(WORD_BYTES - 1);
	*end &= ~(WORD_BYTES - 1);
}

static bool is_cached(const struct reach_scanner *s, uint64_t page)
{
	return s->cached[(page / PAGE_BYTES) % CACHED_PAGES] == page;
}

/* Reads n pages into their slots, as far as they can be read. Returns -ESRCH or 0. */
static int read_pages(struct reach_scanner *s, uint64_t page, size_t n)
{
	size_t slot = (page / PAGE_BYTES) % CACHED_PAGES;
	ssize_t got;

	for (size_t i = 0; i < n; i++)
		s->cached[slot + i] = 1;
	got = s->reader->read(s->reader->arg, page, s->pages + slot * PAGE_BYTES, n * PAGE_BYTES);
	if (got <= 0)
		return got;
	for (size_t i = 0; i < got / PAGE_BYTES; i++)
		s->cached[slot + i] = page + i * PAGE_BYTES;
	return 0;
}

/* The page at address, from the cache or read; NULL when it cannot be read. Where its neighbour was of use, so will be those around
 * it. */
static const char *cached_page(struct reach_scanner *s, uint64_t page, int *ret_err)
{
	uint64_t group = page & ~(GROUP_PAGES * PAGE_BYTES - 1);

	if (!is_cached(s, page) &&
	    (is_cached(s, page - PAGE_BYTES) || is_cached(s, page + PAGE_BYTES)))
		*ret_err = read_pages(s, group, GROUP_PAGES);
	if (!*ret_err && !is_cached(s, page))
		*ret_err = read_pages(s, page, 1);
	if (!is_cached(s, page))
		return NULL;
	return s->pages + (page / PAGE_BYTES) % CACHED_PAGES * PAGE_BYTES;
}

static int scan_small(struct reach_scanner *s, uint64_t start, uint64_t end)
{
	int err = 0;

	while (start < end && !err) {
		uint64_t page = start & ~(PAGE_BYTES - 1);
		uint64_t stop = page + PAGE_BYTES < end ? page + PAGE_BYTES : end;
		const char *text = cached_page(s, page, &err);

		if (text)
			scan_words(s, text + (start - page), start, stop);
		start = stop;
	}
	return err;
}

/* Reads [start, end), at most a piece, into the buffer and passes each part that can be read to scan. */
static int read_piece(struct reach_scanner *s, uint64_t start, uint64_t end,
		      void (*scan)(struct reach_scanner *s, const char *text, uint64_t start,
				   uint64_t end))
{
	while (start < end) {
		ssize_t n = s->reader->read(s->reader->arg, start, s->buffer, end - start);

		if (n < 0)
			return n;
		n &= ~(WORD_BYTES - 1);
		if (n)
			scan(s, s->buffer, start, start + n);
		start += n;
		/* What cannot be read cannot by pages. */
		if (start < end)
			start = (start + PAGE_BYTES) & ~(PAGE_BYTES - 1);
	}
	return 0;
}

static int scan_large(struct reach_scanner *s, uint64_t start, uint64_t end)
{
	uint64_t from, to;
	int err = 0;

	while (!err && start < end &&
	       s->reader->touched(s->reader->arg, start, end, false, &from, &to)) {
		if (to - from > REACH_PIECE_BYTES)
			to = from + REACH_PIECE_BYTES;
		start = to;
		align(&from, &to);
		err = read_piece(s, from, to, scan_words);
	}
	return err;
}

int reach_scan_block(struct reach_scanner *s, uint32_t block)
{
	uint64_t start = s->blocks->items[block].start, end = reach_block_limit(s->blocks, block);

	align(&start, &end);
	if (start >= end)
		return 0;
	return end - start > LARGE_BYTES ? scan_large(s, start, end) : scan_small(s, start, end);
}

/* The next words from *at on that are in no block, before end: false when there are none. i: the first block that ends beyond *at; moves
 * on with it. */
static bool next_gap(const struct reach_blocks *b, size_t *i, uint64_t *at, uint64_t end,
		     uint64_t *ret_from, uint64_t *ret_to)
{
	while (*at < end) {
		bool is_last = *i >= b->n || b->items[*i].start >= end;

		*ret_from = *at;
		*ret_to = is_last ? end : b->items[*i].start;
		*at = is_last ? end : reach_block_limit(b, *i);
		*i += !is_last;
		align(ret_from, ret_to);
		if (*ret_from < *ret_to)
			return true;
	}
	return false;
}

/* Before start there may be a block whose memory reaches beyond it. */
static size_t first_block(const struct reach_blocks *b, uint64_t *start)
{
	size_t i = reach_blocks_from(b, *start);

	if (i && reach_block_limit(b, i - 1) > *start)
		*start = reach_block_limit(b, i - 1);
	return i;
}

static void scan_gaps(struct reach_scanner *s, const char *text, uint64_t start, uint64_t end)
{
	uint64_t at = start, from, to;
	size_t i = first_block(s->blocks, &at);

	while (next_gap(s->blocks, &i, &at, end, &from, &to))
		scan_words(s, text + (from - start), from, to);
}

/* Memory full of blocks is not read here: most of a heap. */
int reach_scan_between(struct reach_scanner *s, uint64_t start, uint64_t end)
{
	uint64_t at = start, first = end, last = end, from, to;
	size_t i = first_block(s->blocks, &at);

	while (next_gap(s->blocks, &i, &at, end, &from, &to)) {
		if (first == end)
			first = from;
		last = to;
	}
	return read_piece(s, first, last, scan_gaps);
}
