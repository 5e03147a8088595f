// SPDX-License-Identifier: BSD-2-Clause
/* A tree of pieces is a treap: a search tree by address that is a heap by random priorities, hence as deep as the
 * logarithm of its size whatever the order of insertion (Seidel, Aragon 1996). Split and merge are all it needs: a range
 * is carved out of the tree as a tree of its own.
 *
 *	      start      end                          start    end
 *	  |------A------|----B----|        ->    |--A--|--A--|-B-|--B--|        carved: A's and B's inner pieces
 */
#include "collect/pieces.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t next_random(struct piece_pool *pool)
{
	pool->random ^= pool->random << 13;
	pool->random ^= pool->random >> 7;
	pool->random ^= pool->random << 17;
	return pool->random;
}

/* Everything before at to the left. No piece may straddle it. */
static void split(struct piece *t, uint64_t at, struct piece **ret_left, struct piece **ret_right)
{
	if (!t) {
		*ret_left = *ret_right = NULL;
	} else if (t->start < at) {
		split(t->right, at, &t->right, ret_right);
		*ret_left = t;
	} else {
		split(t->left, at, ret_left, &t->left);
		*ret_right = t;
	}
}

/* All of left is before all of right. */
static struct piece *merge(struct piece *left, struct piece *right)
{
	if (!left || !right)
		return left ? left : right;
	if (left->priority > right->priority) {
		left->right = merge(left->right, right);
		return left;
	}
	right->left = merge(left, right->left);
	return right;
}

struct piece *pieces_find(struct piece *root, uint64_t start, uint64_t end)
{
	while (root && (root->end <= start || root->start >= end))
		root = root->end <= start ? root->right : root->left;
	return root;
}

struct piece *piece_create(struct piece_pool *pool, struct origin *origin, uint64_t start,
			   uint64_t end)
{
	struct piece *p = pool->n < pool->max ? malloc(sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	*p = (struct piece){
		.start = start, .end = end, .origin = origin, .priority = next_random(pool)};
	origin->n_pieces++;
	pool->n++;
	return p;
}

void piece_destroy(struct piece_pool *pool, struct piece *p)
{
	if (--p->origin->n_pieces == 0)
		free(p->origin);
	pool->n--;
	free(p);
}

void pieces_destroy(struct piece_pool *pool, struct piece *root)
{
	if (!root)
		return;
	pieces_destroy(pool, root->left);
	pieces_destroy(pool, root->right);
	piece_destroy(pool, root);
}

struct piece *pieces_last(struct piece *root)
{
	while (root && root->right)
		root = root->right;
	return root;
}

/* Makes sure that a piece begins at `at`, if one reaches over it. */
static int cut(struct piece_pool *pool, struct piece **root, uint64_t at)
{
	struct piece *p = pieces_find(*root, at, at + 1), *rest, *left, *right;

	if (!p || p->start == at)
		return 0;
	rest = piece_create(pool, p->origin, at, p->end);
	if (!rest)
		return pool->n < pool->max ? -ENOMEM : -ENOSPC;
	p->end = at;
	split(*root, at, &left, &right);
	*root = merge(merge(left, rest), right);
	return 0;
}

int pieces_carve(struct piece_pool *pool, struct piece **root, uint64_t start, uint64_t end,
		 struct piece **ret)
{
	struct piece *left, *middle, *right;
	int err;

	if (!pieces_find(*root, start, end)) {
		*ret = NULL;
		return 0;
	}
	err = cut(pool, root, start);
	if (!err)
		err = cut(pool, root, end);
	if (err)
		return err;
	split(*root, start, &left, &right);
	split(right, end, &middle, &right);
	*root = merge(left, right);
	*ret = middle;
	return 0;
}

/* Makes one piece of p and its neighbour at this address, if both are of one origin. */
static void join(struct piece_pool *pool, struct piece **root, struct piece *p, uint64_t address)
{
	struct piece *neighbour = pieces_find(*root, address, address + 1), *left, *right;

	if (!neighbour || neighbour->origin != p->origin)
		return;
	split(*root, neighbour->start, &left, &right);
	split(right, neighbour->end, &neighbour, &right);
	*root = merge(left, right);
	if (neighbour->start < p->start)
		p->start = neighbour->start;
	else
		p->end = neighbour->end;
	piece_destroy(pool, neighbour);
}

void pieces_insert(struct piece_pool *pool, struct piece **root, struct piece *p)
{
	struct piece *left, *right;

	if (p->start)
		join(pool, root, p, p->start - 1);
	join(pool, root, p, p->end);
	p->left = p->right = NULL;
	split(*root, p->start, &left, &right);
	*root = merge(merge(left, p), right);
}
