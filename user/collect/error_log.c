// SPDX-License-Identifier: BSD-2-Clause
#include "collect/error_log.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "wire.h"

_Static_assert((int)WIRE_FAMILY_MALLOC == (int)FREE_FAMILY_MALLOC &&
		       (int)WIRE_FAMILY_NEW == (int)FREE_FAMILY_NEW &&
		       (int)WIRE_FAMILY_NEW_ARRAY == (int)FREE_FAMILY_NEW_ARRAY,
	       "free_error.h and wire.h number the families alike");
_Static_assert((int)WIRE_ERROR_DOUBLE == (int)FREE_ERROR_DOUBLE &&
		       (int)WIRE_ERROR_INTERIOR == (int)FREE_ERROR_INTERIOR &&
		       (int)WIRE_ERROR_INVALID == (int)FREE_ERROR_INVALID &&
		       (int)WIRE_ERROR_MISMATCH == (int)FREE_ERROR_MISMATCH &&
		       (int)WIRE_ERROR_MISMATCH + 1 == (int)FREE_ERROR_TYPES,
	       "free_error.h and wire.h number the types alike");

/* Stacks are kept elsewhere from the next reading on. */
struct entry {
	struct snapshot_error error;
	struct wire_stack *fresh, *fresh_freed; /* NULL: handed on, or not known */
};

struct error_log {
	int free_stacks;
	uint64_t n_lost;
	struct {
		struct entry *items;
		size_t n, cap;
	} entries;
};

int error_log_create(int free_stacks, struct error_log **ret)
{
	struct error_log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->free_stacks = free_stacks;
	*ret = log;
	return 0;
}

static void entry_done(struct entry *e)
{
	free(e->fresh);
	free(e->fresh_freed);
	e->fresh = e->fresh_freed = NULL;
}

void error_log_destroy(struct error_log *log)
{
	if (!log)
		return;
	for (size_t i = 0; i < log->entries.n; i++)
		entry_done(&log->entries.items[i]);
	free(log->entries.items);
	free(log);
}

static bool is_alike(const struct snapshot_error *a, const struct snapshot_error *b)
{
	return a->instance == b->instance && a->type == b->type && a->stack == b->stack &&
	       a->allocation == b->allocation && a->freed == b->freed;
}

static struct wire_stack *copy_stack(const struct wire_stack *stack)
{
	struct wire_stack *copy = malloc(sizeof(*copy));

	if (copy)
		*copy = *stack;
	return copy;
}

/* By whom it was freed before, as long as the kernel keeps that. */
static struct wire_stack *look_up(const struct error_log *log, uint64_t id)
{
	struct wire_stack stack;

	if (!id || bpf_map_lookup_elem(log->free_stacks, &id, &stack))
		return NULL;
	return copy_stack(&stack);
}

static struct snapshot_error error_of(const struct wire_error *e)
{
	return (struct snapshot_error){
		.instance = e->instance,
		.type = (enum free_error_type)e->type,
		.count = 1,
		.address = e->address,
		.block_address = e->block_address,
		.size_bytes = e->block.size_bytes,
		.time_ns = e->time_ns,
		.tid = e->tid,
		.freed_tid = e->freed.tid,
		.freed_ns = e->freed.time_ns,
		.allocated_with = e->type == WIRE_ERROR_MISMATCH ? e->block.family : 0,
		.freed_with = e->type == WIRE_ERROR_MISMATCH ? e->family : 0,
		.stack = e->stack_id,
		.allocation = e->block.site,
		.freed = e->freed.stack,
	};
}

int error_log_take(void *arg, void *data, size_t n_bytes)
{
	const struct wire_error *e = data;
	struct error_log *log = arg;
	struct entry entry;

	if (n_bytes < sizeof(*e) || !e->type || e->type >= FREE_ERROR_TYPES)
		return 0;
	entry = (struct entry){.error = error_of(e)};
	for (size_t i = 0; i < log->entries.n; i++) {
		if (!is_alike(&log->entries.items[i].error, &entry.error))
			continue;
		log->entries.items[i].error.count++;
		return 0;
	}
	if (log->entries.n == ERROR_LOG_MAX) {
		log->n_lost++;
		return 0;
	}
	entry.fresh = copy_stack(&e->stack);
	entry.fresh_freed = look_up(log, entry.error.freed);
	if (vec_push(&log->entries, entry)) {
		entry_done(&entry);
		log->n_lost++;
	}
	return 0;
}

int error_log_read(struct error_log *log, struct snapshot *s,
		   void (*keep)(void *arg, uint64_t id, const struct wire_stack *stack), void *arg)
{
	for (size_t i = 0; i < log->entries.n; i++) {
		struct entry *e = &log->entries.items[i];

		if (e->fresh)
			keep(arg, e->error.stack, e->fresh);
		if (e->fresh_freed)
			keep(arg, e->error.freed, e->fresh_freed);
		entry_done(e);
		if (vec_push(&s->errors, e->error))
			return -ENOMEM;
	}
	return 0;
}

void error_log_forget(struct error_log *log, instance_id instance,
		      void (*drop)(void *arg, uint64_t id), void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < log->entries.n; i++) {
		struct entry *e = &log->entries.items[i];

		if (e->error.instance != instance) {
			log->entries.items[n++] = *e;
			continue;
		}
		drop(arg, e->error.stack);
		if (e->error.freed)
			drop(arg, e->error.freed);
		entry_done(e);
	}
	log->entries.n = n;
}

uint64_t error_log_lost(const struct error_log *log)
{
	return log->n_lost;
}
