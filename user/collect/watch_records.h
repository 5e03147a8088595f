/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_WATCH_RECORDS_H
#define SEEP_COLLECT_WATCH_RECORDS_H
/* From the records of bpf/watch.bpf.c, one a thread, to processes and their cgroups. Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "model/watch.h"

struct wire_watch_task;

/* Zeroed but for the first. The arrays are kept from pass to pass. */
struct watch_records {
	uint64_t page_bytes;
	struct {
		struct watch_process *items; /* until the end: cpu_ns of ended threads only */
		size_t n, cap;
	} processes;
	struct {
		struct wire_watch_task *items; /* threads whose process is not the last one read */
		size_t n, cap;
	} tasks;
	struct {
		struct watch_cgroup *items;
		size_t n, cap;
	} cgroups;
	bool unsorted;
};

/* Forgets the pass before. */
void watch_records_begin(struct watch_records *r);
/* Takes all whole records at data, aligned to 8 bytes. ret_used: their bytes; what follows is the beginning of one that is not whole.
 * Returns 0, or -errno with a diag: -EPROTO when they cannot be bpf/watch.bpf.c's. */
int watch_records_add(struct watch_records *r, const void *data, size_t n_bytes, size_t *ret_used,
		      struct diag *d);
/* After the last record: each process once, in order of pid, with what its threads add. */
void watch_records_end(struct watch_records *r);
/* Frees the arrays. */
void watch_records_done(struct watch_records *r);

#endif
