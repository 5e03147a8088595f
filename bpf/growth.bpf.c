// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Where a process's anonymous memory grows: by the page faults that bring it, whatever allocator or language is behind.
 *
 * Memory comes when it is touched first, and the fault that it takes is seen at three points, all in the thread that touches:
 *
 *	page_fault_user, _kernel    address known; whether memory comes, and how much, not yet
 *	  mm_page_alloc             a page for it: 4 KiB zeroed, or a huge one
 *	    rss_stat                a huge one was put in place (a cgroup at its limit may refuse it, then a small one comes)
 *
 * What tells a page of anonymous memory from one of a file, of a copy after a fork, or of swap is how it is asked for: zeroed and
 * movable; huge ones (never zeroed by the page allocator) without use of reserves, and rss_stat says that they count as
 * anonymous. That needs no look at the mapping, hence no lock.
 *
 * Of the pages that come one in sample_interval / size is taken, each on its own, and stands for that many: unbiased by
 * construction, as every page's chance is known. Huge pages are mostly larger than the interval and all taken. Both
 * sample_interval and sizes are powers of two. What is unmapped or given back by madvise is told as events of ranges
 * (vm.bpf.c); user space finds the sampled pages in them.
 *
 * Not seen: memory that comes without a fault of the process's own (by mlock, MADV_POPULATE_WRITE, buffers that io_uring and
 * O_DIRECT pin, gaps that khugepaged fills), and what execve itself lays out. MADV_FREE is no end: until the kernel takes such a
 * page, the program may use it again without a fault.
 *
 * Needs: BTF tracepoints page_fault_user and _kernel (x86), mm_page_alloc, rss_stat (5.5, ac4414b5ca47). Loaded only with --growth. */
#include "vm.bpf.h"

/* linux/gfp_types.h, the same in all kernels so far; tests/live/test_growth.py fails where they are not. */
#define GFP_MOVABLE (1U << 3)
#define GFP_ZERO (1U << 8)
#define GFP_NOMEMALLOC (1U << 19)
#define MM_ANONPAGES 1 /* linux/mm_types_task.h */

/* uapi/asm-generic/mman-common.h */
#define MADV_DONTNEED 4
#define MADV_DONTNEED_LOCKED 24
#define MADV_GUARD_INSTALL 102

/* Faults that were given a huge page and do not have it yet; a thread that ends meanwhile leaves it too high, which costs time only. */
static u64 n_huge_under_way;

/* The thread, if it has a fault under way whose outcome is open. Most of the host's threads are sorted out by a look. */
static __always_inline struct thread *faulting_thread(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *thread;

	if (!task->bpf_storage)
		return NULL;
	thread = thread_get(0);
	if (!thread || !thread->fault.address ||
	    thread->fault.n_before != task->min_flt + task->maj_flt)
		return NULL;
	return thread;
}

static __always_inline void begin(u64 address, bool in_kernel)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *thread = task->bpf_storage ? thread_get(0) : NULL;
	wire_instance instance = current_instance(thread);

	if (!instance)
		return;
	if (!thread)
		thread = thread_get(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		lost(instance, WIRE_LOST_THREAD_STATE);
		return;
	}
	if (thread->fault.huge_order)
		__sync_fetch_and_sub(&n_huge_under_way, 1);
	thread->fault = (struct fault){
		.address = address,
		.n_before = task->min_flt + task->maj_flt,
		.in_kernel = in_kernel,
	};
}

SEC("tp_btf/page_fault_user")
int growth_fault_user(u64 *args)
{
	begin(args[0], false);
	return 0;
}

SEC("tp_btf/page_fault_kernel")
int growth_fault_kernel(u64 *args)
{
	struct task_struct *task = bpf_get_current_task_btf();

	/* A BPF program's reading, ours too, brings nothing. What execve fills is not the program's that ends with it, least of all a
	 * vfork child's parent's. */
	if (task->pagefault_disabled <= 0 && task->mm && !BPF_CORE_READ_BITFIELD(task, in_execve))
		begin(args[0], true);
	return 0;
}

/* Memory has come to where the thread's fault is: is it a sample, and of whose stack? */
static __always_inline void end(struct thread *thread, u64 size_bytes)
{
	wire_instance instance = current_instance(thread);
	u64 address = thread->fault.address & -size_bytes, interval = settings.sample_interval;
	u32 weight = size_bytes < interval ? interval / size_bytes : 1;

	thread->fault.address = 0;
	if (thread->fault.huge_order)
		__sync_fetch_and_sub(&n_huge_under_way, 1);
	thread->fault.huge_order = 0;
	if (!instance || bpf_get_prandom_u32() & (weight - 1))
		return;
	/* A fault strikes at an instruction, not behind a call: one byte on, it is found like one. */
	touched(instance, address, size_bytes,
		stack_get(thread, instance, thread->fault.in_kernel ? 0 : 1), weight);
}

SEC("tp_btf/mm_page_alloc")
int growth_page(u64 *args)
{
	u32 order = args[1], flags = args[2];
	struct thread *thread;

	/* On all the host: most is sorted out here. */
	if (!args[0] || !(flags & GFP_MOVABLE) || !(flags & (order ? GFP_NOMEMALLOC : GFP_ZERO)))
		return 0;
	thread = faulting_thread();
	if (!thread)
		return 0;
	if (!order) {
		end(thread, PAGE_BYTES);
		return 0;
	}
	if (!thread->fault.huge_order)
		__sync_fetch_and_add(&n_huge_under_way, 1);
	thread->fault.huge_order = order;
	return 0;
}

SEC("tp_btf/rss_stat")
int growth_huge_page(u64 *args)
{
	struct thread *thread;

	if ((u32)args[1] != MM_ANONPAGES || !*(volatile u64 *)&n_huge_under_way)
		return 0;
	thread = faulting_thread();
	if (thread && thread->fault.huge_order)
		end(thread, PAGE_BYTES << (thread->fault.huge_order & 31));
	return 0;
}

static __always_inline bool gives_back(u64 advice)
{
	return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED ||
	       advice == MADV_GUARD_INSTALL;
}

SEC("tp/syscalls/sys_enter_madvise")
int growth_madvise_enter(struct syscall_enter *ctx)
{
	wire_instance instance;

	if (!gives_back(ctx->args[2]))
		return 0;
	instance = current_instance(thread_get(0));
	if (instance)
		take(instance, WIRE_EVENT_PAGES, ctx->args[0], round_up(ctx->args[1], PAGE_BYTES));
	return 0;
}

SEC("tp/syscalls/sys_exit_madvise")
int growth_madvise_exit(struct syscall_exit *ctx)
{
	wire_instance instance;

	if (!gives_back(ARG3(user_registers())))
		return 0;
	instance = current_instance(thread_get(0));
	if (instance)
		done(instance, WIRE_EVENT_PAGES | (ctx->result ? WIRE_EVENT_FAILED : 0), 0, 0);
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
