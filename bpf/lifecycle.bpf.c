// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Processes begin, change and end: fork, exec, exit.
 *
 * All three run in the process concerned (fork: in the parent, before the child can run), so that no allocation can
 * come between the event and its effect here.
 *
 * Needs: BTF tracepoints sched_process_fork, _exec, _exit (5.5, ac4414b5ca47). */
#include "maps.bpf.h"
#include "spaces.bpf.h"
#include "thread.bpf.h"
#include "hits.bpf.h"

#define PF_KTHREAD 0x00200000	     /* include/linux/sched.h */
#define SIGNAL_GROUP_EXIT 0x00000004 /* include/linux/sched/signal.h */

const volatile struct wire_settings settings = {};

struct wire_governed crowd = {};
__u64 crowd_opened_ns =
	0; /* CLOCK_MONOTONIC: when the crowd's last window began, as user space says */
__u32 next_instance = 1;
__u64 procs_epoch = 1;

/* After each change of procs: what threads remember of it holds no more. */
static __always_inline void procs_changed(void)
{
	__sync_fetch_and_add(&procs_epoch, 1);
}

static __always_inline struct wire_event *event_reserve(u32 type, struct task_struct *task,
							wire_instance instance)
{
	struct wire_event *event = bpf_ringbuf_reserve(&process_ring, sizeof(*event), 0);

	if (!event) {
		lost_anywhere(WIRE_LOST_PROCESS_RING);
		return NULL;
	}
	*event = (struct wire_event){
		.type = type,
		.pid = task->tgid,
		.tid = task->pid,
		.instance = instance,
		.time_ns = bpf_ktime_get_ns(),
	};
	return event;
}

/* CPU time so far, of the current process or one that begins. Of threads that end just now some may be missing. */
static __always_inline u64 process_cpu_ns(struct task_struct *task)
{
	u64 ns = task->signal->sum_sched_runtime + task->se.sum_exec_runtime;

	if (task->pid != task->tgid)
		ns += task->group_leader->se.sum_exec_runtime;
	return ns;
}

/* First into the crowd, then as inexact as that is: user space makes the crowd inexact first, and then its members. */
static __always_inline void join_crowd(struct wire_governed *g, u64 cpu_ns)
{
	g->cpu_ns = cpu_ns;
	__sync_fetch_and_or(&g->flags, WIRE_GOVERNED_CROWD);
	if (*(volatile u32 *)&crowd.flags & WIRE_GOVERNED_INEXACT)
		__sync_fetch_and_or(&g->flags, WIRE_GOVERNED_INEXACT);
}

/* Whether probes stood in its life and none was hit: what a program computes for itself pays for nobody's probes. */
static __always_inline bool is_quiet(wire_instance instance, const struct wire_governed *g)
{
	struct wire_process *process;

	if (g->n_entries || g->n_frees)
		return false;
	if (!crowd.until_ns)
		return true;
	process = bpf_map_lookup_elem(&instances, &instance);
	return process && process->began_ns < *(volatile u64 *)&crowd_opened_ns;
}

/* The current process stops being this instance. What it used, and user space has not counted yet, is the crowd's. */
static __always_inline void leave_crowd(wire_instance instance, struct task_struct *task)
{
	struct wire_governed *g = governed_get(instance);
	u64 cpu_ns, before_ns;

	if (!g)
		return;
	cpu_ns = process_cpu_ns(task);
	before_ns = __sync_lock_test_and_set(&g->cpu_ns, cpu_ns);
	__sync_fetch_and_or(&g->flags, WIRE_GOVERNED_ENDED);
	if (!(g->flags & WIRE_GOVERNED_CROWD) || cpu_ns <= before_ns || is_quiet(instance, g))
		return;
	cpu_ns -= before_ns;
	if (cpu_ns > WIRE_CROWD_CPU_MOST_NS)
		cpu_ns = WIRE_CROWD_CPU_MOST_NS;
	__sync_fetch_and_add(&crowd.cpu_ns, cpu_ns);
}

static __always_inline void flush_hits(struct task_struct *task)
{
	struct thread *thread;

	if (!settings.governed)
		return;
	thread = bpf_task_storage_get(&threads, task, 0, 0);
	if (thread)
		hits_flush(thread);
}

#define NUMBER_TRIES 16

/* A number that was never used in this session; where processes are governed, one whose record is free, with the orders that its
 * parent has: a pool of workers need not be found expensive one by one. */
static __always_inline wire_instance instance_number(struct task_struct *task, wire_instance parent)
{
	struct wire_governed *g, *before;
	wire_instance instance = 0;
	u32 index;
	int i;

	for (i = 0; i < NUMBER_TRIES; i++) {
		instance = __sync_fetch_and_add(&next_instance, 1);
		index = instance % WIRE_GOVERNED;
		if (!settings.governed)
			return instance;
		g = bpf_map_lookup_elem(&governed, &index);
		if (!g || !instance || __sync_val_compare_and_swap(&g->instance, 0, instance))
			continue;
		if (settings.everything) {
			join_crowd(g, process_cpu_ns(task));
			return instance;
		}
		before = governed_get(parent);
		if (before && before->sample_interval) {
			g->sample_interval = before->sample_interval;
			g->flags = WIRE_GOVERNED_INEXACT;
		}
		return instance;
	}
	return instance;
}

