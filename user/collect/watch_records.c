// SPDX-License-Identifier: BSD-2-Clause
#include "collect/watch_records.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "wire.h"

_Static_assert(WATCH_NO_CGROUP == WIRE_WATCH_NO_CGROUP, "model/watch.h and wire.h");

void watch_records_begin(struct watch_records *r)
{
	r->processes.n = r->tasks.n = r->cgroups.n = 0;
	r->unsorted = false;
}

void watch_records_done(struct watch_records *r)
{
	free(r->processes.items);
	free(r->tasks.items);
	free(r->cgroups.items);
}

/* Sums wrap around while they are incomplete: parts may be negative. */
static void add_to(const struct watch_records *r, struct watch_process *p,
		   const struct wire_watch_task *task)
{
	p->cpu_ns += task->cpu_ns;
	p->file_bytes += (int64_t)task->pages[WIRE_WATCH_FILE] * r->page_bytes;
	p->anon_bytes += (int64_t)task->pages[WIRE_WATCH_ANON] * r->page_bytes;
	p->swap_bytes += (int64_t)task->pages[WIRE_WATCH_SWAP] * r->page_bytes;
	p->shmem_bytes += (int64_t)task->pages[WIRE_WATCH_SHMEM] * r->page_bytes;
}

/* Threads mostly come right after their process. Which of several entries of one process stays is known at the end only. */
static int add_task(struct watch_records *r, const struct wire_watch_task *task)
{
	size_t n = r->processes.n;

	if (!r->unsorted && n && r->processes.items[n - 1].pid == task->pid) {
		add_to(r, &r->processes.items[n - 1], task);
		return 0;
	}
	return vec_push(&r->tasks, *task);
}

static int add_process(struct watch_records *r, const struct wire_watch_process *record)
{
	struct watch_process p = {
		.pid = record->task.pid,
		.uid = record->uid,
		.start_boottime_ns = record->start_boottime_ns,
		.program = record->program,
		.anon_bytes = record->pages[WIRE_WATCH_ANON] * r->page_bytes,
		.file_bytes = record->pages[WIRE_WATCH_FILE] * r->page_bytes,
		.shmem_bytes = record->pages[WIRE_WATCH_SHMEM] * r->page_bytes,
		.swap_bytes = record->pages[WIRE_WATCH_SWAP] * r->page_bytes,
		.page_table_bytes = record->page_table_bytes,
		.cpu_ns = record->ended_cpu_ns,
		.parent_pid = record->parent_pid,
		.cgroup = record->cgroup,
	};
	size_t n = r->processes.n;
	int err = 0;

	if (p.cgroup != WATCH_NO_CGROUP && p.cgroup >= r->cgroups.n)
		return -EPROTO;
	memcpy(p.comm, record->comm, sizeof(p.comm));
	if (!n || r->processes.items[n - 1].pid != p.pid) {
		r->unsorted |= n && r->processes.items[n - 1].pid > p.pid;
		err = vec_push(&r->processes, p);
	}
	return err ? err : add_task(r, &record->task);
}

static int add_cgroup(struct watch_records *r, const struct wire_watch_cgroup *record)
{
	/* The kernel's "no limit" is the most pages that LONG_MAX bytes are. */
	bool limited = record->limit_pages < LONG_MAX / r->page_bytes;
	struct watch_cgroup c = {
		.id = record->id,
		.current_bytes = record->pages * r->page_bytes,
		.limit_bytes = limited ? record->limit_pages * r->page_bytes : 0,
		.limit_current_bytes = limited ? record->limit_used_pages * r->page_bytes : 0,
	};

	if (record->index != r->cgroups.n)
		return -EPROTO;
	return vec_push(&r->cgroups, c);
}

/* 0: there is no such record. */
static size_t size_of(uint32_t kind)
{
	switch (kind) {
	case WIRE_WATCH_TASK:
		return sizeof(struct wire_watch_task);
	case WIRE_WATCH_PROCESS:
		return sizeof(struct wire_watch_process);
	case WIRE_WATCH_CGROUP:
		return sizeof(struct wire_watch_cgroup);
	default:
		return 0;
	}
}

static int add_record(struct watch_records *r, uint32_t kind, const void *record)
{
	switch (kind) {
	case WIRE_WATCH_TASK:
		return add_task(r, record);
	case WIRE_WATCH_PROCESS:
		return add_process(r, record);
	default:
		return add_cgroup(r, record);
	}
}

int watch_records_add(struct watch_records *r, const void *data, size_t n_bytes, size_t *ret_used,
		      struct diag *d)
{
	const char *at = data, *end = at + n_bytes;

	while (end - at >= (ptrdiff_t)sizeof(uint32_t)) {
		uint32_t kind = *(const uint32_t *)at;
		size_t size = size_of(kind);
		int err;

		if (size && (size_t)(end - at) < size)
			break;
		err = size ? add_record(r, kind, at) : -EPROTO;
		if (err)
			return diag_set(d, -err, "memory of processes: %s",
					err == -ENOMEM ? "out of memory"
						       : "a record that is none of ours");
		at += size;
	}
	*ret_used = at - (const char *)data;
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	const struct watch_process *p = a, *q = b;

	return p->pid < q->pid ? -1 : p->pid > q->pid;
}

/* Of one process's the first that came: only to that a thread was added. */
static int compare_entries(const void *a, const void *b)
{
	const struct watch_process *p = a, *q = b;
	int order = compare_pids(p, q);

	return order ? order : p->cpu_ns > q->cpu_ns ? -1 : p->cpu_ns < q->cpu_ns;
}

/* A process whose first thread has ended comes with each of the others, which may lie apart. */
static void sort_and_merge(struct watch_records *r)
{
	struct watch_process *items = r->processes.items;
	size_t n = 0;

	qsort(items, r->processes.n, sizeof(*items), compare_entries);
	for (size_t i = 0; i < r->processes.n; i++)
		if (!n || items[n - 1].pid != items[i].pid)
			items[n++] = items[i];
	r->processes.n = n;
}

static void at_least_zero(uint64_t *bytes)
{
	if ((int64_t)*bytes < 0)
		*bytes = 0;
}

void watch_records_end(struct watch_records *r)
{
	if (r->unsorted)
		sort_and_merge(r);
	for (size_t i = 0; i < r->tasks.n && r->processes.n; i++) {
		struct watch_process key = {.pid = r->tasks.items[i].pid};
		struct watch_process *p = bsearch(&key, r->processes.items, r->processes.n,
						  sizeof(key), compare_pids);

		if (p)
			add_to(r, p, &r->tasks.items[i]);
	}
	for (size_t i = 0; i < r->processes.n; i++) {
		struct watch_process *p = &r->processes.items[i];

		at_least_zero(&p->anon_bytes);
		at_least_zero(&p->file_bytes);
		at_least_zero(&p->shmem_bytes);
		at_least_zero(&p->swap_bytes);
	}
}
