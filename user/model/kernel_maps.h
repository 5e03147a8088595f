/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_KERNEL_MAPS_H
#define SEEP_MODEL_KERNEL_MAPS_H
/* Descriptors of what the kernel side keeps: opened by attach/, which owns them, and read by collect/. */
struct kernel_maps {
	int live, sites, unknown_sites, stacks, procs, instances, process_ring, event_ring, losses;
	int stranger_ring;	     /* 0: nobody asks for processes that are not traced */
	int error_ring, free_stacks; /* 0: errors at free are not looked for */
	int heap;		     /* not 0: `live` has the kernel's own allocations */
	int evict; /* the program of bpf/evict.bpf.c; 0: sites are never evicted */
};

#endif
