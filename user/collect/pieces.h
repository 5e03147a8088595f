/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_PIECES_H
#define SEEP_COLLECT_PIECES_H
/* Trees of address ranges that do not overlap, each a piece of an allocation. */
#include <stddef.h>
#include <stdint.h>

struct range_site;

/* One mmap call, growth of the break or touched page. Owned by its pieces: freed with the last one. */
struct origin {
	struct range_site *site;
	uint64_t time_ns, outstanding_bytes; /* bytes: of its pieces, not weighted */
	uint32_t weight;		     /* how many such it stands for */
	size_t n_pieces;
	uint64_t pass; /* of ranges_each_block, that saw it last */
};

/* A piece, and the root of a tree of them; NULL is the empty tree. */
struct piece {
	uint64_t start, end; /* end: exclusive, beyond start */
	struct origin *origin;
	struct piece *left, *right;
	uint64_t priority;
};

/* What all trees share. */
struct piece_pool {
	size_t n, max;
	uint64_t random; /* not 0; unknown outside: a target that foresees priorities could build a deep tree */
};

/* A piece that is in no tree; the first one of an origin makes it own that. NULL without memory or when the pool is full. */
struct piece *piece_create(struct piece_pool *pool, struct origin *origin, uint64_t start,
			   uint64_t end);
void piece_destroy(struct piece_pool *pool, struct piece *p);
/* Destroys all pieces of a tree. */
void pieces_destroy(struct piece_pool *pool, struct piece *root);

/* A piece with bytes in [start, end), or NULL. */
struct piece *pieces_find(struct piece *root, uint64_t start, uint64_t end);
/* The one at the highest address, or NULL. */
struct piece *pieces_last(struct piece *root);
/* Takes all that lies in [start, end) out, as a tree; what straddles a bound is cut in two. Returns 0, or -ENOSPC or -ENOMEM, and
 * then the same bytes are in the tree as before. */
int pieces_carve(struct piece_pool *pool, struct piece **root, uint64_t start, uint64_t end,
		 struct piece **ret);
/* Puts a piece into its place, which must be clear. With a neighbour of the same origin it becomes one: what a failed call has
 * cut is whole again. */
void pieces_insert(struct piece_pool *pool, struct piece **root, struct piece *p);

#endif
