// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Memory that the program maps itself: mmap, munmap, mremap and brk, for --mmap and --growth.
 *
 * Which part of which range a call takes away only user space can tell, so it gets events and does the sums. The order is
 * heap.bpf.c's: a range is announced at the end of the call that makes it, before the caller can pass it on, and taken at
 * the beginning of the call that unmaps or moves it, while nobody else can own its address.
 *
 * Counted are anonymous mappings that the program asks for: not those within an allocator's call, whose blocks count
 * already, and no thread stacks. What is unmapped counts whoever unmaps it. With --growth there are no allocators, and what
 * mmap fills at once (MAP_POPULATE, MAP_LOCKED) is touched by it: no page fault will tell.
 *
 * Needs: tracepoints of system calls (CONFIG_FTRACE_SYSCALLS), bpf_task_pt_regs (5.15, dd6e10fbd9fb). Loaded only with
 * these options; without them attach/ says so. */
#include "calls.bpf.h"
#include "vm.bpf.h"

#define HUGE_PAGE_SHIFT                                                                            \
	21 /* of MAP_HUGETLB without a size, unless default_hugepagesz= was given at boot */

/* uapi/asm-generic/mman-common.h, uapi/linux/mman.h */
#define PROT_WRITE 2
#define MAP_SHARED 0x1 /* also in MAP_SHARED_VALIDATE */
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_LOCKED 0x2000
#define MAP_POPULATE 0x8000
#define MAP_STACK 0x20000
#define MAP_HUGETLB 0x40000
#define MAP_HUGE_SHIFT 26
#define MAP_HUGE_MASK 0x3f
#define MREMAP_DONTUNMAP 4

static __always_inline bool wanted(u64 size_bytes)
{
	return size_bytes >= settings.min_size_bytes && size_bytes <= settings.max_size_bytes;
}

static __always_inline bool in_allocator(struct thread *thread)
{
	return thread && settle(thread, SP(user_registers()) + 8) == POSITION_NESTED;
}

static __always_inline u64 mapped_bytes(u64 size_bytes, u64 flags)
{
	u64 shift = flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;

	if (!(flags & MAP_HUGETLB))
		return round_up(size_bytes, PAGE_BYTES);
	return round_up(size_bytes, 1ULL << (shift ? shift : HUGE_PAGE_SHIFT));
}

/* Whether a private anonymous mapping has its memory from the start. Huge pages of a pool do not count as anonymous memory. */
static __always_inline bool populates(u64 protection, u64 flags)
{
	return settings.growth && protection & PROT_WRITE && flags & (MAP_POPULATE | MAP_LOCKED) &&
	       !(flags & (MAP_SHARED | MAP_HUGETLB));
}

SEC("tp/syscalls/sys_exit_mmap")
int vm_mmap_exit(struct syscall_exit *ctx)
{
	struct pt_regs *regs = user_registers();
	struct thread *thread = thread_get(0);
	wire_instance instance = current_instance(thread);
	u64 address = ctx->result, size_bytes = ARG2(regs), flags = SYSCALL_ARG4(regs), site;

	if (!instance || failed(address))
		return 0;
	if (flags & MAP_ANONYMOUS && !(flags & MAP_STACK) && wanted(size_bytes) &&
	    !in_allocator(thread)) {
		size_bytes = mapped_bytes(size_bytes, flags);
		site = record(WIRE_EVENT_MMAP, thread, instance, address, size_bytes);
		if (populates(ARG3(regs), flags))
			touched(instance, address, size_bytes, site, 1);
	} else if (flags & MAP_FIXED) {
		/* Not counted itself, but what was there is gone. */
		take(instance, 0, address, mapped_bytes(size_bytes, flags));
		done(instance, 0, 0, 0);
	}
	return 0;
}

/* A call that unmaps or moves a range begins. What the kernel refuses out of hand takes nothing: a range without sense may lie
 * over those of other threads, which go on using them meanwhile. */
static __always_inline void take_range(wire_instance instance, u32 flags, u64 address,
				       u64 size_bytes)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 top = BPF_CORE_READ(task, mm, task_size);

	if (size_bytes && !(address & (PAGE_BYTES - 1)) && address < top &&
	    size_bytes <= top - address)
		take(instance, flags, address, round_up(size_bytes, PAGE_BYTES));
}

SEC("tp/syscalls/sys_enter_munmap")
int vm_munmap_enter(struct syscall_enter *ctx)
{
	wire_instance instance = current_instance(thread_get(0));

	if (instance)
		take_range(instance, 0, ctx->args[0], ctx->args[1]);
	return 0;
}

SEC("tp/syscalls/sys_exit_munmap")
int vm_munmap_exit(struct syscall_exit *ctx)
{
	wire_instance instance = current_instance(thread_get(0));

	if (instance)
		done(instance, ctx->result ? WIRE_EVENT_FAILED : 0, 0, 0);
	return 0;
}

/* With old size 0, or MREMAP_DONTUNMAP, the old range stays; with the latter its pages move. */
SEC("tp/syscalls/sys_enter_mremap")
int vm_mremap_enter(struct syscall_enter *ctx)
{
	wire_instance instance = current_instance(thread_get(0));

	if (instance)
		take_range(instance, ctx->args[3] & MREMAP_DONTUNMAP ? WIRE_EVENT_PAGES : 0,
			   ctx->args[0], ctx->args[1]);
	return 0;
}

SEC("tp/syscalls/sys_exit_mremap")
int vm_mremap_exit(struct syscall_exit *ctx)
{
	struct pt_regs *regs = user_registers();
	struct thread *thread = thread_get(0);
	wire_instance instance = current_instance(thread);
	u64 address = ctx->result, size_bytes = round_up(ARG3(regs), PAGE_BYTES);
	u32 pages = SYSCALL_ARG4(regs) & MREMAP_DONTUNMAP ? WIRE_EVENT_PAGES : 0;

	if (!instance)
		return 0;
	if (failed(address)) {
		done(instance, pages | WIRE_EVENT_FAILED, 0, 0);
		return 0;
	}
	if (pages && wanted(size_bytes) && !in_allocator(thread))
		record(WIRE_EVENT_MMAP, thread, instance, address, size_bytes);
	done(instance, pages, address, size_bytes);
	return 0;
}

SEC("tp/syscalls/sys_enter_brk")
int vm_brk_enter(struct syscall_enter *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *thread = thread_get(0);
	wire_instance instance = current_instance(thread);
	u64 end = ctx->args[0];

	if (!instance)
		return 0;
	if (!thread)
		thread = thread_get(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		lost(instance, WIRE_LOST_THREAD_STATE);
		return 0;
	}
	thread->brk = BPF_CORE_READ(task, mm, brk);
	if (end >= BPF_CORE_READ(task, mm, start_brk) && end < thread->brk)
		take(instance, 0, end, thread->brk - end);
	return 0;
}

/* Returns where the break is now: where it was, when the call failed. */
SEC("tp/syscalls/sys_exit_brk")
int vm_brk_exit(struct syscall_exit *ctx)
{
	struct pt_regs *regs = user_registers();
	struct thread *thread = thread_get(0);
	wire_instance instance = current_instance(thread);
	u64 end = ARG1(regs), now = ctx->result, before;

	if (!instance || !thread || !thread->brk)
		return 0;
	before = thread->brk;
	thread->brk = 0;
	if (end && end < before)
		done(instance, now == end ? 0 : WIRE_EVENT_FAILED, 0, 0);
	else if (now > before && wanted(now - before) && !in_allocator(thread))
		record(WIRE_EVENT_BRK, thread, instance, before, now - before);
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