/* A new instance for a process, 0 when the tables are full. */
static __always_inline wire_instance instance_create(struct task_struct *task, wire_instance parent,
						     bool forked)
{
	struct wire_process process = {
		.pid = task->tgid,
		.parent_instance = parent,
		.start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime),
		.began_ns = bpf_ktime_get_ns(),
		.forked = forked,
		.n_members = 1,
	};
	wire_instance instance = instance_number(task, forked ? parent : 0);

	if (bpf_map_update_elem(&instances, &instance, &process, BPF_NOEXIST)) {
		lost(parent, WIRE_LOST_PROCESSES);
		return 0;
	}
	return instance;
}

/* One process less is this instance; the last one ends it. */
static __always_inline void instance_leave(wire_instance instance, u32 how, int exit_code)
{
	struct wire_process *process = bpf_map_lookup_elem(&instances, &instance);

	if (!process || __sync_fetch_and_sub(&process->n_members, 1) != 1)
		return;
	process->exit_code = exit_code;
	process->ended_ns = bpf_ktime_get_ns();
	process->ended = how;
}

/* It executes its program from now on. */
static __always_inline void instance_whole(wire_instance instance)
{
	struct wire_process *process = bpf_map_lookup_elem(&instances, &instance);

	if (process)
		process->whole = 1;
}

static __always_inline void instance_join(wire_instance instance)
{
	struct wire_process *process = bpf_map_lookup_elem(&instances, &instance);

	if (!process)
		return;
	__sync_fetch_and_add(&process->n_borrowers, 1);
	__sync_fetch_and_add(&process->n_members, 1);
}

/* Whether the child of a process that is not traced is, when everything is: of what is neither ours nor the kernel's. One that
 * shares its parent's memory becomes a process of its own at its exec. */
static __always_inline bool begins_alone(struct task_struct *child, u32 parent_pid, bool shares)
{
	return settings.everything && !shares && parent_pid != settings.self &&
	       !(child->flags & PF_KTHREAD);
}

/* A vfork child, or any other process with its parent's memory, counts as its parent until it execs: also without
 * --follow, as what it allocates and frees is the parent's. */
SEC("tp_btf/sched_process_fork")
int process_fork(u64 *args)
{
	struct task_struct *parent = (struct task_struct *)args[0],
			   *child = (struct task_struct *)args[1];
	u32 parent_pid = parent->tgid, child_pid = child->tgid;
	struct wire_member *member, borrowed = {};
	struct wire_member joined = {};
	struct wire_event *event;
	bool shares;

	if (parent_pid == child_pid)
		return 0;
	member = bpf_map_lookup_elem(&procs, &parent_pid);
	if (!member && !settings.everything)
		return 0;
	shares = BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm);
	if (member ? !shares && !settings.follow : !begins_alone(child, parent_pid, shares))
		return 0;
	if (member)
		borrowed = *member;
	joined.flags = shares ? WIRE_MEMBER_BORROWED : 0;
	joined.instance = shares ? borrowed.instance
				 : instance_create(child, borrowed.instance, true);
	joined.leader = joined.instance;
	if (!joined.instance)
		return 0;
	if (!shares)
		space_inherit(borrowed.instance, joined.instance);
	if (bpf_map_update_elem(&procs, &child_pid, &joined, BPF_ANY)) {
		lost(borrowed.instance, WIRE_LOST_PROCESSES);
		if (!shares)
			bpf_map_delete_elem(&instances, &joined.instance);
		return 0;
	}
	procs_changed();
	if (shares)
		instance_join(joined.instance);
	event = event_reserve(WIRE_EVENT_FORK, child, joined.instance);
	if (event) {
		event->other = borrowed.instance;
		event->flags = shares ? WIRE_EVENT_SHARES_MEMORY : 0;
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}

