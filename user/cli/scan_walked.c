// SPDX-License-Identifier: BSD-2-Clause
#include "cli/scan_walked.h"

#include <errno.h>

#include "base/hashmap.h"
#include "base/vec.h"
#include "daemon/scanning.h"
#include "reach/heap_chunks.h"
#include "reach/leaks.h"

struct groups {
	struct scan_walked *items;
	size_t n, cap;
	struct hashmap by_size; /* -> number + 1 */
};

static bool is_walked(const struct scanning *s, size_t i)
{
	return s->blocks.items[i].birth_ns == REACH_WALKED;
}

static uint64_t size_of(const struct scanning *s, size_t i)
{
	return s->blocks.items[i].end - s->blocks.items[i].start;
}

static void count(struct scan_count *c, uint64_t bytes)
{
	c->n++;
	c->bytes += bytes;
}

/* The group of that size, made when new; NULL without memory. */
static struct scan_walked *group_of(struct groups *g, uint64_t size_bytes)
{
	uintptr_t number = (uintptr_t)hashmap_get(&g->by_size, size_bytes);

	if (!number) {
		if (vec_push(g, (struct scan_walked){.size_bytes = size_bytes}) ||
		    hashmap_put(&g->by_size, size_bytes, (void *)(uintptr_t)g->n))
			return NULL;
		number = g->n;
	}
	return &g->items[number - 1];
}

static int count_leak(const struct scanning *s, size_t i, struct groups *g)
{
	struct scan_walked *group = group_of(g, size_of(s, i));
	enum reach_leak kind = s->kinds[i];

	if (!group)
		return -ENOMEM;
	if (!group->example || kind == REACH_DIRECT)
		group->example = s->blocks.items[i].start;
	count(kind == REACH_DIRECT  ? &group->direct
	      : kind == REACH_CYCLE ? &group->cycle
				    : &group->indirect,
	      group->size_bytes);
	return 0;
}

/* Blocks that were traced may be held by one from before, too. */
static int count_held(const struct scanning *s, struct groups *g)
{
	for (size_t i = 0; i < s->blocks.n; i++) {
		uint32_t root = s->roots[i];
		struct scan_walked *group;

		if (!s->leaks[i] || root == REACH_NONE || root == i || !is_walked(s, root))
			continue;
		group = group_of(g, size_of(s, root));
		if (!group)
			return -ENOMEM;
		count(&group->held, size_of(s, i));
	}
	return 0;
}

int scan_walked_sum(const struct scanning *s, struct scan_report *ret)
{
	struct groups g = {0};
	int err = 0;

	ret->heap_walk = s->heap_walk;
	ret->n_arenas = s->n_arenas;
	ret->unparsed_bytes = s->unparsed_bytes;
	for (size_t i = 0; s->heap_walk && i < s->blocks.n && !err; i++) {
		if (!is_walked(s, i))
			continue;
		count(&ret->before, size_of(s, i));
		if (!s->leaks[i])
			continue;
		count(&ret->before_unreachable, size_of(s, i));
		err = count_leak(s, i, &g);
	}
	if (!err && s->heap_walk)
		err = count_held(s, &g);
	hashmap_done(&g.by_size);
	ret->walked = g.items;
	ret->n_walked = g.n;
	return err;
}

int scan_walked_each(const struct scanning *s, uint32_t process,
		     int (*visit)(void *arg, const struct block *b), void *arg)
{
	int err = 0;

	for (size_t i = 0; s->leaks && i < s->blocks.n && !err; i++)
		if (is_walked(s, i))
			err = visit(arg, &(struct block){
						 .process = process,
						 .address = s->blocks.items[i].start,
						 .size_bytes = size_of(s, i),
						 .age_seconds = -1,
						 .walked = true,
						 .reachable = s->leaks[i]   ? 0
							      : s->marks[i] ? 1
									    : -1,
					 });
	return err;
}
