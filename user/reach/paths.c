// SPDX-License-Identifier: BSD-2-Clause
#include "reach/paths.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/vec.h"

/* Blocks are visited in the order of their distance from the roots, and each remembers the word that led to it first. */
struct search {
	const struct reach_blocks *blocks;
	uint64_t *from;	 /* by block: the word's address, 0: not reached */
	uint32_t *queue; /* blocks in the order in which they were reached */
	size_t n_reached, n_visited;
	struct reach_scanner scanner;
};

static void reached(void *arg, uint64_t address, uint32_t block)
{
	struct search *s = arg;

	if (s->from[block])
		return;
	s->from[block] = address;
	s->queue[s->n_reached++] = block;
}

static int go_on(struct search *s, uint32_t target, struct reach_progress *progress)
{
	progress->n_bytes = s->scanner.n_bytes;
	if (progress->stop)
		return -ECANCELED;
	return s->from[target] ? 1 : 0;
}

/* Returns 1 once target is reached, 0 when it is not, or -errno. */
static int search(struct search *s, const struct reach_roots *roots, uint32_t target,
		  struct reach_progress *progress)
{
	int r = 0;

	for (size_t i = 0; i < roots->registers.n; i++)
		reach_scan_word(&s->scanner, REACH_IN_REGISTER | i, roots->registers.items[i]);
	for (size_t i = 0; i < roots->pieces.n && !r; i++) {
		r = reach_scan_between(&s->scanner, roots->pieces.items[i].start,
				       roots->pieces.items[i].end);
		if (!r)
			r = go_on(s, target, progress);
	}
	while (!r && s->n_visited < s->n_reached) {
		r = reach_scan_block(&s->scanner, s->queue[s->n_visited++]);
		if (!r)
			r = go_on(s, target, progress);
	}
	return r ? r : go_on(s, target, progress);
}

/* The block whose memory holds the word at address; the memory of one may reach a little beyond its end. */
static uint32_t holder(const struct reach_blocks *b, uint64_t address)
{
	size_t i = reach_blocks_from(b, address);

	if (i < b->n && b->items[i].start <= address)
		return i;
	if (i && address < reach_block_limit(b, i - 1))
		return i - 1;
	return REACH_NONE;
}

static int walk_back(const struct search *s, uint32_t target, struct reach_path *ret)
{
	uint32_t block = target;
	int err = 0;

	while (!err && block != REACH_NONE) {
		uint64_t address = s->from[block];

		err = vec_push(ret, (struct reach_step){address, block});
		block = address & REACH_IN_REGISTER ? REACH_NONE : holder(s->blocks, address);
	}
	for (size_t i = 0; i < ret->n / 2; i++) {
		struct reach_step step = ret->items[i];

		ret->items[i] = ret->items[ret->n - 1 - i];
		ret->items[ret->n - 1 - i] = step;
	}
	return err;
}

int reach_path_find(const struct reach_blocks *blocks, const struct reach_roots *roots,
		    const struct reach_reader *reader, struct reach_pointers pointers,
		    uint32_t target, struct reach_progress *progress, struct reach_path *ret)
{
	_cleanup_free_ uint64_t *from = calloc(blocks->n + 1, sizeof(*from));
	_cleanup_free_ uint32_t *queue = calloc(blocks->n + 1, sizeof(*queue));
	struct search s = {
		.blocks = blocks,
		.from = from,
		.queue = queue,
		.scanner = {.blocks = blocks,
			    .reader = reader,
			    .pointers = pointers,
			    .hit = reached,
			    .arg = &s},
	};
	struct reach_path path = {0};
	int r = from && queue ? reach_scanner_init(&s.scanner) : -ENOMEM;

	if (r)
		return r;
	r = search(&s, roots, target, progress);
	if (r > 0)
		r = walk_back(&s, target, &path);
	reach_scanner_done(&s.scanner);
	if (r < 0)
		free(path.items);
	else
		*ret = path;
	return r;
}
