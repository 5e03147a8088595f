/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_FREED_BPF_H
#define SEEP_BPF_FREED_BPF_H
/* Errors at free: what is freed twice, or was never a block.
 *
 * Who freed an address last is kept in `freed`. Nothing takes it out of there when the address is allocated again: then the
 * address is in `live`, and a free finds it there. So an address that is in `freed`, and not in `live`, when it is freed has been
 * freed twice, as long as no allocation of its process went by unseen: every loss of a process ends the search for errors in it.
 *
 * What is in neither was allocated before the trace, or by nobody. The latter can be known only of a process that was traced from its
 * first instruction, at a free of an allocator all of whose blocks pass a probe (WIRE_COOKIE_CLOSED). */
#include "site.bpf.h"

/* By whom blocks were freed last, the oldest give way: 64k x (16 + 40 B and ~60 of the table), 1 where errors are not looked
 * for. What gave way is taken for WIRE_ERROR_INVALID when it is freed again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct wire_block_key);
	__type(value, struct wire_freed);
} freed SEC(".maps") __weak;

/* Stacks of frees, the oldest give way: 4k x 1 KiB, or 1. A stack that gave way is said to be not kept. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct wire_stack);
} free_stacks SEC(".maps") __weak;

/* 1.2 kB each. Full: WIRE_LOST_ERROR_RING. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} error_ring SEC(".maps") __weak;

/* Blocks begin at multiples of 8; how far below an address one is looked for: half a MiB, 4 ms. */
#define INTERIOR_STEPS 65536
#define INTERIOR_SEARCHES 100 /* in the life of a process */

/* One block is given back. */
struct release {
	struct thread *thread; /* not NULL */
	u64 address;
	u64 cookie;
	u64 cfa, ip, fp;
	u64 ret;   /* where the call returns to */
	u64 stack; /* id of who frees, once release_unwind() has put it into thread->stack */
	wire_instance instance;
	u32 zero;
};

static __always_inline void release_unwind(struct release *r)
{
	r->stack = unwind(r->thread, r->instance | UNWIND_UNCOUNTED, r->ret, r->fp, r->cfa);
}

/* Notes who frees what, once that is unwound. block: as it was recorded, or NULL. */
static __noinline int freed_note(const struct release *r, const struct wire_block *block)
{
	struct wire_block_key key = {.address = r->address, .instance = r->instance};
	struct wire_freed now = {
		.stack = r->stack,
		.time_ns = bpf_ktime_get_ns(),
		.tid = (u32)bpf_get_current_pid_tgid(),
	};
	struct wire_freed *before;

	if (block) {
		now.size_bytes = block->size_bytes;
		now.site = block->site;
	}
	/* Without memory there is no stack, or a second free looks like one of an address that was never a block: the report says
	 * that it may be either. */
	if (!bpf_map_lookup_elem(&free_stacks, &now.stack))
		bpf_map_update_elem(&free_stacks, &now.stack, &r->thread->stack, BPF_ANY);
	/* In place where it is: an update takes the table's lock for a new entry. */
	before = bpf_map_lookup_elem(&freed, &key);
	if (before)
		*before = now;
	else
		bpf_map_update_elem(&freed, &key, &now, BPF_ANY);
	return 0;
}

/* Whether all allocations and frees of a process were seen since it is traced. */
static __always_inline bool all_seen(const struct wire_process *process)
{
	u64 n = 0;
	int i;

	for (i = 0; i < WIRE_LOST_MAX; i++)
		n |= i == WIRE_LOST_ERROR_RING ? 0 : process->lost[i];
	return !n;
}

/* Passes an error on, once who frees is unwound; block and before: as far as they are known, else NULL. */
static __noinline int error_tell(const struct release *r, u32 type, u64 block_address,
				 const struct wire_block *block, const struct wire_freed *before)
{
	u64 id = bpf_get_current_pid_tgid();
	struct wire_error *e = bpf_ringbuf_reserve(&error_ring, sizeof(*e), 0);

	if (!e) {
		lost(r->instance, WIRE_LOST_ERROR_RING);
		return 0;
	}
	e->type = type;
	e->instance = r->instance;
	e->pid = id >> 32;
	e->tid = id;
	e->time_ns = bpf_ktime_get_ns();
	e->address = r->address;
	e->block_address = block_address;
	e->stack_id = r->stack;
	e->family = WIRE_COOKIE_FAMILY(r->cookie);
	e->zero = 0;
	__builtin_memset(&e->block, 0, sizeof(e->block));
	__builtin_memset(&e->freed, 0, sizeof(e->freed));
	if (block)
		e->block = *block;
	if (before)
		e->freed = *before;
	if (bpf_probe_read_kernel(&e->stack, sizeof(e->stack), &r->thread->stack))
		e->stack.n_frames = 0;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

struct interior_search {
	struct wire_block_key key;
	u64 address;
	struct wire_block found;
};

static long search_block(u32 i, struct interior_search *search)
{
	struct wire_block *block;

	search->key.address = (search->address & ~7ULL) - 8 * (u64)i;
	block = bpf_map_lookup_elem(&live, &search->key);
	if (!block)
		return 0;
	if (search->address - search->key.address < block->size_bytes)
		search->found = *block;
	return 1;
}

/* Looks for the block that has the address in it. Blocks do not overlap: the first one below it decides. */
static __noinline bool interior_find(const struct release *r, struct interior_search *search)
{
	if (!search)
		return false;
	search->key.instance = r->instance;
	search->address = r->address;
	bpf_loop(INTERIOR_STEPS, search_block, search, 0);
	return search->found.size_bytes;
}

/* An address that is in neither table. Returns whether that is an error. */
static __always_inline bool error_unknown(const struct release *r,
					  const struct wire_process *process)
{
	struct interior_search search = {};

	if (!process->whole || process->forked || !WIRE_COOKIE_CLOSED(r->cookie))
		return false;
	if (process->n_searched < INTERIOR_SEARCHES && interior_find(r, &search))
		error_tell(r, WIRE_ERROR_INTERIOR, search.key.address, &search.found, NULL);
	else
		error_tell(r, WIRE_ERROR_INVALID, r->address, NULL, NULL);
	return true;
}

/* What is given back is not recorded, and it is the program that does. Returns whether that is an error. */
static __noinline bool error_find(const struct release *r, struct wire_process *process)
{
	struct wire_block_key key = {.address = r->address, .instance = r->instance};
	struct wire_block block = {};
	struct wire_freed *known, before;

	if (!process || !all_seen(process))
		return false;
	known = bpf_map_lookup_elem(&freed, &key);
	if (!known) {
		__sync_fetch_and_add(&process->n_searched, 1);
		return error_unknown(r, process);
	}
	before = *known;
	block.size_bytes = before.size_bytes;
	block.site = before.site;
	error_tell(r, WIRE_ERROR_DOUBLE, r->address, &block, &before);
	return true;
}

/* Whether a recorded block is given back by a function of another family than that of the one that made it. */
static __always_inline bool mismatched(const struct release *r, const struct wire_block *block)
{
	u32 family = WIRE_COOKIE_FAMILY(r->cookie);

	return block->family && family && !(block->family & family);
}

#endif
