/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_EVICT_H
#define SEEP_COLLECT_EVICT_H
/* Keeps room in the map of sites: those without outstanding blocks that were not used for longest go when it fills up. What they
 * had counted stays in their process's site of unknown stack; one that is used again begins anew. */
#include <stddef.h>
#include <stdint.h>

/* Zeroed but for the first two. */
struct evictor {
	int program_fd;	    /* bpf/evict.bpf.c's, borrowed; 0: nothing is ever evicted */
	uint32_t max_sites; /* that the map holds */
	uint32_t n_passes;
};

/* To be called before each reading of the sites, and by nobody else who removes sites meanwhile. Beyond three quarters of
 * max_sites it evicts down to a half, as far as there are idle sites, and takes some tens of milliseconds
 * (two RCU grace periods); else it takes a pass over the map. Returns the number of evicted sites, or -errno: -EINVAL or
 * -ENOSYS where the kernel has no membarrier(2) (nohz_full), and then nothing is evicted. Not thread-safe. */
int evict_run(struct evictor *e);

/* The age from which on sites must go so that there are n_wanted; 1, the least, when there are fewer. n_idle: of struct
 * wire_evict. */
uint32_t evict_from_age(const uint32_t *n_idle, uint32_t n_wanted);

#endif
