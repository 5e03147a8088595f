// SPDX-License-Identifier: BSD-2-Clause
#include "reach/leaks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

/* Pointers between leaks are not kept, as there may be any number: memory is read again instead.
 *
 * 1. Each leak is looked at once, and what it points to is marked as pointed to. What remains unmarked is direct.
 * 2. From each direct one all that it leads to is made its own.
 * 3. What is left lies in cycles, or behind them: each block of it has a pointer to it from another. From every block of it not
 *    yet visited, in order of addresses, all is visited that it leads to; the blocks begun with are noted. Then they are taken from
 *    the last to the first. To the last one nothing leads but what it leads to itself: whatever was visited before it did not lead
 *    to it, or it would have been visited. So it is in a cycle that nobody outside holds, and owns all that it leads to. With that
 *    taken away the same holds for the one before it, unless it was taken with it.
 *
 * The process runs on while this is done, so a pointer may be there in one step and not in the next: all the same each leak gets
 * an owner. */

struct holding {
	const struct reach_blocks *blocks;
	const uint8_t *is_leak;
	const _Atomic bool *stop;
	uint8_t *kinds;
	uint32_t *roots;
	struct reach_scanner scanner;
	uint32_t from; /* the block that is looked at */
	uint32_t root; /* whose all becomes that is reached */
	bool visiting; /* it becomes nobody's, it is but visited */
	struct {
		uint32_t *items;
		size_t n, cap;
	} stack, begun;
	uint8_t *visited;
	int err;
};

static void point(void *arg, uint64_t address, uint32_t block)
{
	struct holding *h = arg;

	(void)address;
	if (block != h->from && h->is_leak[block])
		h->kinds[block] = REACH_INDIRECT;
}

/* Whether the block was not reached yet, in this step. */
static bool take(struct holding *h, uint32_t block)
{
	if (h->visiting) {
		if (h->visited[block])
			return false;
		h->visited[block] = 1;
		return h->roots[block] == REACH_NONE;
	}
	if (h->roots[block] != REACH_NONE)
		return false;
	h->roots[block] = h->root;
	return true;
}

static void hold(void *arg, uint64_t address, uint32_t block)
{
	struct holding *h = arg;

	(void)address;
	if (h->is_leak[block] && take(h, block) && vec_push(&h->stack, block))
		h->err = -ENOMEM;
}

static int look_at(struct holding *h, uint32_t block)
{
	int err = reach_scan_block(&h->scanner, block);

	if (!err && *h->stop)
		err = -ECANCELED;
	return err ? err : h->err;
}

/* All that block leads to, with itself. */
static int follow(struct holding *h, uint32_t block)
{
	int err = 0;

	h->root = block;
	hold(h, 0, block);
	while (h->stack.n && !err)
		err = look_at(h, h->stack.items[--h->stack.n]);
	return err ? err : h->err;
}

static int find_direct(struct holding *h)
{
	int err = 0;

	for (uint32_t i = 0; i < h->blocks->n && !err; i++) {
		h->from = i;
		if (h->is_leak[i])
			err = look_at(h, i);
	}
	for (uint32_t i = 0; i < h->blocks->n; i++)
		if (h->is_leak[i] && !h->kinds[i])
			h->kinds[i] = REACH_DIRECT;
	return err;
}

static bool is_left(const struct holding *h, uint32_t block)
{
	return h->is_leak[block] && h->roots[block] == REACH_NONE;
}

static int follow_cycles(struct holding *h)
{
	int err = 0;

	h->visiting = true;
	for (uint32_t i = 0; i < h->blocks->n && !err; i++) {
		if (!is_left(h, i) || h->visited[i])
			continue;
		err = vec_push(&h->begun, i);
		if (!err)
			err = follow(h, i);
	}
	h->visiting = false;
	for (size_t n = h->begun.n; n && !err; n--) {
		uint32_t i = h->begun.items[n - 1];

		if (!is_left(h, i))
			continue;
		h->kinds[i] = REACH_CYCLE;
		err = follow(h, i);
	}
	/* What pointed to them when they were visited is gone. */
	for (uint32_t i = 0; i < h->blocks->n && !err; i++)
		if (is_left(h, i)) {
			h->kinds[i] = REACH_CYCLE;
			err = follow(h, i);
		}
	return err;
}

static int find_holders(struct holding *h)
{
	int err = find_direct(h);

	h->scanner.hit = hold;
	for (uint32_t i = 0; i < h->blocks->n && !err; i++)
		if (h->kinds[i] == REACH_DIRECT)
			err = follow(h, i);
	return err ? err : follow_cycles(h);
}

int reach_leaks(const struct reach_blocks *blocks, const struct reach_reader *reader,
		struct reach_pointers pointers, const uint8_t *is_leak, const _Atomic bool *stop,
		uint8_t *kinds, uint32_t *roots)
{
	_cleanup_free_ uint8_t *visited = calloc(blocks->n + 1, 1);
	struct holding h = {
		.blocks = blocks,
		.is_leak = is_leak,
		.stop = stop,
		.kinds = kinds,
		.roots = roots,
		.scanner = {.blocks = blocks,
			    .reader = reader,
			    .pointers = pointers,
			    .hit = point,
			    .arg = &h},
		.visited = visited,
	};
	int err = visited ? reach_scanner_init(&h.scanner) : -ENOMEM;

	if (err)
		return err;
	memset(kinds, REACH_NO_LEAK, blocks->n);
	for (size_t i = 0; i < blocks->n; i++)
		roots[i] = REACH_NONE;
	err = find_holders(&h);
	reach_scanner_done(&h.scanner);
	free(h.stack.items);
	free(h.begun.items);
	return err;
}
