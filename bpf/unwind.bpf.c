// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What unwind.bpf.h needs in the kernel: tables, mappings and their upkeep, and the walk as a function of its own, which the
 * verifier checks once for all programs that call it.
 *
 * Needs: bpf_loop (5.17, e6f2dd0f8067), arrays of arrays of different sizes (BPF_F_INNER_MAP, 5.10, 4a8f87e60f6d), the tracepoint
 * vm_unmapped_area (5.7, df529cabb7a2), all three in every kernel that heap.bpf.c loads on. */
#include "thread.bpf.h"

#define MAX_RETURN_INSTANCES 64 /* the kernel's own bound */

struct wire_unwind unwind_shared = {};
__u32 next_generation = 1;

/* Rows of all files, in pages of 4 KiB; a table lies within one segment. User space adds segments as it needs them, up to
 * --unwind-memory; beyond that files are unwound by frame pointers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WIRE_SEGMENTS);
	__type(key, u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
			__uint(max_entries, 1);
			__uint(key_size, sizeof(u32));
			__uint(value_size, sizeof(struct wire_row_page));
		});
} row_segments SEC(".maps");

static __always_inline struct wire_row_page *row_page(u32 segment, u32 page)
{
	void *rows = bpf_map_lookup_elem(&row_segments, &segment);

	return rows ? bpf_map_lookup_elem(rows, &page) : NULL;
}

struct return_search {
	struct return_instance *waiting;
	u64 slot, found;
};

static long search_return(u32 i, struct return_search *search)
{
	struct return_instance *waiting = search->waiting;

	if (!waiting)
		return 1;
	if (BPF_CORE_READ(waiting, stack) == search->slot) {
		search->found = BPF_CORE_READ(waiting, orig_ret_vaddr);
		return 1;
	}
	search->waiting = BPF_CORE_READ(waiting, next);
	return 0;
}

/* What stood at slot before a return probe that still waits, ours or another tracer's, replaced it by `value`. */
static __noinline u64 original_return(u64 slot, u64 value)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct return_search search = {
		.waiting = BPF_CORE_READ(task, utask, return_instances),
		.slot = slot,
		.found = value,
	};

	bpf_loop(MAX_RETURN_INSTANCES, search_return, &search, 0);
	return search.found;
}

#include "unwind.bpf.h"

/* When everything is traced, user space looks at the mappings of those processes only that ask. NULL: no free slot. */
static __always_inline struct wire_space *space_begin(wire_instance instance)
{
	struct wire_space *space;
	u32 i, before;

	for (i = 0; i < WIRE_SPACE_PROBES; i++) {
		space = &unwind_shared.spaces[(WIRE_SPACE_HOME(instance) + i) & (WIRE_SPACES - 1)];
		before = __sync_val_compare_and_swap(&space->instance, 0, instance);
		if (!before || before == instance)
			return space;
	}
	return NULL;
}

/* Asks user space to look at the process's mappings again, once until it has. */
static __always_inline void ask(struct wire_space *space, wire_instance instance, u64 address)
{
	struct wire_event *event;

	/* Without a space the process is new: its fork or exec was told. */
	if (!space || __sync_lock_test_and_set(&space->asked, 1))
		return;
	event = bpf_ringbuf_reserve(&process_ring, sizeof(*event), 0);
	if (!event) { /* no loss: the next stack that ends so asks again */
		space->asked = 0;
		return;
	}
	*event = (struct wire_event){
		.type = WIRE_EVENT_UNMAPPED,
		.pid = bpf_get_current_pid_tgid() >> 32,
		.instance = instance,
		.time_ns = bpf_ktime_get_ns(),
		.address = address,
	};
	bpf_ringbuf_submit(event, 0);
}

static __noinline int stack_ended(struct thread *thread, u32 instance, bool counts)
{
	u32 reason = thread->stack.truncated;
	struct wire_process *process = bpf_map_lookup_elem(&instances, &instance);
	struct wire_space *space;

	if (process && counts)
		__sync_fetch_and_add(&process->truncated[reason & (WIRE_STACK_REASONS - 1)], 1);
	if (reason != WIRE_STACK_UNMAPPED)
		return 0;
	space = space_of(instance);
	if (!space && settings.everything)
		space = space_begin(instance);
	ask(space, instance, thread->walk.pc);
	return 0;
}

__noinline u64 unwind(struct thread *thread, u64 instance, u64 ret, u64 fp, u64 sp)
{
	u64 hash;

	if (!thread)
		return 1;
	hash = walk_stack(&thread->walk, &thread->stack, instance, ret, fp, sp);
	if (thread->stack.truncated)
		stack_ended(thread, instance, !(instance & UNWIND_UNCOUNTED));
	return hash;
}

/* Whether a run has a table for any part of [start, end). Looks at some mappings only: a library has few executable ones. */
static __noinline bool has_table(u32 first, u32 n, u64 start, u64 end)
{
	u32 low = first + 1, half, i;
	struct wire_mapping *m;

	if (!n)
		return false;
	for (i = 0; i < MAPPING_STEPS && n > 1; i++) {
		half = n / 2;
		if (mapping_at(low + half)->start < end)
			low += half;
		n -= half;
	}
	for (i = 0; i < 8 && low > first; i++, low--) {
		m = mapping_at(low);
		if (m->start < end && m->end > start && m->kind == WIRE_MAPPING_CFI)
			return true;
	}
	return false;
}

/* A vfork child that executes a program lays out memory of its own while it still counts as its parent's instance. */
static __always_inline bool borrower_left(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct wire_member *member = bpf_map_lookup_elem(&procs, &pid);

	return member && member->flags & WIRE_MEMBER_BORROWED &&
	       BPF_CORE_READ(task, mm) != BPF_CORE_READ(task, real_parent, mm);
}

/* The kernel has found room for a new mapping: whatever we hold of that range was unmapped before (dlclose). No stack may be
 * read by it any more, from before the new mapping exists. Not all mappings come here: mmap at a hint that is free, MAP_FIXED and
 * MAP_FIXED_NOREPLACE are told by their MMAP2 record, a moment later, and mremap by the next read of /proc. */
SEC("tp_btf/vm_unmapped_area")
int mapping_gone(u64 *args)
{
	u64 start = args[0];
	struct vm_unmapped_area_info *info = (struct vm_unmapped_area_info *)args[1];
	struct thread *thread = thread_get(0);
	wire_instance instance = current_instance(thread);
	struct wire_space *space;
	bool pending, gone;
	u64 end;

	if (!instance || start >= -4095ULL)
		return 0;
	space = space_of(instance);
	if (!space)
		return 0;
	end = start + info->length;
	if (borrower_left())
		return 0;
	/* In this order: what is no longer pending was published before, and is found there. */
	pending = has_table(*(volatile u32 *)&space->pending_first,
			    *(volatile u32 *)&space->pending_n, start, end);
	if (pending)
		__sync_fetch_and_add(&space->changes, 1);
	gone = *(volatile u32 *)&space->generation &&
	       has_table(*(volatile u32 *)&space->first, *(volatile u32 *)&space->n, start, end);
	if (!gone)
		return 0;
	__sync_fetch_and_add(&space->changes, 1);
	/* What stood there is another site's code than what comes. */
	__sync_fetch_and_add(&space->version, 1);
	space->generation = 0;
	ask(space, instance, start);
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
