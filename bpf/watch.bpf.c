// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The memory of every process, in one pass. An object of its own: watching loads nothing of tracing. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

SEC("iter/task")
int watch_task(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
