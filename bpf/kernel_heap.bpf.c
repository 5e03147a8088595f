// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Allocations of the kernel itself: slab objects, pages, per-CPU memory, by the stacks of the kernel.
 *
 * All of it is one instance, as whoever frees kernel memory is seldom who allocated it. An object leaves the live map when its
 * free begins, while nobody else can own its address, and enters it once it is allocated, before anybody else has it.
 *
 * One object, one record. The pages that the slab allocator takes for its objects, and those behind an object larger than a slab,
 * are told from others by their stacks (kernel_heap.inner) and left out. So are, unless asked for, the page cache and movable
 * pages, which are mostly the memory of processes: those belong to somebody else, and `seep watch` and --growth show them.
 *
 * These programs run wherever the kernel allocates, also in interrupts and while it works for us or for another BPF program:
 * - Nothing here may allocate: all maps that are written are preallocated.
 * - An interrupt may strike while one of them runs: scratch is taken by an exchange, and there is as much per CPU as there are
 *   contexts. A program that interrupts itself is left out by the kernel, which counts it (missed runs).
 * - A table whose bucket is locked by what was interrupted refuses instead of waiting: WIRE_LOST_BUSY.
 * - What our own process allocates, mostly by reading this, is not recorded, and counted.
 *
 * Bulk allocation and freeing, and what kfree_rcu() keeps in sheaves, have no tracepoints: those three functions are followed by
 * fentry and fexit programs where the kernel lets us; else what is freed so counts as outstanding until its address
 * comes back, and the nodes of maple trees, which all are, are left out.
 *
 * Raw tracepoints, as BTF ones let no argument of type const void * be read before 6.16 (1271a40eeafa).
 *
 * Needs: the tracepoints of slabs with a cache as argument (6.1, 2c1d697fb8ba, 11e9734bcb6a), percpu_alloc_percpu's call_site and
 * bytes_alloc (6.0, f67bed134a05). Loaded only with --kernel. */
#include "sample.bpf.h"
#include "site.bpf.h"

#define PAGE_BYTES 4096ULL
#define GFP_MOVABLE (1U << 3) /* linux/gfp_types.h, the same in all kernels so far */
#define SCRATCHES 4	      /* a task, a soft and a hard interrupt, an NMI */
#define INNER_FROM 2	      /* the first frames are our program's and the tracepoint's */
#define INNER_TO 14	      /* the allocator's own callers are not deeper than that */
#define BULK_MOST 4096	      /* more than a page of pointers, as kfree_rcu() keeps them */
#define BULK_ALLOC_MOST 64    /* the verifier follows each; users take 16 or 32 */
#define TICK_NS 10000000ULL   /* of /proc/PID/stat's start time */
#define ENOENT 2
#define E2BIG 7
#define EEXIST 17

const volatile struct wire_kernel_heap kernel_heap = {};

/* What was not recorded, and loses nothing. */
__u64 kernel_heap_own = 0;    /* allocations of our own process */
__u64 kernel_heap_silent = 0; /* and of what is freed without notice */

struct scratch {
	u32 busy;
	u32 pad;
	struct wire_stack stack;
};

/* 4 x 1 KiB for each CPU. All taken: WIRE_LOST_BUSY. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Caches that objects came from: 2,048 x 40 B and the table's own. Full: their objects have no cache's name. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, u64);
	__type(value, struct wire_kernel_cache);
} kernel_caches SEC(".maps");

static __always_inline struct scratch *scratch_take(void)
{
	struct scratch *s;
	u32 i, key;

	for (i = 0; i < SCRATCHES; i++) {
		key = i;
		s = bpf_map_lookup_elem(&scratches, &key);
		if (s && !__sync_lock_test_and_set(&s->busy, 1))
			return s;
	}
	return NULL;
}

static __always_inline void scratch_give(struct scratch *s)
{
	s->busy = 0;
}

static __noinline bool is_of_pids(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 start_ns = task->group_leader->start_boottime;
	u32 i;

	for (i = 0; i < WIRE_KERNEL_PIDS; i++)
		if (i < kernel_heap.n_pids && (u32)task->tgid == kernel_heap.pids[i] &&
		    start_ns / TICK_NS == kernel_heap.starts_ns[i] / TICK_NS)
			return true;
	return false;
}

/* Whether this allocation is by somebody whose allocations are wanted. */
static __always_inline bool is_wanted(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (kernel_heap.n_pids)
		return is_of_pids();
	if ((u32)task->tgid != settings.self)
		return true;
	__sync_fetch_and_add(&kernel_heap_own, 1);
	return false;
}

