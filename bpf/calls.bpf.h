/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_CALLS_BPF_H
#define SEEP_BPF_CALLS_BPF_H
/* Which allocator calls a thread is in.
 *
 * A call is known by its CFA, the stack pointer it returns to:
 *
 *	  higher   | caller's frame            |
 *	           +---------------------------+ <- CFA: sp after the call has returned
 *	           | return address            |    (replaced by the kernel's trampoline while a return probe waits)
 *	  CFA - 8  +---------------------------+ <- sp at the entry
 *	           | the allocator's frames    |
 *	  lower    |   a nested call's CFA     |
 *
 * A call that begins below the CFA of one that has not ended is the allocator's own (malloc inside realloc, the real
 * malloc inside a preloaded one) and is not counted; one that begins at or above it proves that the other was left
 * without a return (longjmp, exception): that is what the kernel's return probes assume, too. One case looks like nesting
 * and is not: a signal handler that interrupted the allocator. The kernel delivers signals when it returns from a
 * trap, so our own probes make that case frequent; signal_deliver() notes where it struck and in_handler() looks whether the
 * signal's frame is still on the stack. */
#include "thread.bpf.h"

#define RED_ZONE 128
/* Least distance from the interrupted sp down to the signal frame: red zone, FXSAVE area, frame without it. */
#define SIGNAL_FRAME_MIN (RED_ZONE + 512 + 440)
#define SIGNAL_FRAME_SEARCH 1024 /* x 16 bytes: reaches over the AMX state of 8 KiB */
/* struct rt_sigframe of x86-64: return address, uc_flags, uc_link, uc_stack, then r8-r15, rdi, rsi, rbp, rbx, rdx, rax, rcx,
 * rsp, rip (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h). */
#define SIGNAL_FRAME_RSP 168

/* Whether a call without a probed end, seen earlier, still runs and encloses the one at (cfa, ip): its return address is
 * still where it was pushed. After its return the caller's next call mostly overwrites that word, but an array that was
 * never written keeps it: good enough to tell which free is the allocator's own among those of unknown blocks, not to
 * leave out an allocation. The same function at the same CFA is the next call of a loop; another function there was
 * reached by a tail jump. */
static __always_inline bool silent_encloses(const struct silent_call *call, u64 cfa, u64 ip)
{
	if (!call->cfa || call->cfa < cfa || (call->cfa == cfa && call->ip == ip))
		return false;
	return read_word(call->cfa - 8) == call->ret;
}

struct frame_search {
	u64 first, sp, ip;
	bool found;
};

static long search_signal_frame(u32 i, struct frame_search *search)
{
	u64 saved[2]; /* rsp, rip */

	if (bpf_probe_read_user(saved, sizeof(saved),
				(void *)(search->first - 16 * (u64)i + SIGNAL_FRAME_RSP)))
		return 1;
	/* A system call that will be restarted is noted before its ip goes back over the instruction. */
	search->found = saved[0] == search->sp &&
			(saved[1] == search->ip || saved[1] == search->ip - 2);
	return search->found;
}

static __always_inline bool on_alternate_stack(u64 sp)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 base = BPF_CORE_READ(task, sas_ss_sp), size = BPF_CORE_READ(task, sas_ss_size);

	return size && sp > base && sp - base <= size;
}

/* Whether a call at cfa is made by a signal handler that interrupted `top`, not by the allocator. */
static __noinline bool in_handler(struct pending *top, u64 cfa)
{
	struct frame_search search = {};

	if (!top || !top->signal_sp)
		return false;
	if (on_alternate_stack(cfa) && !on_alternate_stack(top->signal_sp))
		return true;
	if (cfa > top->signal_sp - SIGNAL_FRAME_MIN)
		return false;
	/* The frame begins 8 below a multiple of 16; saved rsp and rip lie 16-aligned from there. */
	search.first = ((top->signal_sp - SIGNAL_FRAME_MIN) & ~15ULL) + 8;
	search.sp = top->signal_sp;
	search.ip = top->signal_ip;
	bpf_loop(SIGNAL_FRAME_SEARCH, search_signal_frame, &search, 0);
	if (!search.found)
		top->signal_sp = 0; /* the handler has returned */
	return search.found;
}

