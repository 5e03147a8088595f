/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_MAPPINGS_H
#define SEEP_COLLECT_MAPPINGS_H
/* New executable mappings as they appear, by the MMAP2 records of a perf event on each CPU: also of processes too short-lived to
 * read /proc/PID/maps of, and of libraries loaded by dlopen. A thread of its own empties the kernel's rings into memory of a fixed size
 * (mapping_queue.h); all functions are for one thread, which on_mapping is called by. */
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

struct mapping;
struct mapping_watch;

typedef void (*mapping_fn)(void *arg, pid_t pid, const struct mapping *m);

/* Records of all processes of the host come; on_mapping chooses. Returns 0 or -errno with a diag. */
int mapping_watch_create(mapping_fn on_mapping, void *arg, struct mapping_watch **ret,
			 struct diag *d);
void mapping_watch_destroy(struct mapping_watch *w);
/* An epoll descriptor, readable when records wait. */
int mapping_watch_fd(const struct mapping_watch *w);
/* Passes all waiting records on, oldest first per CPU. Takes as long as on_mapping does, and loses nothing meanwhile while
 * there is room for what comes. */
void mapping_watch_drain(struct mapping_watch *w);
/* Records that found no room, since the beginning: of those left on a CPU that went offline as one. */
uint64_t mapping_watch_lost(const struct mapping_watch *w);
/* When a CPU goes offline the kernel ends its event for good; to be called now and then. After a suspend, which takes all CPUs but one
 * offline, mapping_watch_drain does it by itself: the descriptor becomes readable. */
void mapping_watch_revive(struct mapping_watch *w);
/* How often a CPU has come back, and records of it were missed, since the beginning. */
uint64_t mapping_watch_gaps(const struct mapping_watch *w);

#endif
