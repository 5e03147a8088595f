/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_VM_BPF_H
#define SEEP_BPF_VM_BPF_H
/* What user space is told of ranges of memory: user/collect/ranges.h says what the events mean. */
#include "registers.bpf.h"
#include "thread.bpf.h"

#define PAGE_BYTES 4096ULL
#define WAKE_BYTES (1 << 20) /* a sixteenth of the ring */

/* What the tracepoints of system calls pass (events/syscalls/.../format). */
struct syscall_enter {
	u64 common, nr, args[6];
};
struct syscall_exit {
	u64 common, nr, result;
};

static __always_inline struct pt_regs *user_registers(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

static __always_inline bool failed(u64 result)
{
	return result >= -4095ULL;
}

static __always_inline u64 round_up(u64 size_bytes, u64 page_bytes)
{
	return (size_bytes + page_bytes - 1) & -page_bytes;
}

/* Readers drain the ring before each report: they need not wake for every event. */
static __noinline int send(struct wire_event *event)
{
	u64 id = bpf_get_current_pid_tgid(), wake;

	if (!event)
		return 0;
	event->pid = id >> 32;
	event->tid = id;
	event->time_ns = bpf_ktime_get_ns();
	wake = bpf_ringbuf_query(&event_ring, BPF_RB_AVAIL_DATA) >= WAKE_BYTES ? BPF_RB_FORCE_WAKEUP
									       : BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_output(&event_ring, event, sizeof(*event), wake))
		lost(event->instance, WIRE_LOST_TRACE_RING);
	return 0;
}

/* flags: 0, or WIRE_EVENT_PAGES. */
static __always_inline void take(wire_instance instance, u32 flags, u64 address, u64 size_bytes)
{
	struct wire_event event = {
		.type = WIRE_EVENT_TAKE,
		.instance = instance,
		.flags = flags,
		.address = address,
		.size_bytes = size_bytes,
	};

	send(&event);
}

static __always_inline void done(wire_instance instance, u32 flags, u64 address, u64 size_bytes)
{
	struct wire_event event = {
		.type = WIRE_EVENT_DONE,
		.instance = instance,
		.flags = flags,
		.address = address,
		.size_bytes = size_bytes,
	};

	send(&event);
}

/* The stack of the user code that is in the kernel now, 0: it could not be kept. skip: how many bytes beyond its ip the leaf's
 * address is. */
static __noinline u64 stack_get(struct thread *thread, u32 instance, u32 skip)
{
	struct pt_regs *regs = user_registers();
	u64 id;

	if (!thread)
		thread = thread_get(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (thread) {
		id = unwind(thread, instance, IP(regs) + skip, FP(regs), SP(regs));
		if (bpf_map_lookup_elem(&stacks, &id) ||
		    !bpf_map_update_elem(&stacks, &id, &thread->stack, BPF_ANY))
			return id;
	}
	lost(instance, WIRE_LOST_STACKS_FULL);
	return 0;
}

/* A range that a system call made: its stack begins with the instruction after the call's. Returns the stack. */
static __always_inline u64 record(u32 type, struct thread *thread, wire_instance instance,
				  u64 address, u64 size_bytes)
{
	struct wire_event event = {
		.type = type,
		.instance = instance,
		.address = address,
		.size_bytes = size_bytes,
		.site = stack_get(thread, instance, 0),
	};

	send(&event);
	return event.site;
}

/* Memory of a range that is there now; it stands for as much of `weight` such ranges. */
static __always_inline void touched(wire_instance instance, u64 address, u64 size_bytes, u64 site,
				    u32 weight)
{
	struct wire_event event = {
		.type = WIRE_EVENT_FAULT,
		.instance = instance,
		.flags = weight,
		.address = address,
		.size_bytes = size_bytes,
		.site = site,
	};

	send(&event);
}

#endif
