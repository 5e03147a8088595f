// SPDX-License-Identifier: BSD-2-Clause
#include "collect/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/hashmap.h"
#include "base/vec.h"
#include "collect/birth.h"
#include "collect/pieces.h"
#include "wire.h"

/* Who asked: a stack and a kind in one instance. */
struct range_site {
	enum site_kind kind;
	uint64_t stack;
	/* weighted */
	uint64_t allocated_bytes, freed_bytes, allocations, frees;
	uint64_t n_allocated, n_freed;
	uint32_t born[WIRE_BIRTH_SLOTS]; /* outstanding allocations */
};

/* What a call under way has taken. */
struct taken {
	struct piece *root;
	uint64_t start, end;
};

struct table {
	instance_id instance;
	struct piece *root;
	struct hashmap sites[SITE_FAULT + 1]; /* by kind: stack -> struct range_site */
	struct hashmap taken;		      /* thread id -> struct taken */
	uint64_t n_lost;
};

struct ranges {
	uint64_t session_start_ns;
	uint64_t pass;
	struct piece_pool pool;
	struct hashmap tables; /* instance -> struct table */
};

static uint64_t end_of(uint64_t start, uint64_t n_bytes)
{
	return start + n_bytes < start ? UINT64_MAX : start + n_bytes;
}

static uint32_t *born_slot(const struct ranges *r, const struct origin *o)
{
	return &o->site->born[birth_slot(
		o->time_ns > r->session_start_ns ? o->time_ns - r->session_start_ns : 0)];
}

static void count_freed(const struct ranges *r, struct origin *o, uint64_t n_bytes)
{
	o->site->freed_bytes += n_bytes * o->weight;
	o->outstanding_bytes -= n_bytes;
	if (!o->outstanding_bytes) {
		o->site->frees += o->weight;
		o->site->n_freed++;
		--*born_slot(r, o);
	}
}

/* Takes back what count_freed did. */
static void count_restored(const struct ranges *r, struct origin *o, uint64_t n_bytes)
{
	if (!o->outstanding_bytes) {
		o->site->frees -= o->weight;
		o->site->n_freed--;
		++*born_slot(r, o);
	}
	o->site->freed_bytes -= n_bytes * o->weight;
	o->outstanding_bytes += n_bytes;
}

static void tree_count_freed(const struct ranges *r, struct piece *t)
{
	if (!t)
		return;
	tree_count_freed(r, t->left);
	tree_count_freed(r, t->right);
	count_freed(r, t->origin, t->end - t->start);
}

static int carve(struct ranges *r, struct table *t, uint64_t start, uint64_t end,
		 struct piece **ret)
{
	int err = pieces_carve(&r->pool, &t->root, start, end, ret);

	t->n_lost += err != 0;
	return err;
}

static int clear(struct ranges *r, struct table *t, uint64_t start, uint64_t end)
{
	struct piece *gone;
	int err = carve(r, t, start, end, &gone);

	if (err)
		return err;
	tree_count_freed(r, gone);
	pieces_destroy(&r->pool, gone);
	return 0;
}

static struct table *table_get(struct ranges *r, instance_id instance)
{
	struct table *t = hashmap_get(&r->tables, instance);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->instance = instance;
	if (hashmap_put(&r->tables, instance, t)) {
		free(t);
		return NULL;
	}
	return t;
}

static struct range_site *site_get(struct table *t, enum site_kind kind, uint64_t stack)
{
	struct range_site *site = hashmap_get(&t->sites[kind], stack);

	if (site)
		return site;
	site = calloc(1, sizeof(*site));
	if (!site)
		return NULL;
	site->kind = kind;
	site->stack = stack;
	if (hashmap_put(&t->sites[kind], stack, site)) {
		free(site);
		return NULL;
	}
	return site;
}

int ranges_create(uint64_t session_start_ns, size_t max_pieces, struct ranges **ret)
{
	struct ranges *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->session_start_ns = session_start_ns;
	r->pool.max = max_pieces;
	if (getrandom(&r->pool.random, sizeof(r->pool.random), 0) != sizeof(r->pool.random)) {
		free(r);
		return -EIO;
	}
	r->pool.random |= 1; /* zero would stay zero */
	*ret = r;
	return 0;
}

static void taken_drop(struct ranges *r, struct table *t, uint32_t tid)
{
	struct taken *taken = hashmap_take(&t->taken, tid);

	if (!taken)
		return;
	pieces_destroy(&r->pool, taken->root);
	free(taken);
}

