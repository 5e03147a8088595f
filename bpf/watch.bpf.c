// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The memory of every process, in one pass. An object of its own: watching loads nothing of tracing.
 *
 * The iterator visits every thread. What all threads share is read at the first thread of a process, or, when that has ended
 * before the others, at each of them; user space takes it once. Processor time is each thread's own, so every thread is
 * told; adding up here would need a map, and would have to know which visits were repeated: the kernel visits a thread again
 * when its record did not fit the reader's buffer. For that reason nothing is remembered before a record is written.
 *
 * Nothing is locked: a process that ends or executes meanwhile is read again, and reads of freed memory do not fault.
 *
 * Needs: task iterators (5.8, eaaacd23910f), bpf_loop (5.17, e6f2dd0f8067), and where counters are per CPU (6.2)
 * bpf_map_lookup_percpu_elem (5.19, 07343110b293). Without the memory controller processes have no cgroup.
 *
 * The memory of a process whose memory another borrows (vfork, CLONE_VM) shows in both, as in /proc. Huge pages of hugetlbfs
 * are in none of the counters. */
#include "cgroup.bpf.h"
#include "kernel.h"
#include "wire.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define PF_KTHREAD 0x00200000
#define CPUS_MAX 8192 /* NR_CPUS of the largest configurations */
#define CSS_MAX 65536 /* the kernel has no more memory cgroups (MEM_CGROUP_ID_MAX) */
#define CGROUP_LEVELS 32
#define READS_MAX 2

/* Possible CPUs, set before the load. */
const volatile __u32 n_cpus = 1;
/* How often, in passes, all CPUs' parts of a process's counters are added up although nothing moved. */
const volatile __u32 sum_every = 1;

/* From a per-CPU variable's address to that of a CPU's own. */
static u64 cpu_offsets[CPUS_MAX];
static u32 n_cpu_offsets;

/* Which cgroups are written already, by their css's id. 512 KB. */
static struct {
	u32 pass;
	u32 index;
} known_cgroups[CSS_MAX];
static u32 known_pass, n_known;
static u32 n_passes; /* ours: other iterators of the host take pass numbers, too */

/* One element, for what its copies' addresses tell. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} cpu_copies SEC(".maps");

/* The verifier allows hardly any arithmetic with pointers, but for one to be read where it lies. */
static __always_inline u64 as_number(void *pointer)
{
	u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

static long find_offset(u32 cpu, u64 *variable)
{
	u32 first = 0;
	void *copy = bpf_map_lookup_percpu_elem(&cpu_copies, &first, cpu);

	if (!copy || cpu >= CPUS_MAX)
		return 1;
	cpu_offsets[cpu] = as_number(copy) - *variable;
	n_cpu_offsets = cpu + 1;
	return 0;
}

/* The kernel has a table, __per_cpu_offset, but without CONFIG_KALLSYMS_ALL nobody says where. A per-CPU map's own pointer and the
 * copies that it leads to say the same. */
static __always_inline void find_cpu_offsets(void)
{
	u64 map = as_number(&cpu_copies), variable;

	if (!bpf_probe_read_kernel(&variable, sizeof(variable),
				   (void *)(map + bpf_core_field_offset(struct bpf_array, pptrs))))
		bpf_loop(n_cpus, find_offset, &variable, 0);
}

/* Four counters: what is common to all CPUs, where each CPU's part is, the sum of the parts. */
struct cpu_parts {
	u64 mm;
	s64 counts[WIRE_WATCH_COUNTERS];
	u64 counters[WIRE_WATCH_COUNTERS];
	s64 pages[WIRE_WATCH_COUNTERS];
};

/* By pid, for sum_every > 1; else user space makes it small. Full: the parts of more processes are added up again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384); /* x 200 B */
	__type(key, u32);
	__type(value, struct cpu_parts);
} known_parts SEC(".maps");

static long add_cpu_apart(u32 cpu, struct cpu_parts *parts)
{
	s32 pages;

	if (cpu >= CPUS_MAX)
		return 1;
#pragma unroll
	for (u32 i = 0; i < WIRE_WATCH_COUNTERS; i++)
		if (!bpf_probe_read_kernel(&pages, sizeof(pages),
					   (void *)(parts->counters[i] + cpu_offsets[cpu])))
			parts->pages[i] += pages;
	return 0;
}

