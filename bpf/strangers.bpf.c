// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Processes that are not traced, at the moments when they may become one that the user wants: they run another program, take
 * another name, come into another cgroup. User space judges; nothing of this is loaded unless it has something to judge by.
 *
 * A fork is no such moment: the child is all that its parent is.
 *
 * Needs: the BTF tracepoints sched_process_exec, task_rename and cgroup_attach_task (5.5, ac4414b5ca47). */
#include "maps.bpf.h"

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

/* 4,096 x 64 B, apart from process_ring, so that strangers never crowd out those that are traced. Full: WIRE_LOST_STRANGER_RING, and
 * user space looks through /proc instead. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} stranger_ring SEC(".maps");

static __always_inline int tell(struct task_struct *task, u32 flags, const char *name)
{
	u32 pid = task->tgid;
	struct wire_event *event;

	if (task->flags & PF_KTHREAD || bpf_map_lookup_elem(&procs, &pid))
		return 0;
	event = bpf_ringbuf_reserve(&stranger_ring, sizeof(*event), 0);
	if (!event) {
		lost_anywhere(WIRE_LOST_STRANGER_RING);
		return 0;
	}
	*event = (struct wire_event){
		.type = WIRE_EVENT_STRANGER,
		.pid = pid,
		.tid = task->pid,
		.flags = flags,
		.time_ns = bpf_ktime_get_ns(),
	};
	if (name)
		bpf_probe_read_kernel_str(&event->address, WIRE_NAME_SIZE, name);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int stranger_exec(u64 *args)
{
	struct task_struct *task = (struct task_struct *)args[0];

	return tell(task, WIRE_EVENT_EXECED | WIRE_EVENT_RENAMED, task->comm);
}

/* A process is called what its first thread is called. The name is not there yet when this runs: it goes along. */
SEC("tp_btf/task_rename")
int stranger_rename(u64 *args)
{
	struct task_struct *task = (struct task_struct *)args[0];

	if (task->pid != task->tgid)
		return 0;
	return tell(task, WIRE_EVENT_RENAMED, (const char *)args[1]);
}

SEC("tp_btf/cgroup_attach_task")
int stranger_move(u64 *args)
{
	return tell((struct task_struct *)args[2], 0, NULL);
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