/* The process is no longer traced: out of procs, and user space hears of it. */
static __always_inline void member_end(struct task_struct *task, wire_instance instance)
{
	struct wire_event *event;
	u32 pid = task->tgid;

	bpf_map_delete_elem(&procs, &pid);
	procs_changed();
	event = event_reserve(WIRE_EVENT_EXIT, task, instance);
	if (event)
		bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/sched_process_exec")
int process_exec(u64 *args)
{
	struct task_struct *task = (struct task_struct *)args[0];
	u32 pid = task->tgid, thread_id = args[1];
	struct wire_member *member = bpf_map_lookup_elem(&procs, &pid), now = {};
	struct wire_member before = {};
	struct wire_event *event;
	bool borrowed;

	if (!member && (!settings.everything || pid == settings.self))
		return 0;
	if (member)
		before = *member;
	borrowed = before.flags & WIRE_MEMBER_BORROWED;
	now.instance = before.instance;
	flush_hits(task);
	if (!(before.flags & WIRE_MEMBER_HELD)) {
		if (!borrowed)
			leave_crowd(before.instance, task);
		instance_leave(before.instance, WIRE_ENDED_EXEC, 0);
		now.instance = borrowed && !settings.follow
				       ? 0
				       : instance_create(task, before.instance, false);
	}
	instance_whole(now.instance);
	now.leader = member && thread_id == pid ? before.leader : now.instance;
	if (now.instance && bpf_map_update_elem(&procs, &pid, &now, BPF_ANY)) {
		lost_anywhere(WIRE_LOST_PROCESSES);
		bpf_map_delete_elem(&instances, &now.instance);
		now.instance = 0;
	}
	if (!now.instance) {
		member_end(task, before.instance);
		return 0;
	}
	procs_changed();
	event = event_reserve(WIRE_EVENT_EXEC, task, now.instance);
	if (event) {
		event->other = before.instance;
		event->flags = borrowed ? WIRE_EVENT_SHARES_MEMORY : 0;
		bpf_probe_read_kernel_str(&event->address, WIRE_NAME_SIZE, task->comm);
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}

/* Threads other than their process's first that probes hang on, by their id: user space's, as only it knows them. 8 B each. Full: the process's probes are
 * placed for nobody else, which user space counts. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u32);
} heirs SEC(".maps");

/* Whether a process ends as a whole, or all of it but the thread that execs. */
static __always_inline bool all_end(struct task_struct *task)
{
	struct signal_struct *signal = task->signal;

	if (signal->flags & SIGNAL_GROUP_EXIT)
		return true;
	if (bpf_core_field_exists(signal->group_exec_task))
		return signal->group_exec_task;
	return BPF_CORE_READ((struct signal_struct___5_16 *)signal, group_exit_task);
}

/* One thread of several ends. What probes are tied to in the kernel may be this one. */
static __always_inline void thread_exit(struct task_struct *task)
{
	u32 pid = task->tgid, tid = task->pid;
	struct wire_member *member;
	struct wire_event *event;

	if (tid != pid && bpf_map_delete_elem(&heirs, &tid))
		return;
	if (settings.everything || all_end(task))
		return;
	member = bpf_map_lookup_elem(&procs, &pid);
	if (!member)
		return;
	event = event_reserve(WIRE_EVENT_BEREFT, task, member->instance);
	if (event)
		bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/sched_process_exit")
int process_exit(u64 *args)
{
	struct task_struct *task = (struct task_struct *)args[0];
	u32 pid = task->tgid;
	struct wire_member *member;
	wire_instance instance;
	bool borrowed;

	flush_hits(task);
	/* The last thread of its process: the count went down before this tracepoint. */
	if (BPF_CORE_READ(task, signal, live.counter) > 0) {
		thread_exit(task);
		return 0;
	}
	member = bpf_map_lookup_elem(&procs, &pid);
	if (!member)
		return 0;
	instance = member->instance;
	borrowed = member->flags & WIRE_MEMBER_BORROWED;
	/* Two last threads may both come here: deleting is the claim. */
	if (bpf_map_delete_elem(&procs, &pid))
		return 0;
	if (!borrowed)
		leave_crowd(instance, task);
	instance_leave(instance, WIRE_ENDED_EXIT, task->exit_code);
	member_end(task, instance);
	return 0;
}

/* User space has seen enough of a process. Run by bpf_prog_test_run. */
SEC("syscall")
int release(struct wire_release *ctx)
{
	u32 pid = ctx->pid;
	struct wire_member *member = bpf_map_lookup_elem(&procs, &pid);

	ctx->instance = 0;
	if (!member)
		return 0;
	ctx->instance = member->instance;
	/* Its exit may come at the same time: deleting is the claim. */
	if (bpf_map_delete_elem(&procs, &pid))
		return 0;
	procs_changed();
	instance_leave(ctx->instance, WIRE_ENDED_RELEASED, 0);
	return 0;
}

/* One pass over the live map that removes the blocks of processes which user space has already reported for the last time
 * (their entry in `instances` is gone). Run by bpf_prog_test_run. */
struct purge_pass {
	u64 n_removed;
};

static long purge_block(struct bpf_map *map, struct wire_block_key *key, struct wire_block *block,
			struct purge_pass *pass)
{
	struct wire_block_key gone = *key;

	if (bpf_map_lookup_elem(&instances, &gone.instance))
		return 0;
	bpf_map_delete_elem(map, &gone);
	pass->n_removed++;
	return 0;
}

SEC("syscall")
int purge(void *ctx)
{
	struct purge_pass pass = {};

	bpf_for_each_map_elem(&live, purge_block, &pass, 0);
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
