/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_KERNEL_H
#define SEEP_ATTACH_KERNEL_H
/* Our programs and maps in the kernel: loaded, sized, configured. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/link.h"
#include "base/diag.h"
#include "model/kernel_maps.h"

struct kernel;
struct kernel_heap_options;
struct wire_governed;
struct wire_unwind;

/* How far stacks are followed; the same values as bpf/wire.h's enum wire_stack_mode. */
enum kernel_stack {
	KERNEL_STACK_CFI = 0,
	KERNEL_STACK_FP = 1,
	KERNEL_STACK_NONE = 2,
};

enum kernel_sampling {
	KERNEL_SAMPLE_ALL = 0,
	KERNEL_SAMPLE_COUNT = 1,
	KERNEL_SAMPLE_BYTES = 2,
};

struct kernel_options {
	enum link_kind link; /* 0: the best that works */
	enum kernel_stack stack;
	enum kernel_sampling sampling;
	uint64_t sample_interval;
	uint64_t min_size_bytes, max_size_bytes; /* recorded sizes; max 0: no bound */
	uint32_t max_outstanding, max_sites, max_stacks, max_frames;
	bool follow, trace_calls, vm;
	bool growth; /* touched pages and mappings instead of allocations; sample_interval: a power of two, 4096 or more */
	bool everything; /* each process that forks or execs from now on is traced, but not ourselves */
	bool strangers; /* events of processes that are not traced: execs, and the next two */
	bool strange_names, strange_cgroups;
	bool errors;   /* errors at free are looked for; every allocation must be recorded for it */
	bool governed; /* hits are counted, and kernel_governed()'s records order what is recorded */
	const struct kernel_heap_options
		*heap; /* the kernel's own allocations instead of processes'; NULL: no */
	bool empty; /* an empty program on every probe: the floor of what tracing costs, for measurements */
};

/* Memory that the kernel unwinds by, shared with it; owned by the kernel object, for unwinder.h. */
struct kernel_unwind {
	struct wire_unwind *shared;
	uint32_t *next_generation;
	int segments_fd;
};

/* Loads everything and attaches the process events. Returns 0, or -errno with a diag whose exit code is EXIT_REFUSED where
 * the kernel or the privileges are the reason (the hint says which and how to get it). */
int kernel_open(const struct kernel_options *options, struct kernel **ret, struct diag *d);
/* Accepts NULL. Probes are removed with their attachments, not here. */
void kernel_close(struct kernel *k);

enum link_kind kernel_link(const struct kernel *k);
/* CLOCK_MONOTONIC when it was loaded: what birth slots count from. */
uint64_t kernel_start_ns(const struct kernel *k);
void kernel_get_maps(const struct kernel *k, struct kernel_maps *ret);
void kernel_get_unwind(const struct kernel *k, struct kernel_unwind *ret);
/* The governor's record of an instance, shared with the kernel; NULL: it is not governed. Thread-safe. */
struct wire_governed *kernel_governed(const struct kernel *k, uint32_t instance);
/* The record of those that are governed together, with their sums; NULL: each is governed by itself. */
struct wire_governed *kernel_crowd(const struct kernel *k);
/* A window of the crowd's begins. */
void kernel_crowd_opened(struct kernel *k, uint64_t now_ns);
/* Whose the i-th of WIRE_GOVERNED records is, 0: nobody's. */
uint32_t kernel_governed_at(const struct kernel *k, uint32_t i);
/* No record from there on has ever been anybody's. */
uint32_t kernel_governed_end(const struct kernel *k);
/* Gives the record back, once nothing of the instance runs any more. */
void kernel_govern_forget(struct kernel *k, uint32_t instance);
/* Bytes that all maps take in the kernel just now, by its own account; before 6.3 (90a5527d7686) it accounts for full maps, and
 * ret_bound is set. */
uint64_t kernel_map_bytes(const struct kernel *k, bool *ret_bound);
/* Runs of our programs that the kernel left out (recursion on one CPU), since the load. */
uint64_t kernel_missed_runs(const struct kernel *k);

/* Begins to trace a process. held: it is our launcher, about to exec. start_boottime_ns as the kernel counts. Probes are placed
 * separately. Returns the instance, > 0, or -errno with a diag (-EEXIST: it is traced already). */
int64_t kernel_add_process(struct kernel *k, pid_t pid, uint64_t start_boottime_ns, bool held,
			   struct diag *d);
/* With `heap`: the kernel as an instance of its own, of process id 0. Returns it, or -errno with a diag. */
int64_t kernel_add_itself(struct kernel *k, struct diag *d);
/* With `heap`: what it does not see so far. */
struct kernel_heap_unseen {
	uint64_t own;	 /* allocations of our own process, which are not recorded */
	uint64_t silent; /* and of what this kernel frees without notice */
	bool bulk;	 /* objects are allocated and freed in bulk without notice */
};
void kernel_heap_unseen(const struct kernel *k, struct kernel_heap_unseen *ret);
/* With `heap`: the name of a slab cache by the address that its stacks begin with. Returns false if there is none. Thread-safe. */
bool kernel_cache_name(const struct kernel *k, uint64_t address, char ret[32]);
/* Ends the tracing of a process that lives on; its probes are removed separately. What is known of it stays until its last
 * report. Returns 0 or -errno. */
int kernel_release_process(struct kernel *k, pid_t pid);
/* The end of this thread, other than its process's first, is an event as that one's is. Returns 0 or -errno. */
int kernel_watch_heir(struct kernel *k, pid_t pid, pid_t tid);
/* The instance that a process is now, 0: it is not traced. ret_leader, unless NULL: a number that changes when another thread
 * than its first execs, so that links placed before see it no more. Thread-safe. */
uint32_t kernel_instance(const struct kernel *k, pid_t pid, uint32_t *ret_leader);
/* One pass over all processes: counts again how often the cgroups of those traced were at their memory limits, and notices which
 * they are. To be called once processes are traced, and before their counts are read. */
void kernel_look_at_limits(struct kernel *k);
/* Removes the blocks of all instances that are no longer in the instances map; one pass over the live map. */
int kernel_purge(struct kernel *k);

/* Program descriptors for link_place. */
enum kernel_program {
	KERNEL_ALLOCATE,	/* session: entry and return; else entry */
	KERNEL_ALLOCATE_RETURN, /* not with session */
	KERNEL_ALLOCATE_ENTRY,	/* entry only, for functions whose exits are probed */
	KERNEL_ALLOCATE_EXIT,	/* on ret instructions */
	KERNEL_FREE,
};
int kernel_program_fd(const struct kernel *k, enum kernel_program which);
/* The link kind that a program was loaded for: only session's KERNEL_ALLOCATE differs from multi. */
enum link_kind kernel_program_link(const struct kernel *k, enum kernel_program which);

#endif
