// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The kernel has chosen a traced process to die for want of memory, its cgroup's or the machine's. It has not died yet: user space
 * is told, so that names and memory can still be read. What it allocated stays in the maps until its last report anyway.
 *
 * Needs: the BTF tracepoint mark_victim (5.5, ac4414b5ca47). Its argument is a process id up to 6.8, the task from 6.9 on
 * (72ba14deb40a). */
#include "maps.bpf.h"

SEC("tp_btf/mark_victim")
int oom_victim(u64 *args)
{
	struct wire_process *process;
	struct wire_member *member;
	struct wire_event *event;
	wire_instance instance;
	u32 pid;

	if (bpf_core_field_exists(struct trace_event_raw_mark_victim, total_vm))
		pid = ((struct task_struct *)args[0])->tgid;
	else
		pid = args[0];
	member = bpf_map_lookup_elem(&procs, &pid);
	if (!member)
		return 0;
	instance = member->instance;
	process = bpf_map_lookup_elem(&instances, &instance);
	if (process)
		process->oom_killed = 1;
	event = bpf_ringbuf_reserve(&process_ring, sizeof(*event), 0);
	if (!event) {
		lost_anywhere(WIRE_LOST_PROCESS_RING);
		return 0;
	}
	*event = (struct wire_event){
		.type = WIRE_EVENT_OOM,
		.pid = pid,
		.instance = instance,
		.time_ns = bpf_ktime_get_ns(),
	};
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