/* A realloc that was left by longjmp: the old block is as it was, unless somebody got the address meanwhile. */
static __always_inline void put_back(struct pending *call)
{
	struct wire_block_key key = {.address = call->pointer, .instance = call->instance};

	if (!(call->flags & PENDING_OLD_HELD))
		return;
	if (bpf_map_update_elem(&live, &key, &call->old, BPF_NOEXIST))
		lost(call->instance, WIRE_LOST_LIVE_MEMORY);
}

static __always_inline void abandon(struct pending *call)
{
	struct wire_governed *g = governed_orders(call->instance);

	/* Where probes come and go, a call may be under way when they go. */
	if (!(call->flags & PENDING_SKIPPED) && !(g && g->until_ns))
		lost(call->instance, WIRE_LOST_ABANDONED);
	put_back(call);
}

/* Whether a call that looks like enclosing another was left: by longjmp, when something else was pushed since where its
 * return probe waits, or by an exec. What ends at ret instructions has nothing there to know it by. */
static __always_inline bool was_left(const struct thread *thread, const struct pending *call)
{
	if (call->instance != thread->instance)
		return true;
	return !(call->flags & PENDING_EXITS) && read_word(call->cfa - 8) != trampoline_address();
}

enum position {
	POSITION_OUTERMOST,
	POSITION_NESTED,
	POSITION_UNSAFE, /* a return probe here would make the kernel kill the process */
};

/* Where a call that begins at cfa stands; forgets calls that were left without a return. */
static __noinline int settle(struct thread *thread, u64 cfa)
{
	struct pending *top;
	int i;

	if (!thread)
		return POSITION_OUTERMOST;
	for (i = 0; i < MAX_PENDING && thread->depth; i++) {
		top = &thread->pending[(thread->depth - 1) & (MAX_PENDING - 1)];
		/* First: on its way back through the kernel's trampoline a call has that word overwritten, too. */
		if (top->cfa > cfa && in_handler(top, cfa))
			return POSITION_OUTERMOST;
		if (top->cfa > cfa && !was_left(thread, top))
			return POSITION_NESTED;
		if (top->cfa == cfa && read_word(cfa - 8) == trampoline_address())
			return POSITION_NESTED; /* reached by a tail jump */
		/* The kernel takes a lower stack for a left one and would drop its waiting return probe. */
		if (top->signal_sp && on_alternate_stack(cfa) &&
		    !on_alternate_stack(top->signal_sp))
			return POSITION_UNSAFE;
		abandon(top);
		thread->depth--;
	}
	return POSITION_OUTERMOST;
}

/* Room for one more call, or NULL. */
static __always_inline struct pending *pending_push(struct thread *thread)
{
	struct pending *call;

	if (thread->depth >= MAX_PENDING)
		return NULL;
	call = &thread->pending[thread->depth & (MAX_PENDING - 1)];
	thread->depth++;
	return call;
}

/* The call that returns to cfa and ends that way (0 or PENDING_EXITS: allocators share code, and with it ret instructions), taken off
 * the list; its memory stays valid until the next push. NULL: a nested one's return, or one that was lost at its entry and
 * counted there. */
static __always_inline struct pending *pending_pop(struct thread *thread, u64 cfa, u32 exits)
{
	struct pending *top;
	int i;

	for (i = 0; i < MAX_PENDING && thread->depth; i++) {
		top = &thread->pending[(thread->depth - 1) & (MAX_PENDING - 1)];
		if (top->cfa > cfa || (top->cfa == cfa && (top->flags & PENDING_EXITS) != exits))
			return NULL;
		thread->depth--;
		if (top->cfa == cfa)
			return top;
		abandon(top);
	}
	return NULL;
}

#endif
