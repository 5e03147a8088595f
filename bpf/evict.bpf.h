/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_EVICT_BPF_H
#define SEEP_BPF_EVICT_BPF_H
/* Who may count by a site while sites are evicted.
 *
 * A site that nobody uses is evicted (evict.bpf.c), so that a process which runs for weeks does not fill the map. A deleted
 * element's memory is another site's at once, even while a program still has a pointer to it: no program may count by such a
 * pointer. Programs are RCU readers from begin to end, so a grace period waits for all that run. Evicting is AGE, a grace
 * period G1, LEAVE, a grace period G2, SWEEP. A site's tag is whose the memory is, by its key, and in the low bits its state:
 *
 *	             AGE              AGE               LEAVE              SWEEP
 *	    in use -------> idle (1) -------> idle (2..) -------> leaving -------> gone; deleted
 *	       ^                |                 |                  |
 *	       +----------------+-----------------+------------------+  site_use()
 *
 * Every arrow is a compare-and-swap. AGE and LEAVE move only sites whose freed weight is what was allocated.
 * - An allocation that found the site in use may have to count still when AGE comes. After G1 it has; a later one swaps the tag
 *   back before it counts, and then LEAVE and SWEEP, which find another tag, let the site be.
 * - A block can be freed before its allocation counts, as it is in `live` first. With another block outstanding the weights can
 *   agree then. Only AGE can be misled like that: at LEAVE all allocations have counted, so equal weights
 *   mean that no block is outstanding, none is held by a realloc, and no free has its weight to count still.
 * - A free that has counted its weight may have the birth slot to count: G2 waits for it, and SWEEP reads final sums. No free can
 *   come after it: there is no block.
 * - An allocation may look the site up just before its delete and read the tag when the memory is another's. It finds the other's
 *   tag: key and state are one load. If the memory is the same key's again, so is the site.
 * - An allocation between SWEEP's swap and its delete finds the site gone and counts under the unknown stack.
 *
 * SWEEP adds the site's sums to the process's site of unknown stack: what was counted stays in the process's sums. It deletes the
 * stack before the site: who misses the site stores the stack again. */
#include "maps.bpf.h"

static const struct wire_site empty_site;

/* States of a site, the low bits of its tag; 1 to SITE_OLDEST: idle, by age. */
#define SITE_STATE 15ULL
#define SITE_OLDEST 13
#define SITE_LEAVING 14
#define SITE_GONE 15

/* The tag of a site in use. */
static __always_inline u64 site_tag(const struct wire_site_key *key)
{
	return (key->stack ^ (u64)key->kind << 32) & ~SITE_STATE;
}

static __always_inline bool site_swap(struct wire_site *site, u64 from, u64 to)
{
	return __sync_val_compare_and_swap(&site->tag, from, to) == from;
}

/* Whether an allocation may count here until its program ends; takes an idle site back into use. While a program runs, another
 * allocation and a step of eviction may each change the tag once. */
static __always_inline bool site_use(struct wire_site *site, u64 in_use)
{
	u64 tag;

	for (int i = 0; i < 3; i++) {
		tag = *(volatile u64 *)&site->tag;
		if (tag == in_use)
			return true;
		if (tag - in_use >= SITE_GONE)
			return false;
		if (site_swap(site, tag, in_use))
			return true;
	}
	return false;
}

#endif
