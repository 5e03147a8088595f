/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_CGROUP_BPF_H
#define SEEP_BPF_CGROUP_BPF_H
/* A task's cgroup of the memory controller, whichever version its hierarchy is of. */
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* NULL in a kernel without the controller. */
static __always_inline struct cgroup_subsys_state *memory_css(struct task_struct *task)
{
	struct cgroup_subsys_state **subsys;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id) ||
	    !bpf_core_type_exists(struct mem_cgroup))
		return NULL;
	subsys = task->cgroups->subsys;
	return subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)];
}

#endif
