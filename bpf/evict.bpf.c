// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Eviction of sites that nobody uses, a step at a time, as user space asks (user/collect/evict.c). evict.bpf.h says why
 * it is safe.
 *
 * Needs: bpf_for_each_map_elem (5.13, 69c087ba6225), compare-and-swap (5.12, 5ffa25502b5a). */
#include "evict.bpf.h"

static __always_inline bool has_outstanding(struct wire_site *site)
{
	return *(volatile u64 *)&site->allocated_weight != *(volatile u64 *)&site->freed_weight;
}

/* Each age lasts twice as many passes as the one before. */
static __always_inline bool grows_older(u64 age, u32 n_passes)
{
	return age < SITE_OLDEST && !(n_passes & ((1 << age) - 1));
}

static long age_site(struct bpf_map *map, struct wire_site_key *key, struct wire_site *site,
		     struct wire_evict *pass)
{
	u64 tag = *(volatile u64 *)&site->tag, age = tag & SITE_STATE;

	pass->n_sites++;
	if (has_outstanding(site))
		age = 0;
	else if (grows_older(age, pass->n_passes))
		age = site_swap(site, tag, tag + 1) ? age + 1 : 0;
#pragma unroll
	for (u32 i = 0; i < WIRE_EVICT_AGES; i++)
		pass->n_idle[i] += i == age;
	return 0;
}

static long mark_site(struct bpf_map *map, struct wire_site_key *key, struct wire_site *site,
		      struct wire_evict *pass)
{
	u64 tag = *(volatile u64 *)&site->tag;

	if ((tag & SITE_STATE) < pass->from_age || has_outstanding(site))
		return 0;
	pass->n_sites += site_swap(site, tag, (tag & ~SITE_STATE) | SITE_LEAVING);
	return pass->n_sites >= pass->most;
}

static __always_inline void add_sums(struct wire_site *to, const struct wire_site *from)
{
	__sync_fetch_and_add(&to->allocated_bytes, from->allocated_bytes);
	__sync_fetch_and_add(&to->allocated_weight, from->allocated_weight);
	__sync_fetch_and_add(&to->freed_bytes, from->freed_bytes);
	__sync_fetch_and_add(&to->freed_weight, from->freed_weight);
	__sync_fetch_and_add(&to->n_allocated, from->n_allocated);
	__sync_fetch_and_add(&to->n_freed, from->n_freed);
}

static long sweep_site(struct bpf_map *map, struct wire_site_key *key, struct wire_site *site,
		       struct wire_evict *pass)
{
	struct wire_site_key gone = *key, unknown = {.instance = gone.instance, .kind = gone.kind};
	u64 leaving = site_tag(&gone) | SITE_LEAVING;
	struct wire_site *to;

	if (*(volatile u64 *)&site->tag != leaving)
		return 0;
	bpf_map_update_elem(&unknown_sites, &unknown, &empty_site, BPF_NOEXIST);
	to = bpf_map_lookup_elem(&unknown_sites, &unknown);
	if (!to || !site_swap(site, leaving, leaving | SITE_GONE))
		return 0;
	add_sums(to, site);
	bpf_map_delete_elem(&stacks, &gone.stack);
	bpf_map_delete_elem(map, &gone);
	pass->n_sites++;
	return 0;
}

SEC("syscall")
int evict(struct wire_evict *ctx)
{
	struct wire_evict pass = *ctx;

	pass.n_sites = 0;
	if (pass.step == WIRE_EVICT_AGE)
		bpf_for_each_map_elem(&sites, age_site, &pass, 0);
	else if (pass.step == WIRE_EVICT_LEAVE)
		bpf_for_each_map_elem(&sites, mark_site, &pass, 0);
	else
		bpf_for_each_map_elem(&sites, sweep_site, &pass, 0);
	*ctx = pass;
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
