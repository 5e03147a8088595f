/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_DIFFERENCE_H
#define SEEP_ANALYZE_DIFFERENCE_H
/* Which sites of one moment are those of another.
 *
 * Sites of programs of one name are the same when their stacks have the same code (fingerprint: build-ids and offsets). What is left
 * over on both sides is compared by function names (family): a rebuilt program has other offsets, and often nearly the same
 * functions. Of one family all that are left over are added up, as there is no telling which became which. */
#include <stdbool.h>
#include <stddef.h>

struct difference;
struct difference_site;
struct held;

/* Adds to sum; intervals by their squares. */
void held_add(struct held *sum, const struct held *one);

/* Compares n_before sites with n_after, each of which may come several times (one for each process). The result is ranked by growth in
 * bytes (by_count: in allocations), is the caller's to free, and borrows what the sites do. Returns 0 or -ENOMEM. */
int difference_find(const struct difference_site *sites_before, size_t n_before,
		    const struct difference_site *sites_after, size_t n_after, bool by_count,
		    struct difference **ret, size_t *ret_n);

#endif