/* What is known of a cache; made at first sight. NULL: no room. */
static __noinline struct wire_kernel_cache *cache_get(u64 address)
{
	const struct kmem_cache *cache = (const struct kmem_cache *)address;
	struct wire_kernel_cache *known = bpf_map_lookup_elem(&kernel_caches, &address);
	struct wire_kernel_cache new = {};
	static const char silent[] = "maple_node";
	u32 i;

	if (known)
		return known;
	bpf_probe_read_kernel_str(new.name, sizeof(new.name), BPF_CORE_READ(cache, name));
	new.silent = !kernel_heap.sheaves;
	for (i = 0; i < sizeof(silent); i++)
		new.silent &= new.name[i] == silent[i];
	bpf_map_update_elem(&kernel_caches, &address, &new, BPF_NOEXIST);
	return bpf_map_lookup_elem(&kernel_caches, &address);
}

/* Whether a page is taken for an allocator that tells of it by itself. */
static __noinline bool is_inner(const struct wire_stack *stack)
{
	u32 i, j;

	if (!stack)
		return false;
	for (i = INNER_FROM; i < INNER_TO; i++)
		for (j = 0; j < WIRE_KERNEL_INNER; j++)
			if (stack->frames[i] - kernel_heap.inner[j].start <
			    kernel_heap.inner[j].bytes)
				return i < stack->n_frames;
	return false;
}

/* Whether an interrupt allocates: the process that it struck has no part in it. */
static __noinline bool is_interrupt(const struct wire_stack *stack)
{
	u32 i;

	if (!stack)
		return false;
	for (i = INNER_FROM; i < WIRE_MAX_FRAMES && i < stack->n_frames; i++)
		if (stack->frames[i] - kernel_heap.interrupt.start < kernel_heap.interrupt.bytes)
			return true;
	return false;
}

static __always_inline bool is_left_out(const struct wire_stack *stack, bool pages)
{
	return (pages && is_inner(stack)) || (kernel_heap.n_pids && is_interrupt(stack));
}

