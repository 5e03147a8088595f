/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_THREAD_BPF_H
#define SEEP_BPF_THREAD_BPF_H
/* What is kept of a thread, and which process it belongs to. */
#include "maps.bpf.h"
#include "spaces.bpf.h"

#define MAX_PENDING 4 /* calls interrupted by handlers that allocate, interrupted by handlers ... */

enum pending_flags {
	PENDING_OLD_HELD = 1, /* realloc: `old` was taken out of the live map */
	PENDING_SKIPPED = 2,  /* only here to recognise nesting: sampled out or filtered by size */
	PENDING_EXITS = 4,    /* ends at a probed ret instruction, not at a return probe */
};

struct pending {
	u64 cfa;
	u64 size_bytes;
	u64 weight;
	u64 pointer;   /* realloc: the old address; posix_memalign: where the result goes */
	u64 signal_sp; /* a signal struck here while the call was under way, 0: none */
	u64 signal_ip;
	struct wire_block old;
	wire_instance instance;
	u8 function;
	u8 flags;
	u8 family; /* enum wire_family's bits */
	u8 pad;
};

/* A free: its end is not probed. */
struct silent_call {
	u64 cfa;
	u64 ret;
	u64 ip; /* of its probe */
};

/* A page fault under way: growth.bpf.c's. */
struct fault {
	u64 address; /* 0: none, or what it brought is known */
	u64 n_before; /* faults of the thread that had ended when it began: it is under way until there is one more */
	u32 huge_order; /* of the huge page that was allocated for it, 0: none yet */
	u32 in_kernel;	/* the kernel touched the memory, on behalf of a system call */
};

/* Not yet told to the governor. */
struct hits {
	u32 n; /* of all kinds, since the last one that was timed */
	u32 n_stepped;
	u32 n_entries, n_returns, n_frees;
	u32 pad;
};

struct thread {
	u32 depth;
	wire_instance instance; /* as of `epoch` */
	u64 epoch;
	struct pending pending[MAX_PENDING];
	struct silent_call freed;
	struct hits hits;
	u64 brk; /* the break's place when a brk call began, 0: none is under way */
	struct fault fault;
	struct wire_stack stack; /* scratch, like walk: a thread cannot be preempted by itself */
	struct walk walk;
};

/* ~2.9 kB a thread, freed with the thread. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps") __weak;

static __always_inline struct thread *thread_get(u64 flags)
{
	return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, flags);
}

/* unwind.bpf.c: fills thread->stack with the return addresses from ret upwards; fp and sp as they are after the return.
 * Returns a hash of 64 bits over instance and frames, never 0: two stacks of one session share one with a probability of
 * n^2 / 2^65. With UNWIND_UNCOUNTED in the instance it is no allocation's: if it ends early that is not counted. */
#define UNWIND_UNCOUNTED (1ULL << 32)
u64 unwind(struct thread *thread, u64 instance, u64 ret, u64 fp, u64 sp);

/* Rises whenever procs changes. */
extern u64 procs_epoch;

/* The instance that the current process is, 0: not traced. From the thread's state while no process came or went. */
static __always_inline wire_instance current_instance(struct thread *thread)
{
	u64 epoch = *(volatile u64 *)&procs_epoch;
	struct wire_member *member;
	u32 pid;

	if (thread && thread->instance && thread->epoch == epoch)
		return thread->instance;
	pid = bpf_get_current_pid_tgid() >> 32;
	member = bpf_map_lookup_elem(&procs, &pid);
	if (!member)
		return 0;
	if (thread) {
		thread->instance = member->instance;
		thread->epoch = epoch;
	}
	return member->instance;
}

static __always_inline u64 read_word(u64 address)
{
	u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/* The first slot of the process's [uprobes] page: what a waiting return probe leaves as return address. */
static __always_inline u64 trampoline_address(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct xol_area *area = BPF_CORE_READ(task, mm, uprobes_state.xol_area);

	return area ? BPF_CORE_READ(area, vaddr) : 0;
}

#endif