static void table_destroy(struct ranges *r, struct table *t)
{
	struct taken *taken;
	size_t cursor = 0;
	void *site;

	while ((taken = hashmap_next(&t->taken, &cursor, NULL))) {
		pieces_destroy(&r->pool, taken->root);
		free(taken);
	}
	hashmap_done(&t->taken);
	pieces_destroy(&r->pool, t->root);
	for (size_t kind = 0; kind <= SITE_FAULT; kind++) {
		cursor = 0;
		while ((site = hashmap_next(&t->sites[kind], &cursor, NULL)))
			free(site);
		hashmap_done(&t->sites[kind]);
	}
	free(t);
}

void ranges_destroy(struct ranges *r)
{
	struct table *t;
	size_t cursor = 0;

	if (!r)
		return;
	while ((t = hashmap_next(&r->tables, &cursor, NULL)))
		table_destroy(r, t);
	hashmap_done(&r->tables);
	free(r);
}

bool ranges_has(const struct ranges *r, instance_id instance)
{
	return hashmap_get(&r->tables, instance);
}

/* A new allocation of one piece, counted, not yet in the tree. site: NULL without memory. */
static struct piece *allocate(struct ranges *r, struct range_site *site, uint64_t start,
			      uint64_t end, uint32_t weight)
{
	struct origin *origin = site ? calloc(1, sizeof(*origin)) : NULL;
	struct piece *p = origin ? piece_create(&r->pool, origin, start, end) : NULL;

	if (!p) {
		free(origin);
		return NULL;
	}
	origin->site = site;
	origin->weight = weight;
	origin->outstanding_bytes = end - start;
	site->n_allocated++;
	site->allocations += weight;
	site->allocated_bytes += (end - start) * weight;
	return p;
}

static int add(struct ranges *r, instance_id instance, enum site_kind kind, uint64_t stack,
	       uint64_t time_ns, uint64_t start, uint64_t n_bytes, uint32_t weight)
{
	uint64_t end = end_of(start, n_bytes);
	struct table *t = table_get(r, instance);
	struct piece *p;
	int err;

	if (!t || end == start)
		return t ? 0 : -ENOMEM;
	err = clear(r, t, start, end);
	if (err)
		return err;
	p = allocate(r, site_get(t, kind, stack), start, end, weight);
	if (!p) {
		t->n_lost++;
		return r->pool.n < r->pool.max ? -ENOMEM : -ENOSPC;
	}
	p->origin->time_ns = time_ns;
	++*born_slot(r, p->origin);
	pieces_insert(&r->pool, &t->root, p);
	return 0;
}

int ranges_add(struct ranges *r, instance_id instance, enum site_kind kind, uint64_t stack,
	       uint64_t time_ns, uint64_t start, uint64_t n_bytes)
{
	return add(r, instance, kind, stack, time_ns, start, n_bytes, 1);
}

int ranges_touch(struct ranges *r, instance_id instance, uint64_t stack, uint64_t time_ns,
		 uint64_t start, uint64_t n_bytes, uint32_t weight)
{
	return add(r, instance, SITE_FAULT, stack, time_ns, start, n_bytes, weight ? weight : 1);
}

int ranges_take(struct ranges *r, instance_id instance, uint32_t tid, uint64_t start,
		uint64_t n_bytes)
{
	struct table *t = hashmap_get(&r->tables, instance);
	uint64_t end = end_of(start, n_bytes);
	struct taken *taken;
	int err;

	if (!t)
		return 0;
	taken_drop(r, t, tid); /* its end was lost: most calls succeed */
	if (end == start || !pieces_find(t->root, start, end))
		return 0;
	taken = calloc(1, sizeof(*taken));
	if (!taken || hashmap_put(&t->taken, tid, taken)) {
		free(taken);
		t->n_lost++;
		return -ENOMEM;
	}
	taken->start = start;
	taken->end = end;
	err = carve(r, t, start, end, &taken->root);
	if (err)
		taken_drop(r, t, tid);
	else
		tree_count_freed(r, taken->root);
	return err;
}

/* Puts the pieces of a tree back, moved by the distance from `from` to `to`, where there is room for n_bytes: what lies beyond
 * is gone. */
static void replace(struct ranges *r, struct table *t, struct piece *tree, uint64_t from,
		    uint64_t to, uint64_t n_bytes)
{
	struct piece *left, *right;
	uint64_t offset, length;

	if (!tree)
		return;
	left = tree->left;
	right = tree->right;
	replace(r, t, left, from, to, n_bytes);
	offset = tree->start - from;
	length = tree->end - tree->start;
	if (offset < n_bytes) {
		tree->start = to + offset;
		tree->end = tree->start + (length < n_bytes - offset ? length : n_bytes - offset);
		count_restored(r, tree->origin, tree->end - tree->start);
		pieces_insert(&r->pool, &t->root, tree);
	} else {
		piece_destroy(&r->pool, tree);
	}
	replace(r, t, right, from, to, n_bytes);
}