static long add_cpu(u32 cpu, struct cpu_parts *parts)
{
	s32 pages[WIRE_WATCH_COUNTERS];

	if (cpu >= CPUS_MAX)
		return 1;
	if (bpf_probe_read_kernel(pages, sizeof(pages),
				  (void *)(parts->counters[0] + cpu_offsets[cpu])))
		return 0;
#pragma unroll
	for (u32 i = 0; i < WIRE_WATCH_COUNTERS; i++)
		parts->pages[i] += pages[i];
	return 0;
}

/* The kernel's elements are larger than ours. */
static __always_inline struct percpu_counter *counter_of(struct mm_struct___per_cpu *mm, u32 i)
{
	return (void *)mm->rss_stat + i * bpf_core_type_size(struct percpu_counter);
}

/* Parts that nobody changed by much: the common counts would have moved. */
static __always_inline bool recall_parts(u32 pid, struct cpu_parts *parts)
{
	struct cpu_parts *known = bpf_map_lookup_elem(&known_parts, &pid);

	if (!known || known->mm != parts->mm || !((pid + n_passes) % sum_every))
		return false;
#pragma unroll
	for (u32 i = 0; i < WIRE_WATCH_COUNTERS; i++) {
		if (known->counts[i] != parts->counts[i])
			return false;
		parts->pages[i] = known->pages[i];
	}
	return true;
}

/* Since 6.6 (14ef95be6f55) the four lie side by side. */
static __always_inline void add_parts(struct mm_struct___per_cpu *mm, struct cpu_parts *parts)
{
#pragma unroll
	for (u32 i = 0; i < WIRE_WATCH_COUNTERS; i++) {
		parts->counters[i] = (u64)counter_of(mm, i)->counters;
		parts->pages[i] = 0;
	}
	if (parts->counters[3] - parts->counters[0] == 3 * sizeof(s32))
		bpf_loop(n_cpu_offsets, add_cpu, parts, 0);
	else
		bpf_loop(n_cpu_offsets, add_cpu_apart, parts, 0);
}

/* The common counts alone, which /proc shows before 6.16, are off by up to n_cpus * max(32, 2 * n_cpus) pages: enough to hide a slow
 * leak for hours. But each CPU's part is a cache line of its own, and a machine with 256 CPUs would spend tens of milliseconds on
 * those of 1,000 processes. So there they are added up when the common counts have moved, and else every sum_every passes. */
static __always_inline void read_per_cpu(struct mm_struct___per_cpu *mm, u32 pid, s64 *ret_pages)
{
	struct cpu_parts parts = {.mm = (u64)mm};

#pragma unroll
	for (u32 i = 0; i < WIRE_WATCH_COUNTERS; i++)
		parts.counts[i] = counter_of(mm, i)->count;
	if (bpf_core_field_exists(((struct percpu_counter *)0)->counters) &&
	    !(sum_every > 1 && recall_parts(pid, &parts))) {
		add_parts(mm, &parts);
		if (sum_every > 1)
			bpf_map_update_elem(&known_parts, &pid, &parts, BPF_ANY);
	}
#pragma unroll
	for (u32 i = 0; i < WIRE_WATCH_COUNTERS; i++)
		ret_pages[i] = parts.counts[i] + parts.pages[i];
}

static __always_inline void read_memory(struct mm_struct *mm, u32 pid,
					struct wire_watch_process *ret)
{
	struct mm_struct___per_cpu *per_cpu = (void *)mm;
	struct mm_struct___per_task *per_task = (void *)mm;

	ret->page_table_bytes = mm->pgtables_bytes.counter;
	if (bpf_core_field_exists(per_cpu->rss_stat)) {
		read_per_cpu(per_cpu, pid, ret->pages);
	} else {
		/* Read as bytes: before 6.2 the verifier does not know arrays of typedefs. */
		bpf_probe_read_kernel(ret->pages, sizeof(ret->pages),
				      __builtin_preserve_access_index(&per_task->rss_stat.count));
	}
}

static __always_inline void read_task(struct task_struct *task, u32 kind,
				      struct wire_watch_task *ret)
{
	struct task_struct___rss *rss = (void *)task;
	bool parts = bpf_core_field_exists(rss->rss_stat.count);

	ret->kind = kind;
	ret->pid = task->tgid;
	ret->cpu_ns = task->se.sum_exec_runtime;
#pragma unroll
	for (u32 i = 0; i < WIRE_WATCH_COUNTERS; i++)
		ret->pages[i] = parts ? rss->rss_stat.count[i] : 0;
}

struct levels {
	struct wire_watch_cgroup *cgroup;
	u64 counter; /* struct page_counter of the next level */
	u64 least_left;
};

