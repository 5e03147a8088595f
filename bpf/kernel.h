/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_KERNEL_H
#define SEEP_BPF_KERNEL_H
/* The kernel's types as far as they are used here. CO-RE finds the real offsets when the program is loaded, so only the
 * names and types of the members count, not their order. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

struct bpf_map;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct xol_area {
	unsigned long
		vaddr; /* where the [uprobes] page of a process is; its first slot is the return trampoline */
};

struct uprobes_state {
	struct xol_area *xol_area;
};

/* A return probe that waits: where it replaced which return address. */
struct return_instance {
	unsigned long stack;
	unsigned long orig_ret_vaddr;
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances; /* innermost first */
};

struct mm_struct {
	struct uprobes_state uprobes_state;
	unsigned long task_size; /* end of the process's address space */
	unsigned long start_brk, brk;
};

struct signal_struct {
	atomic_t live; /* threads not yet in do_exit */
};

struct task_struct {
	int pid;
	int tgid;
	int exit_code;
	u64 start_boottime; /* 5.5, cf25e24db61c */
	struct mm_struct *mm;
	struct uprobe_task *utask;
	struct signal_struct *signal;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	unsigned long sas_ss_sp;
	unsigned long sas_ss_size;
	unsigned long min_flt, maj_flt; /* page faults that have ended */
	int pagefault_disabled;		/* > 0: faults fail at once */
	unsigned int in_execve : 1;
	void *bpf_storage; /* 5.11, a10787e6d58c; NULL: no map has anything of it */
};

struct vm_unmapped_area_info {
	unsigned long length; /* bytes */
};

struct trace_event_raw_mark_victim {
	unsigned long total_vm; /* since it passes the task */
};

struct sigaction {
	void *sa_handler;
};

struct k_sigaction {
	struct sigaction sa;
};

#pragma clang attribute pop

#endif