/* The kernel's stack, and its hash, never 0. The first address, which is our own program's, gives way to the cache's. */
static __always_inline u64 take_stack(void *ctx, struct wire_stack *stack, u64 cache)
{
	s64 bytes = bpf_get_stack(ctx, stack->frames, sizeof(u64) * WIRE_MAX_FRAMES, 0);
	u64 hash = 1;
	u32 i;

	stack->n_frames = bytes > 0 ? bytes / sizeof(u64) : 0;
	stack->truncated = bytes <= 0				? WIRE_STACK_FAULT
			   : stack->n_frames == WIRE_MAX_FRAMES ? WIRE_STACK_TOO_DEEP
								: WIRE_STACK_COMPLETE;
	stack->version = 0;
	stack->frames[0] = cache;
	for (i = 0; i < WIRE_MAX_FRAMES && i < stack->n_frames; i++) {
		hash = (hash ^ stack->frames[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return hash ? hash : 1;
}

static __always_inline void end_block(const struct wire_block *block)
{
	site_freed(WIRE_KERNEL_INSTANCE, WIRE_KIND_KERNEL, block);
}

/* Takes a block out of the live map: 0, or why not. Copied before it is deleted: deleted memory is used again at once. */
static __always_inline int take_block(const struct wire_block_key *key, struct wire_block *ret)
{
	struct wire_block *block = bpf_map_lookup_elem(&live, key);

	if (!block)
		return -ENOENT;
	*ret = *block;
	return bpf_map_delete_elem(&live, key);
}

/* An address that comes back while it is recorded was freed where nothing told of it: the old block ends here. */
static __noinline int put_block(struct wire_block_key *key, struct wire_block *block)
{
	struct wire_block old;
	int err;

	if (!key || !block)
		return -1;
	err = bpf_map_update_elem(&live, key, block, BPF_NOEXIST);
	if (err != -EEXIST)
		return err;
	if (!take_block(key, &old)) {
		end_block(&old);
		lost(WIRE_KERNEL_INSTANCE, WIRE_LOST_MISSED_FREE);
	}
	return bpf_map_update_elem(&live, key, block, BPF_NOEXIST);
}

static __always_inline void record(struct scratch *s, u64 address, u64 size_bytes, u64 weight,
				   u64 stack)
{
	struct wire_block_key key = {.address = address, .instance = WIRE_KERNEL_INSTANCE};
	struct wire_site_key site_key = {
		.stack = stack, .instance = WIRE_KERNEL_INSTANCE, .kind = WIRE_KIND_KERNEL};
	struct wire_block block = {.size_bytes = size_bytes, .weight = weight};
	struct wire_site *site = site_get(&site_key, &s->stack);
	int err;

	if (!site) {
		lost(WIRE_KERNEL_INSTANCE, WIRE_LOST_LIVE_MEMORY);
		return;
	}
	block.time_ns = bpf_ktime_get_ns();
	block.site = site_key.stack;
	err = put_block(&key, &block);
	if (err)
		lost(WIRE_KERNEL_INSTANCE, err == -E2BIG ? WIRE_LOST_LIVE_FULL : WIRE_LOST_BUSY);
	else
		site_allocated(site, &block);
}

/* cache: its address, 0: the stack says enough. pages: it is pages that were allocated. */
static __noinline int allocated(void *ctx, u64 address, u64 size_bytes, u64 cache, u32 pages)
{
	u64 weight, stack;
	struct scratch *s;

	if (!address || size_bytes < settings.min_size_bytes ||
	    size_bytes > settings.max_size_bytes || !is_wanted())
		return 0;
	weight = sample_weight(size_bytes, NULL);
	if (!weight)
		return 0;
	s = scratch_take();
	if (!s) {
		lost(WIRE_KERNEL_INSTANCE, WIRE_LOST_BUSY);
		return 0;
	}
	stack = take_stack(ctx, &s->stack, cache);
	if (!is_left_out(&s->stack, pages))
		record(s, address, size_bytes, weight, stack);
	scratch_give(s);
	return 0;
}

/* known: a free without a record means something. */
static __noinline int freed(u64 address, u32 known)
{
	struct wire_block_key key = {.address = address, .instance = WIRE_KERNEL_INSTANCE};
	struct wire_process *process;
	u32 instance = WIRE_KERNEL_INSTANCE;
	struct wire_block block;
	int err;

	if (!address)
		return 0;
	err = take_block(&key, &block);
	if (!err) {
		end_block(&block);
	} else if (err != -ENOENT) {
		lost(WIRE_KERNEL_INSTANCE, WIRE_LOST_BUSY);
	} else if (known && settings.count_unknown && !kernel_heap.n_pids) {
		process = bpf_map_lookup_elem(&instances, &instance);
		if (process)
			__sync_fetch_and_add(&process->unknown_frees, 1);
	}
	return 0;
}

/* What an object of a cache takes: as in /proc/slabinfo. */
static __always_inline u64 object_bytes(u64 cache)
{
	return BPF_CORE_READ((const struct kmem_cache *)cache, size);
}

static __always_inline bool is_silent(u64 cache)
{
	struct wire_kernel_cache *known = cache_get(cache);

	if (!known || !known->silent)
		return false;
	__sync_fetch_and_add(&kernel_heap_silent, 1);
	return true;
}

/* call_site, ptr, bytes_req, bytes_alloc, flags, node */
SEC("raw_tp/kmalloc")
int kernel_kmalloc(u64 *args)
{
	return allocated(args, args[1], args[3], 0, false);
}

/* call_site, ptr, cache, flags, node */
SEC("raw_tp/kmem_cache_alloc")
int kernel_cache_alloc(u64 *args)
{
	if (is_silent(args[2]))
		return 0;
	return allocated(args, args[1], object_bytes(args[2]), args[2], false);
}

/* call_site, ptr */
SEC("raw_tp/kfree")
int kernel_kfree(u64 *args)
{
	return freed(args[1], true);
}

/* call_site, ptr, cache */
SEC("raw_tp/kmem_cache_free")
int kernel_cache_free(u64 *args)
{
	return freed(args[1], true);
}

/* page, order, flags, migratetype */
SEC("raw_tp/mm_page_alloc")
int kernel_page_alloc(u64 *args)
{
	if (!kernel_heap.all_pages && (u32)args[2] & GFP_MOVABLE)
		return 0;
	return allocated(args, args[0], PAGE_BYTES << ((u32)args[1] & 31), 0, true);
}

/* page, order. Of pages that were taken together and split, the first one's free counts for all. */
SEC("raw_tp/mm_page_free")
int kernel_page_free(u64 *args)
{
	return freed(args[0], false);
}

/* call_site, reserved, is_atomic, size, align, base_addr, off, ptr, bytes_alloc, flags: bytes_alloc is of all CPUs together */
SEC("raw_tp/percpu_alloc_percpu")
int kernel_percpu_alloc(u64 *args)
{
	return allocated(args, args[7], args[8], 0, false);
}

/* base_addr, off, ptr */
SEC("raw_tp/percpu_free_percpu")
int kernel_percpu_free(u64 *args)
{
	return freed(args[2], true);
}

struct bulk {
	u64 *objects; /* the kernel's array */
};

/* A function's argument whose type no program may read by itself before 6.16, such as void **. */
static __always_inline u64 argument(void *ctx, u32 i)
{
	u64 value = 0;

	bpf_get_func_arg(ctx, i, &value);
	return value;
}

static __always_inline u64 bulk_object(const struct bulk *bulk, u32 i)
{
	u64 object = 0;

	bpf_probe_read_kernel(&object, sizeof(object), bulk->objects + i);
	return object;
}

static long bulk_freed(u32 i, struct bulk *bulk)
{
	freed(bulk_object(bulk, i), true);
	return 0;
}

/* kmem_cache_free_bulk(cache, n, objects) */
SEC("fentry/kmem_cache_free_bulk")
int kernel_bulk_free(u64 *args)
{
	struct bulk bulk = {.objects = (u64 *)argument(args, 2)};
	u64 n = args[1];

	bpf_loop(n < BULK_MOST ? n : BULK_MOST, bulk_freed, &bulk, 0);
	if (n > BULK_MOST)
		lost(WIRE_KERNEL_INSTANCE, WIRE_LOST_BUSY);
	return 0;
}

/* kmem_cache_alloc_bulk(cache, flags, n, objects) = how many */
SEC("fexit/kmem_cache_alloc_bulk")
int kernel_bulk_alloc(u64 *args)
{
	u64 size_bytes = object_bytes(args[0]);
	struct bulk bulk = {.objects = (u64 *)argument(args, 3)};
	u32 n = args[4], i;

	if (is_silent(args[0]))
		return 0;
	for (i = 0; i < BULK_ALLOC_MOST && i < n; i++)
		allocated(args, bulk_object(&bulk, i), size_bytes, args[0], false);
	if (n > BULK_ALLOC_MOST)
		lost(WIRE_KERNEL_INSTANCE, WIRE_LOST_BUSY);
	return 0;
}

/* __kfree_rcu_sheaf(cache, object) = whether it took the object (6.18, ec66e0d59952) */
SEC("fexit/__kfree_rcu_sheaf")
int kernel_sheaf_free(u64 *args)
{
	if ((u8)args[2])
		freed(args[1], true);
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