static long look_at_level(u32 level, struct levels *levels)
{
	struct page_counter *counter = (void *)levels->counter;
	u64 used, max, left;

	if (!counter)
		return 1;
	used = BPF_CORE_READ(counter, usage.counter);
	max = BPF_CORE_READ(counter, max);
	left = max > used ? max - used : 0;
	if (left < levels->least_left) {
		levels->least_left = left;
		levels->cgroup->limit_pages = max;
		levels->cgroup->limit_used_pages = used;
	}
	levels->counter = (u64)BPF_CORE_READ(counter, parent);
	return 0;
}

/* The level with the least room left is the limit that will be hit. */
static __always_inline void read_cgroup(struct cgroup_subsys_state *css,
					struct wire_watch_cgroup *ret)
{
	struct mem_cgroup *memory = (void *)css; /* its first member */
	struct page_counter *counter = __builtin_preserve_access_index(&memory->memory);
	struct levels levels = {.cgroup = ret, .least_left = ~0ULL};

	ret->kind = WIRE_WATCH_CGROUP;
	ret->id = css->cgroup->kn->id;
	ret->pages = BPF_CORE_READ(counter, usage.counter);
	ret->limit_pages = ~0ULL;
	ret->limit_used_pages = 0;
	levels.counter = as_number(counter);
	bpf_loop(CGROUP_LEVELS, look_at_level, &levels, 0);
}

/* In one piece: the kernel takes all back that the last of a visit's writes had no room for. */
struct process_with_cgroup {
	struct wire_watch_cgroup cgroup;
	struct wire_watch_process process;
};

static __always_inline void write_process(struct bpf_iter_meta *meta, struct task_struct *task,
					  struct process_with_cgroup *record)
{
	struct cgroup_subsys_state *css = memory_css(task);
	u32 id, pass = meta->session_id;

	record->process.cgroup = WIRE_WATCH_NO_CGROUP;
	if (!css)
		goto write;
	id = css->id;
	if (id < CSS_MAX && known_cgroups[id].pass == pass) {
		record->process.cgroup = known_cgroups[id].index;
		goto write;
	}
	read_cgroup(css, &record->cgroup);
	record->cgroup.index = n_known;
	record->process.cgroup = n_known;
	if (bpf_seq_write(meta->seq, record, sizeof(*record)))
		return;
	if (id < CSS_MAX) {
		known_cgroups[id].pass = pass;
		known_cgroups[id].index = n_known;
	}
	n_known++;
	return;
write:
	bpf_seq_write(meta->seq, &record->process, sizeof(record->process));
}

/* task: a thread of it that has its memory. Returns false when that has just ended. */
static __always_inline bool read_process(struct task_struct *task, struct task_struct *leader,
					 struct wire_watch_process *ret)
{
	struct mm_struct *mm = task->mm;
	u64 *comm = (u64 *)leader->comm;

	/* First what leads to other memory, so that the processor waits for all of it at once. */
	ret->ended_cpu_ns = task->signal->sum_sched_runtime;
	ret->uid = leader->cred->euid.val;
	ret->parent_pid = leader->real_parent->tgid;
	read_task(task, WIRE_WATCH_PROCESS, &ret->task);

#pragma unroll
	for (u32 i = 0; i < READS_MAX; i++) {
		if (!mm)
			return false;
		read_memory(mm, leader->pid, ret);
		barrier();
		if (task->mm == mm)
			break;
		mm = task->mm;
	}
	ret->start_boottime_ns = leader->start_boottime;
	ret->program = task->self_exec_id;
	((u64 *)ret->comm)[0] = comm[0];
	((u64 *)ret->comm)[1] = comm[1];
	ret->pad = 0;
	return true;
}

static __always_inline void begin_pass(u32 pass)
{
	if (known_pass == pass)
		return;
	known_pass = pass;
	n_known = 0;
	n_passes++;
	if (!n_cpu_offsets && bpf_core_field_exists(((struct mm_struct___per_cpu *)0)->rss_stat))
		find_cpu_offsets();
}

SEC("iter/task")
int watch_task(struct bpf_iter__task *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task, *leader;
	struct process_with_cgroup record;

	if (!task || task->flags & PF_KTHREAD)
		return 0;
	begin_pass(meta->session_id);
	leader = task->group_leader;
	if (task->mm && (task->pid == task->tgid || !leader->mm) &&
	    read_process(task, leader, &record.process)) {
		write_process(meta, task, &record);
	} else if (task->signal->live.counter > 0) {
		read_task(task, WIRE_WATCH_TASK, &record.process.task);
		bpf_seq_write(meta->seq, &record.process.task, sizeof(record.process.task));
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
