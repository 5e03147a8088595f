/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_UNWIND_BPF_H
#define SEEP_BPF_UNWIND_BPF_H
/* The stack of the caller, by frame pointers: [fp] is the next frame pointer, [fp + 8] the return address, each frame above
 * the last. Code built without frame pointers ends the walk early or hides its callers; the leaf's caller is always right,
 * as it comes from the call itself. */
#include "thread.bpf.h"

#define MAX_RETURN_INSTANCES 8

/* What stood at slot before a return probe that still waits replaced it: only below a signal handler that interrupted the
 * allocator. */
static __noinline u64 original_return(u64 slot, u64 value)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct return_instance *waiting = BPF_CORE_READ(task, utask, return_instances);
	int i;

	for (i = 0; i < MAX_RETURN_INSTANCES && waiting; i++) {
		if (BPF_CORE_READ(waiting, stack) == slot)
			return BPF_CORE_READ(waiting, orig_ret_vaddr);
		waiting = BPF_CORE_READ(waiting, next);
	}
	return value;
}

static __always_inline u64 mix(u64 hash, u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

struct fp_walk {
	struct thread *thread;
	u64 fp;
	u64 hash;
};

static long fp_step(u32 i, struct fp_walk *walk)
{
	struct thread *thread = walk->thread;
	struct wire_stack *stack = &thread->stack;
	u64 frame[2]; /* next frame pointer, return address */
	u32 n = stack->n_frames;

	if (!walk->fp || walk->fp & 7)
		return 1;
	if (n >= settings.max_frames || n >= WIRE_MAX_FRAMES) {
		stack->truncated = WIRE_STACK_TOO_DEEP;
		return 1;
	}
	if (bpf_probe_read_user(frame, sizeof(frame), (void *)walk->fp)) {
		stack->truncated = WIRE_STACK_FAULT;
		return 1;
	}
	if (!frame[1])
		return 1;
	if (thread->depth)
		frame[1] = original_return(walk->fp + 8, frame[1]);
	stack->frames[n & WIRE_MAX_FRAMES] = frame[1];
	stack->n_frames = n + 1;
	walk->hash = mix(walk->hash, frame[1]);
	if (frame[0] <= walk->fp)
		return 1;
	walk->fp = frame[0];
	return 0;
}

/* Fills thread->stack with the return addresses from ret upwards; fp and sp as they are after the return. Returns a hash of
 * 64 bits over instance and frames, never 0: two stacks of one session share one with a probability of n^2 / 2^65. */
static __always_inline u64 unwind(struct thread *thread, wire_instance instance, u64 ret, u64 fp,
				  u64 sp)
{
	struct fp_walk walk = {.thread = thread, .fp = fp, .hash = mix(instance, ret)};

	thread->stack.n_frames = 1;
	thread->stack.truncated = WIRE_STACK_COMPLETE;
	thread->stack.frames[0] = ret;
	/* The frame pointer register holds anything in code without frame pointers. */
	if (fp >= sp - 8)
		bpf_loop(WIRE_MAX_FRAMES, fp_step, &walk, 0);
	return walk.hash ? walk.hash : 1;
}

#endif
