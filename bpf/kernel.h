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

typedef struct {
	long counter;
} atomic_long_t;

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
	atomic_long_t pgtables_bytes;
};

/* Resident pages and swap entries are counted per CPU, each part up to a batch, since 6.2, f1a7941243c1. */
struct percpu_counter {
	s64 count;
	s32 *counters; /* of a CPU; not with !CONFIG_SMP */
};

struct mm_struct___per_cpu {
	struct percpu_counter rss_stat[4];
};

struct bpf_array {
	void *pptrs[1]; /* of a per-CPU array: its elements' per-CPU variables */
};

/* Before, each thread had a part. */
struct mm_rss_stat {
	atomic_long_t count[4];
};

struct mm_struct___per_task {
	struct mm_rss_stat rss_stat;
};

struct task_rss_stat {
	int count[4];
};

struct task_struct___rss {
	struct task_rss_stat rss_stat;
};

struct task_struct;

struct signal_struct {
	atomic_t live;			     /* threads not yet in do_exit */
	unsigned int flags;		     /* SIGNAL_* */
	struct task_struct *group_exec_task; /* it execs, and the others end; 5.17, 60700e38fb68 */
	unsigned long long sum_sched_runtime;
};

/* Before that. */
struct signal_struct___5_16 {
	struct task_struct *group_exit_task;
};

struct sched_entity {
	u64 sum_exec_runtime;
};

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t euid;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent; /* NULL: it is the root's */
	int id;				    /* small: the lowest that was free */
};

struct css_set {
	struct cgroup_subsys_state *subsys[1]; /* by enum cgroup_subsys_id */
};

enum cgroup_subsys_id {
	memory_cgrp_id = 4,
};

enum memcg_memory_event {
	MEMCG_MAX = 2,
};

struct page_counter {
	atomic_long_t usage;
	unsigned long max;
	struct page_counter *parent;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	atomic_long_t memory_events_local[1]; /* by enum memcg_memory_event */
};

struct task_struct {
	unsigned int __state; /* 0: it runs, or is about to; 5.14, 2f064a59a11f */
	int pid;
	int tgid;
	unsigned int flags; /* PF_* */
	char comm[16];
	u64 self_exec_id; /* u32 before 5.7 */
	struct sched_entity se;
	const struct cred *cred;
	struct css_set *cgroups;
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

struct kmem_cache {
	const char *name;
	unsigned int size; /* bytes that an object takes, with what lies between objects */
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id; /* another for each pass */
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task; /* NULL at the end */
};

#pragma clang attribute pop

#endif
