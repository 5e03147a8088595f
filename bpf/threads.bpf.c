// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The registers of every thread of one process, which runs on. An object of its own: only a scan needs it.
 *
 * A thread that waits has its user registers on its kernel stack, whole. One that runs has there those of its last entry into the
 * kernel, by a call, an interrupt or a fault: a timer's tick ago at most, where there are ticks.
 *
 * Needs: task iterators (5.8, eaaacd23910f) and bpf_task_pt_regs (5.15, dd6e10fbd9fb). */
#include "kernel.h"
#include "wire.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* The process, set before the load. */
const volatile __u32 process = 0;

SEC("iter/task")
int read_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct wire_thread record = {0};
	struct pt_regs regs;
	void *from;

	if (!task || task->tgid != (int)process)
		return 0;
	from = (void *)bpf_task_pt_regs(task);
	if (bpf_probe_read_kernel(&regs, sizeof(regs), from))
		return 0;
	record.tid = task->pid;
	record.running = !task->__state;
	record.registers[0] = regs.rax;
	record.registers[1] = regs.rbx;
	record.registers[2] = regs.rcx;
	record.registers[3] = regs.rdx;
	record.registers[4] = regs.rsi;
	record.registers[5] = regs.rdi;
	record.registers[6] = regs.rbp;
	record.registers[7] = regs.rsp;
	record.registers[8] = regs.r8;
	record.registers[9] = regs.r9;
	record.registers[10] = regs.r10;
	record.registers[11] = regs.r11;
	record.registers[12] = regs.r12;
	record.registers[13] = regs.r13;
	record.registers[14] = regs.r14;
	record.registers[15] = regs.r15;
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