void ranges_put_back(struct ranges *r, instance_id instance, uint32_t tid)
{
	struct table *t = hashmap_get(&r->tables, instance);
	struct taken *taken = t ? hashmap_take(&t->taken, tid) : NULL;

	if (!taken)
		return;
	if (clear(r, t, taken->start, taken->end))
		pieces_destroy(&r->pool, taken->root);
	else
		replace(r, t, taken->root, taken->start, taken->start, taken->end - taken->start);
	free(taken);
}

/* The last piece, if it reaches to the end of what was taken, becomes longer. Pages do not: what is new was not touched yet. */
static void grow(struct taken *taken, uint64_t n_bytes)
{
	struct piece *p = pieces_last(taken->root);
	uint64_t more = n_bytes - (taken->end - taken->start);

	if (p->end != taken->end || p->origin->site->kind == SITE_FAULT)
		return;
	p->end += more; /* may wrap: where it goes there is room */
	p->origin->site->allocated_bytes += more;
	p->origin->site->freed_bytes += more; /* as if it had been taken, too */
}

void ranges_settle(struct ranges *r, instance_id instance, uint32_t tid, uint64_t start,
		   uint64_t n_bytes)
{
	struct table *t = hashmap_get(&r->tables, instance);
	struct taken *taken = t ? hashmap_take(&t->taken, tid) : NULL;
	uint64_t end = end_of(start, n_bytes);

	if (!t)
		return;
	/* Whatever else was there, a fixed address replaces it. */
	if (clear(r, t, start, end) || end - start != n_bytes || !n_bytes) {
		if (taken)
			pieces_destroy(&r->pool, taken->root);
	} else if (taken) {
		if (n_bytes > taken->end - taken->start)
			grow(taken, n_bytes);
		replace(r, t, taken->root, taken->start, start, n_bytes);
	}
	free(taken);
}

void ranges_forget(struct ranges *r, instance_id instance)
{
	struct table *t = hashmap_take(&r->tables, instance);

	if (t)
		table_destroy(r, t);
}

uint64_t ranges_lost(const struct ranges *r, instance_id instance)
{
	const struct table *t = hashmap_get(&r->tables, instance);

	return t ? t->n_lost : 0;
}

static int read_sites(const struct ranges *r, const struct table *t, enum site_kind kind,
		      struct snapshot *s)
{
	const struct range_site *from;
	size_t cursor = 0;
	int err = 0;

	while (!err && (from = hashmap_next(&t->sites[kind], &cursor, NULL))) {
		struct snapshot_site site = {
			.instance = t->instance,
			.stack = from->stack,
			.kind = from->kind,
			.allocated_bytes = from->allocated_bytes,
			.freed_bytes = from->freed_bytes,
			.allocations = from->allocations,
			.frees = from->frees,
			.n_stacks = from->n_allocated,
			.n_sampled = from->n_allocated - from->n_freed,
		};

		err = birth_fill(s, from->born, s->time_ns - r->session_start_ns, &site);
		if (!err)
			err = vec_push(&s->sites, site);
	}
	return err;
}

int ranges_read(const struct ranges *r, struct snapshot *s)
{
	const struct table *t;
	size_t cursor = 0;
	int err = 0;

	while (!err && (t = hashmap_next(&r->tables, &cursor, NULL)))
		for (enum site_kind kind = SITE_MMAP; kind <= SITE_FAULT && !err; kind++)
			err = read_sites(r, t, kind, s);
	return err;
}

struct walk {
	instance_id instance;
	uint64_t pass;
	int (*visit)(void *arg, const struct snapshot_block *block);
	void *arg;
};

static int visit_tree(const struct walk *w, const struct piece *t)
{
	struct origin *o;
	int err;

	if (!t)
		return 0;
	err = visit_tree(w, t->left);
	if (err)
		return err;
	o = t->origin;
	err = w->visit(w->arg, &(struct snapshot_block){
				       .instance = w->instance,
				       .kind = o->site->kind,
				       .address = t->start,
				       .size_bytes = t->end - t->start,
				       .time_ns = o->time_ns,
				       .stack = o->site->stack,
				       .weight = o->weight,
				       .further_part = o->pass == w->pass,
			       });
	o->pass = w->pass;
	return err ? err : visit_tree(w, t->right);
}

int ranges_each_block(struct ranges *r, int (*visit)(void *arg, const struct snapshot_block *block),
		      void *arg)
{
	struct walk w = {.pass = ++r->pass, .visit = visit, .arg = arg};
	const struct table *t;
	size_t cursor = 0;
	int err = 0;

	while (!err && (t = hashmap_next(&r->tables, &cursor, NULL))) {
		w.instance = t->instance;
		err = visit_tree(&w, t->root);
	}
	return err;
}
