/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_COLLECTOR_H
#define SEEP_COLLECT_COLLECTOR_H
/* Reads what the kernel side has counted. Not thread-safe, but for one thing: while a thread drains, another may ask for stacks and
 * blocks (collector_stack, collector_each_block), between two calls of collector_read or collector_forget. */
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "model/kernel_maps.h"
#include "model/snapshot.h"

struct collector;

enum collector_event_type {
	COLLECTOR_FORK,
	COLLECTOR_EXEC,
	COLLECTOR_EXIT,
	COLLECTOR_UNMAPPED, /* the process runs code that the unwinder does not know: at address */
	COLLECTOR_OOM,	    /* the kernel has chosen it to die for want of memory; it lives yet */
	COLLECTOR_LIMIT, /* a cgroup of traced processes is at its memory limit; told rarely: in 10 s, 20 s and so on */
	COLLECTOR_STRANGER, /* a process that is not traced became another one: execed, renamed, or moved to another cgroup */
	COLLECTOR_BEREFT, /* its first thread, or the one that took its place for its probes, ended before others */
	COLLECTOR_ALLOC,
	COLLECTOR_FREE,
};

struct collector_event {
	enum collector_event_type type;
	uint32_t pid, tid;
	instance_id instance, other; /* FORK: child, parent; EXEC: new, ended */
	bool shares_memory;	     /* FORK, EXEC: with the parent (vfork) */
	uint64_t time_ns;
	uint64_t address, size_bytes, stack;
	bool execed;   /* STRANGER */
	char name[16]; /* EXEC: the process's; STRANGER: its new one; "": unknown, or not renamed */
};

typedef void (*collector_event_fn)(void *arg, const struct collector_event *event);

/* maps: borrowed for the collector's life. session_start_ns: CLOCK_MONOTONIC when the kernel side was loaded. max_ranges: bound of the pieces of mmap and brk memory
 * that are followed, 0: none are; max_pages: the same of touched pages, which need max_ranges, too. Returns 0 or -errno with a diag. */
int collector_create(const struct kernel_maps *maps, uint64_t session_start_ns, size_t max_ranges,
		     size_t max_pages, collector_event_fn on_event, void *arg,
		     struct collector **ret, struct diag *d);
void collector_destroy(struct collector *c);

/* Readable when events wait; collector_drain passes all of them to on_event, in order per ring. */
int collector_fd(const struct collector *c);
int collector_drain(struct collector *c);

/* Whether the kernel chose the process to die for want of memory: then it may have taken its memory already. Any thread. */
bool collector_oom_killed(const struct collector *c, instance_id instance);

/* Process events that the kernel side could not pass on so far. */
uint64_t collector_lost_events(const struct collector *c);
/* Errors at free beyond those that can be kept. */
uint64_t collector_lost_errors(const struct collector *c);
/* As collector_lost_events, of processes that are not traced. */
uint64_t collector_lost_strangers(const struct collector *c);

/* All instances and sites. Cost follows the number of sites. Where the map of sites fills up, idle ones are evicted first: they
 * count under their process's site of unknown stack from then on. Returns 0 or -errno with a diag. */
int collector_read(struct collector *c, struct snapshot *ret, struct diag *d);

/* The return addresses of a stack, leaf first; taken from the kernel once, then kept as long as its site is. version: which of
 * the code that followed one another at the same addresses they are in (address_space_view). truncated: why it ends early, or NULL. Returns their number, 0 when it is unknown (stack 0, or not kept). Borrowed until the next
 * collector_read or collector_forget. */
size_t collector_stack(struct collector *c, uint64_t stack, const uint64_t **ret_addresses,
		       uint32_t *ret_version, const char **ret_truncated);

/* Passes every outstanding block to visit, in batches, until it returns non-zero, which is returned. */
int collector_each_block(struct collector *c,
			 int (*visit)(void *arg, const struct snapshot_block *block), void *arg);

/* Ends an instance that no process is any more, and whose end was not seen: the next collector_read finds it released. */
void collector_end(struct collector *c, instance_id instance);

/* What reports call the i-th cause of what the kernel side counts as lost (model/losses.h has the texts), NULL past the last. Thread-safe. */
const char *collector_loss_name(size_t i);

/* Removes an ended instance with its sites and stacks; its blocks go with the next kernel_purge(). */
void collector_forget(struct collector *c, const struct snapshot *s, instance_id instance);

#endif
