/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_SITE_BPF_H
#define SEEP_BPF_SITE_BPF_H
/* Stacks to sites, and the counters of a site. */
#include "evict.bpf.h"
#include "thread.bpf.h"

/* wire.h's slots: linear below four units, then four an octave. */
static __always_inline u32 birth_slot(u64 time_ns)
{
	u64 units, rest;
	u32 log2 = 0, slot;

	if (time_ns < settings.session_start_ns)
		return 0;
	units = (time_ns - settings.session_start_ns) >> WIRE_BIRTH_SHIFT;
	if (units < 4)
		return units;
	rest = units;
	if (rest >> 32)
		return WIRE_BIRTH_SLOTS - 1;
	if (rest >> 16)
		log2 += 16, rest >>= 16;
	if (rest >> 8)
		log2 += 8, rest >>= 8;
	if (rest >> 4)
		log2 += 4, rest >>= 4;
	if (rest >> 2)
		log2 += 2, rest >>= 2;
	if (rest >> 1)
		log2 += 1;
	slot = 4 * (log2 - 1) + ((units >> (log2 - 2)) & 3);
	return slot < WIRE_BIRTH_SLOTS ? slot : WIRE_BIRTH_SLOTS - 1;
}

/* A new site, or the one that another CPU made meanwhile. NULL: no room, counted. Overwrites *stack. */
static __always_inline struct wire_site *site_create(struct wire_site_key *key,
						     struct wire_stack *stack)
{
	struct wire_site *new = (struct wire_site *)stack, *site;

	/* The stack first: whoever reads the site finds its frames. */
	if (bpf_map_update_elem(&stacks, &key->stack, stack, BPF_ANY)) {
		lost(key->instance, WIRE_LOST_STACKS_FULL);
		return NULL;
	}
	__builtin_memset(new, 0, sizeof(*new));
	new->tag = site_tag(key);
	bpf_map_update_elem(&sites, key, new, BPF_NOEXIST);
	site = bpf_map_lookup_elem(&sites, key);
	if (site)
		return site;
	bpf_map_delete_elem(&stacks, &key->stack);
	lost(key->instance, WIRE_LOST_SITES_FULL);
	return NULL;
}

/* The site's counters, made when new; falls back to the process's site of unknown stack when site or stack find no room. The
 * chosen stack id is stored in key. *stack is scratch from then on. NULL: not even that could be had; nothing is counted here
 * then. */
static __noinline struct wire_site *site_get(struct wire_site_key *key, struct wire_stack *stack)
{
	struct wire_site *site;

	if (!key || !stack)
		return NULL;
	site = bpf_map_lookup_elem(&sites, key);
	if (!site)
		site = site_create(key, stack);
	if (site) {
		if (site_use(site, site_tag(key)))
			return site;
		lost(key->instance, WIRE_LOST_SITES_FULL);
	}
	key->stack = 0;
	bpf_map_update_elem(&unknown_sites, key, &empty_site, BPF_NOEXIST);
	return bpf_map_lookup_elem(&unknown_sites, key);
}

/* size * weight, in two parts: as one it needs 16 bits more than there are. */
static __always_inline u64 weighted_bytes(const struct wire_block *block)
{
	return block->size_bytes * (block->weight >> 16) +
	       (block->size_bytes * (block->weight & 0xffff) >> 16);
}

static __always_inline void site_allocated(struct wire_site *site, const struct wire_block *block)
{
	u32 slot = birth_slot(block->time_ns) & (WIRE_BIRTH_SLOTS - 1);

	__sync_fetch_and_add(&site->allocated_bytes, weighted_bytes(block));
	__sync_fetch_and_add(&site->allocated_weight, block->weight);
	__sync_fetch_and_add(&site->born[slot], 1);
	if (settings.sampling || settings.governed)
		__sync_fetch_and_add(&site->n_allocated, 1);
}

static __always_inline void site_freed(wire_instance instance, u32 kind,
				       const struct wire_block *block)
{
	struct wire_site_key key = {.stack = block->site, .instance = instance, .kind = kind};
	struct wire_site *site = key.stack ? bpf_map_lookup_elem(&sites, &key)
					   : bpf_map_lookup_elem(&unknown_sites, &key);
	u32 slot = birth_slot(block->time_ns) & (WIRE_BIRTH_SLOTS - 1);

	if (!site) {
		lost(instance, WIRE_LOST_SITE_GONE);
		return;
	}
	__sync_fetch_and_add(&site->freed_bytes, weighted_bytes(block));
	__sync_fetch_and_add(&site->freed_weight, block->weight);
	__sync_fetch_and_add(&site->born[slot], (u32)-1);
	if (settings.sampling || settings.governed)
		__sync_fetch_and_add(&site->n_freed, 1);
}

#endif
