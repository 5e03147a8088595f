// SPDX-License-Identifier: BSD-2-Clause
#include "collect/collector.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "collect/birth.h"
#include "collect/error_log.h"
#include "collect/evict.h"
#include "collect/ranges.h"
#include "wire.h"

struct kept_stack {
	/* Number of the last collector_read that found its site, or after which it was taken; UINT64_MAX: an error's. */
	uint64_t read;
	const char *truncated;
	uint32_t version;
	size_t n;
	uint64_t addresses[];
};

struct collector {
	struct kernel_maps maps;
	uint64_t session_start_ns;
	struct ring_buffer *rings;
	collector_event_fn on_event;
	void *arg;
	struct hashmap stacks;	     /* id -> struct kept_stack */
	pthread_mutex_t ranges_lock; /* events go on while blocks are read */
	struct ranges *ranges;	     /* of mmap and brk; NULL: not followed */
	struct ranges *pages;	     /* that were touched in them; NULL: not followed */
	struct evictor evictor;
	struct error_log *errors; /* NULL: nobody looks for them */
	uint64_t n_reads;
};

_Static_assert((int)WIRE_KIND_MALLOC == (int)SITE_MALLOC && (int)WIRE_KIND_MMAP == (int)SITE_MMAP &&
		       (int)WIRE_KIND_BRK == (int)SITE_BRK &&
		       (int)WIRE_KIND_FAULT == (int)SITE_FAULT &&
		       (int)WIRE_KIND_KERNEL == (int)SITE_KERNEL,
	       "report.h and wire.h number the kinds alike");

/* Names of the causes, a contract of the output. In enum wire_loss's order. */
static const char *const loss_names[WIRE_LOST_MAX] = {
	[WIRE_LOST_LIVE_FULL] = "live_map_full",
	[WIRE_LOST_LIVE_MEMORY] = "live_map_memory",
	[WIRE_LOST_SITES_FULL] = "sites_full",
	[WIRE_LOST_STACKS_FULL] = "stacks_full",
	[WIRE_LOST_THREAD_STATE] = "thread_state",
	[WIRE_LOST_NESTING] = "nesting",
	[WIRE_LOST_ABANDONED] = "abandoned_calls",
	[WIRE_LOST_MISSED_FREE] = "missed_frees",
	[WIRE_LOST_RESULT_READ] = "result_read",
	[WIRE_LOST_SITE_GONE] = "site_gone",
	[WIRE_LOST_TRACE_RING] = "trace_ring_full",
	[WIRE_LOST_PROCESS_RING] = "process_ring_full",
	[WIRE_LOST_PROCESSES] = "process_table_full",
	[WIRE_LOST_SIGNAL_STACK] = "signal_stack",
	[WIRE_LOST_STRANGER_RING] = "stranger_ring_full",
	[WIRE_LOST_BUSY] = "kernel_busy",
	[WIRE_LOST_ERROR_RING] = "error_ring_full",
};

const char *collector_loss_name(size_t i)
{
	return i < WIRE_LOST_MAX ? loss_names[i] : NULL;
}

/* Why a stack ends early: on a site, and in the counts of its process. Both are contracts of the output. */
static const char *const truncated_texts[WIRE_STACK_REASONS] = {
	[WIRE_STACK_TOO_DEEP] = "too deep",
	[WIRE_STACK_FAULT] = "read fault",
	[WIRE_STACK_NO_TABLE] = "no table",
	[WIRE_STACK_UNSUPPORTED] = "unsupported rule",
	[WIRE_STACK_UNMAPPED] = "mapping not yet known",
};
static const char *const truncated_names[WIRE_STACK_REASONS] = {
	[WIRE_STACK_TOO_DEEP] = "too_deep",
	[WIRE_STACK_FAULT] = "read_fault",
	[WIRE_STACK_NO_TABLE] = "no_table",
	[WIRE_STACK_UNSUPPORTED] = "unsupported_rule",
	[WIRE_STACK_UNMAPPED] = "mapping_not_yet_known",
};

static const enum collector_event_type event_types[] = {
	[WIRE_EVENT_FORK] = COLLECTOR_FORK,	[WIRE_EVENT_EXEC] = COLLECTOR_EXEC,
	[WIRE_EVENT_EXIT] = COLLECTOR_EXIT,	[WIRE_EVENT_ALLOC] = COLLECTOR_ALLOC,
	[WIRE_EVENT_FREE] = COLLECTOR_FREE,	[WIRE_EVENT_UNMAPPED] = COLLECTOR_UNMAPPED,
	[WIRE_EVENT_OOM] = COLLECTOR_OOM,	[WIRE_EVENT_LIMIT] = COLLECTOR_LIMIT,
	[WIRE_EVENT_BEREFT] = COLLECTOR_BEREFT,
};

/* Not for an instance whose last report was made: a vfork child may outlive the process that it borrows from. */
static bool may_add(struct collector *c, const struct ranges *r, const struct wire_event *e)
{
	struct wire_process process;

	return ranges_has(r, e->instance) ||
	       !bpf_map_lookup_elem(c->maps.instances, &e->instance, &process);
}

static void add_range(struct collector *c, enum site_kind kind, const struct wire_event *e)
{
	if (may_add(c, c->ranges, e))
		ranges_add(c->ranges, e->instance, kind, e->site, e->time_ns, e->address,
			   e->size_bytes);
}

static void follow_call(struct ranges *r, const struct wire_event *e)
{
	switch (e->type) {
	case WIRE_EVENT_TAKE:
		ranges_take(r, e->instance, e->tid, e->address, e->size_bytes);
		break;
	case WIRE_EVENT_DONE:
		if (e->flags & WIRE_EVENT_FAILED)
			ranges_put_back(r, e->instance, e->tid);
		else
			ranges_settle(r, e->instance, e->tid, e->address, e->size_bytes);
		break;
	}
}

static void follow_range(struct collector *c, const struct wire_event *e)
{
	if (e->type == WIRE_EVENT_MMAP)
		add_range(c, SITE_MMAP, e);
	else if (e->type == WIRE_EVENT_BRK)
		add_range(c, SITE_BRK, e);
	else if (!(e->flags & WIRE_EVENT_PAGES))
		follow_call(c->ranges, e);
}

static void follow_pages(struct collector *c, const struct wire_event *e)
{
	if (e->type == WIRE_EVENT_FAULT) {
		if (may_add(c, c->pages, e))
			ranges_touch(c->pages, e->instance, e->site, e->time_ns, e->address,
				     e->size_bytes, e->flags);
	} else if (e->type == WIRE_EVENT_MMAP || e->type == WIRE_EVENT_BRK) {
		/* At a fixed address it replaces what was there. */
		ranges_take(c->pages, e->instance, e->tid, e->address, e->size_bytes);
		ranges_settle(c->pages, e->instance, e->tid, 0, 0);
	} else {
		follow_call(c->pages, e);
	}
}

static void copy_name(const struct wire_event *e, struct collector_event *to)
{
	memcpy(to->name, &e->address, sizeof(e->address));
	memcpy(to->name + sizeof(e->address), &e->size_bytes, sizeof(e->size_bytes));
	to->name[sizeof(to->name) - 1] = '\0';
}

static int pass_stranger(void *arg, void *data, size_t n_bytes)
{
	const struct wire_event *e = data;
	struct collector *c = arg;
	struct collector_event event;

	if (n_bytes < sizeof(*e))
		return 0;
	event = (struct collector_event){
		.type = COLLECTOR_STRANGER,
		.pid = e->pid,
		.tid = e->tid,
		.time_ns = e->time_ns,
		.execed = e->flags & WIRE_EVENT_EXECED,
	};
	if (e->flags & WIRE_EVENT_RENAMED)
		copy_name(e, &event);
	c->on_event(c->arg, &event);
	return 0;
}

static int pass_event(void *arg, void *data, size_t n_bytes)
{
	const struct wire_event *e = data;
	struct collector *c = arg;
	struct collector_event event;

	if (n_bytes < sizeof(*e))
		return 0;
	pthread_mutex_lock(&c->ranges_lock);
	if (c->ranges && e->type >= WIRE_EVENT_MMAP && e->type != WIRE_EVENT_FAULT)
		follow_range(c, e);
	if (c->pages && e->type >= WIRE_EVENT_MMAP)
		follow_pages(c, e);
	pthread_mutex_unlock(&c->ranges_lock);
	if (e->type >= ARRAY_SIZE(event_types))
		return 0;
	event = (struct collector_event){
		.type = event_types[e->type],
		.pid = e->pid,
		.tid = e->tid,
		.instance = e->instance,
		.other = e->other,
		.shares_memory = e->flags & WIRE_EVENT_SHARES_MEMORY,
		.time_ns = e->time_ns,
		.address = e->address,
		.size_bytes = e->size_bytes,
		.stack = e->site,
	};
	if (e->type == WIRE_EVENT_EXEC)
		copy_name(e, &event);
	c->on_event(c->arg, &event);
	return 0;
}

static uint32_t max_entries(int map_fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(map_fd, &info, &size) ? UINT32_MAX : info.max_entries;
}

int collector_create(const struct kernel_maps *maps, uint64_t session_start_ns, size_t max_ranges,
		     size_t max_pages, collector_event_fn on_event, void *arg,
		     struct collector **ret, struct diag *d)
{
	struct collector *c = calloc(1, sizeof(*c));

	if (!c)
		return diag_set(d, ENOMEM, "out of memory");
	pthread_mutex_init(&c->ranges_lock, NULL);
	c->maps = *maps;
	c->session_start_ns = session_start_ns;
	c->evictor = (struct evictor){maps->evict, max_entries(maps->sites)};
	c->on_event = on_event;
	c->arg = arg;
	if ((max_ranges && ranges_create(session_start_ns, max_ranges, &c->ranges)) ||
	    (max_pages && ranges_create(session_start_ns, max_pages, &c->pages)) ||
	    (maps->error_ring && error_log_create(maps->free_stacks, &c->errors))) {
		collector_destroy(c);
		return diag_set(d, ENOMEM, "out of memory");
	}
	c->rings = ring_buffer__new(maps->process_ring, pass_event, c, NULL);
	if (!c->rings || ring_buffer__add(c->rings, maps->event_ring, pass_event, c) ||
	    (maps->stranger_ring &&
	     ring_buffer__add(c->rings, maps->stranger_ring, pass_stranger, c)) ||
	    (c->errors &&
	     ring_buffer__add(c->rings, maps->error_ring, error_log_take, c->errors))) {
		int err = errno;

		collector_destroy(c);
		return diag_set(d, err, "cannot read events from the kernel: %s", strerror(err));
	}
	*ret = c;
	return 0;
}

void collector_destroy(struct collector *c)
{
	size_t cursor = 0;
	void *stack;

	if (!c)
		return;
	ring_buffer__free(c->rings);
	while ((stack = hashmap_next(&c->stacks, &cursor, NULL)))
		free(stack);
	hashmap_done(&c->stacks);
	ranges_destroy(c->ranges);
	ranges_destroy(c->pages);
	error_log_destroy(c->errors);
	pthread_mutex_destroy(&c->ranges_lock);
	free(c);
}

int collector_fd(const struct collector *c)
{
	return ring_buffer__epoll_fd(c->rings);
}

int collector_drain(struct collector *c)
{
	return ring_buffer__consume(c->rings);
}

static uint64_t lost_so_far(const struct collector *c, __u32 cause)
{
	uint64_t n = 0;

	bpf_map_lookup_elem(c->maps.losses, &cause, &n);
	return n;
}

uint64_t collector_lost_events(const struct collector *c)
{
	return lost_so_far(c, WIRE_LOST_PROCESS_RING);
}

uint64_t collector_lost_errors(const struct collector *c)
{
	return c->errors ? error_log_lost(c->errors) : 0;
}

uint64_t collector_lost_strangers(const struct collector *c)
{
	return lost_so_far(c, WIRE_LOST_STRANGER_RING);
}

/* Copies those of the counters that are not zero and have a name. */
static int read_counts(const uint64_t *counts, const char *const *names, size_t n_counts,
		       struct loss **ret, size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < n_counts; i++)
		n += counts[i] && names[i];
	*ret_n = 0;
	*ret = n ? calloc(n, sizeof(**ret)) : NULL;
	if (n && !*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n_counts; i++)
		if (counts[i] && names[i])
			(*ret)[(*ret_n)++] = (struct loss){names[i], counts[i]};
	return 0;
}

static int read_losses(const uint64_t *counts, struct loss **ret, size_t *ret_n)
{
	return read_counts(counts, loss_names, WIRE_LOST_MAX, ret, ret_n);
}

static int add_process(struct collector *c, struct snapshot *s, instance_id instance,
		       struct wire_process *p)
{
	struct snapshot_process process = {
		.instance = instance,
		.parent = p->parent_instance,
		.pid = p->pid,
		.start_boottime_ns = p->start_boottime_ns,
		.began_ns = p->began_ns,
		.ended_ns = p->ended ? p->ended_ns : 0,
		.oom_killed = p->oom_killed,
		.limit_hits = p->limit_hits,
		.limit_hit_ns = p->limit_hit_ns,
		.ended = p->ended == WIRE_ENDED_EXIT	   ? "exit"
			 : p->ended == WIRE_ENDED_EXEC	   ? "exec"
			 : p->ended == WIRE_ENDED_RELEASED ? "released"
							   : NULL,
		.exit_status = p->exit_code,
		.forked = p->forked,
		.inherited_frees = p->inherited_frees,
		.unknown_frees = p->unknown_frees,
		.n_borrowers = p->n_borrowers,
	};
	int err;

	if (c->ranges)
		p->lost[WIRE_LOST_LIVE_FULL] += ranges_lost(c->ranges, instance);
	if (c->pages)
		p->lost[WIRE_LOST_LIVE_FULL] += ranges_lost(c->pages, instance);
	err = read_losses((const uint64_t *)p->lost, &process.losses, &process.n_losses);
	if (!err)
		err = read_counts((const uint64_t *)p->truncated, truncated_names,
				  WIRE_STACK_REASONS, &process.truncated, &process.n_truncated);
	if (!err)
		err = vec_push(&s->processes, process);
	if (err) {
		free(process.losses);
		free(process.truncated);
	}
	return err;
}

/* Calls each for every entry of a hash map, in batches: a system call for thousands of entries. */
static int each_entry(int map_fd, size_t key_bytes, size_t value_bytes,
		      int (*each)(void *arg, const void *key, const void *value), void *arg)
{
	__u32 capacity = 4096, n, cursor;
	bool first = true, last = false;
	_cleanup_free_ char *keys = malloc(capacity * key_bytes),
			    *values = malloc(capacity * value_bytes);
	int err = 0;

	while (!last && !err) {
		if (!keys || !values)
			return -ENOMEM;
		n = capacity;
		err = bpf_map_lookup_batch(map_fd, first ? NULL : &cursor, &cursor, keys, values,
					   &n, NULL);
		if (err == -ENOSPC) { /* one bucket is fuller than our buffers */
			capacity *= 2;
			free(keys);
			free(values);
			keys = malloc(capacity * key_bytes);
			values = malloc(capacity * value_bytes);
			err = 0;
			continue;
		}
		last = err == -ENOENT;
		if (err && !last)
			return err;
		first = false;
		err = 0;
		for (__u32 i = 0; i < n && !err; i++)
			err = each(arg, keys + i * key_bytes, values + i * value_bytes);
	}
	return err;
}

struct reading {
	struct collector *c;
	struct snapshot *s;
};

static int read_process(void *arg, const void *key, const void *value)
{
	const struct reading *reading = arg;
	struct wire_process process = *(const struct wire_process *)value;

	return add_process(reading->c, reading->s, *(const wire_instance *)key, &process);
}

static int read_processes(struct reading *reading)
{
	return each_entry(reading->c->maps.instances, sizeof(wire_instance),
			  sizeof(struct wire_process), read_process, reading);
}

static int add_site(void *arg, const void *key, const void *value)
{
	const struct wire_site_key *k = key;
	const struct wire_site *v = value;
	struct reading *reading = arg;
	struct snapshot *s = reading->s;
	struct snapshot_site site = {
		.instance = k->instance,
		.stack = k->stack,
		.kind = (enum site_kind)k->kind,
		.allocated_bytes = v->allocated_bytes,
		.freed_bytes = v->freed_bytes,
		.allocations = (double)v->allocated_weight / WIRE_WEIGHT_ONE,
		.frees = (double)v->freed_weight / WIRE_WEIGHT_ONE,
	};

	/* Read while the other CPU counts: a free can be seen without its allocation, never the other way for long. */
	if (site.freed_bytes > site.allocated_bytes)
		site.freed_bytes = site.allocated_bytes;
	if (site.frees > site.allocations)
		site.frees = site.allocations;
	site.n_stacks = v->n_allocated ? v->n_allocated : (uint64_t)site.allocations;
	site.n_sampled = v->n_allocated ? v->n_allocated - v->n_freed
					: (uint64_t)(site.allocations - site.frees);
	return birth_fill(s, v->born, s->time_ns - reading->c->session_start_ns, &site)
		       ? -ENOMEM
		       : vec_push(&s->sites, site);
}

static int each_site(int map_fd, struct reading *reading)
{
	return each_entry(map_fd, sizeof(struct wire_site_key), sizeof(struct wire_site), add_site,
			  reading);
}

static bool drop_stack(void *collector, void *stack)
{
	const struct collector *c = collector;
	struct kept_stack *kept = stack;

	if (kept->read >= c->n_reads)
		return false;
	free(kept);
	return true;
}

/* After a reading: stacks go with the sites that are no longer there. What was taken while it went on may belong to a site that
 * it missed. */
static void drop_stacks(struct collector *c, const struct snapshot *s)
{
	for (size_t i = 0; i < s->sites.n; i++) {
		struct kept_stack *kept = hashmap_get(&c->stacks, s->sites.items[i].stack);

		if (kept && kept->read != UINT64_MAX)
			kept->read = c->n_reads;
	}
	hashmap_sweep(&c->stacks, drop_stack, c);
}

static bool is_range(enum site_kind kind)
{
	return kind == SITE_MMAP || kind == SITE_BRK || kind == SITE_FAULT;
}

/* A call that maps memory stores its stack again once we have taken it. */
static void delete_taken(struct collector *c, const struct snapshot *s)
{
	for (size_t i = 0; i < s->sites.n; i++) {
		uint64_t stack = s->sites.items[i].stack;

		if (is_range(s->sites.items[i].kind) && hashmap_get(&c->stacks, stack))
			bpf_map_delete_elem(c->maps.stacks, &stack);
	}
}

static struct kept_stack *keep_copy(struct collector *c, uint64_t id,
				    const struct wire_stack *stack)
{
	struct kept_stack *kept;

	if (stack->n_frames > WIRE_MAX_FRAMES)
		return NULL;
	kept = malloc(sizeof(*kept) + stack->n_frames * sizeof(kept->addresses[0]));
	if (!kept)
		return NULL;
	kept->read = c->n_reads;
	kept->n = stack->n_frames;
	kept->truncated = truncated_texts[stack->truncated % WIRE_STACK_REASONS];
	kept->version = stack->version;
	memcpy(kept->addresses, stack->frames, kept->n * sizeof(kept->addresses[0]));
	if (hashmap_put(&c->stacks, id, kept)) {
		free(kept);
		return NULL;
	}
	return kept;
}

static struct kept_stack *keep_stack(struct collector *c, uint64_t id)
{
	struct wire_stack stack;
	struct kept_stack *kept;

	if (bpf_map_lookup_elem(c->maps.stacks, &id, &stack))
		return NULL;
	kept = keep_copy(c, id, &stack);
	/* The kernel's map only has what is new since the last report. */
	if (kept)
		bpf_map_delete_elem(c->maps.stacks, &id);
	return kept;
}

/* No site has it, so it stays until its process is forgotten. */
static void keep_error_stack(void *collector, uint64_t id, const struct wire_stack *stack)
{
	struct collector *c = collector;
	struct kept_stack *kept = hashmap_get(&c->stacks, id);

	kept = kept ? kept : keep_copy(c, id, stack);
	if (kept)
		kept->read = UINT64_MAX;
}

static void drop_error_stack(void *collector, uint64_t id)
{
	struct collector *c = collector;

	free(hashmap_take(&c->stacks, id));
}

int collector_read(struct collector *c, struct snapshot *ret, struct diag *d)
{
	struct snapshot s = {0};
	struct reading reading = {c, &s};
	uint64_t losses[WIRE_LOST_MAX] = {0};
	int err, n_evicted;

	c->n_reads++;
	/* Where it cannot be done, the kernel side counts what finds no room. */
	n_evicted = evict_run(&c->evictor);
	s.time_ns = clock_monotonic_ns();
	err = read_processes(&reading);
	/* What the processes found ended there have done until then: no later report will name it. */
	if (!err && c->ranges)
		collector_drain(c);
	if (!err && c->ranges)
		err = ranges_read(c->ranges, &s);
	if (!err && c->pages)
		err = ranges_read(c->pages, &s);
	if (!err)
		err = each_site(c->maps.sites, &reading);
	if (!err)
		err = each_site(c->maps.unknown_sites, &reading);
	if (!err && c->errors) {
		collector_drain(c);
		err = error_log_read(c->errors, &s, keep_error_stack, c);
	}
	if (!err && n_evicted > 0)
		drop_stacks(c, &s);
	if (!err)
		delete_taken(c, &s);
	for (__u32 i = 0; i < WIRE_LOST_MAX && !err; i++)
		bpf_map_lookup_elem(c->maps.losses, &i, &losses[i]);
	if (!err)
		err = read_losses(losses, &s.losses, &s.n_losses);
	if (err) {
		snapshot_done(&s);
		return diag_set(d, -err, "cannot read the counters from the kernel: %s",
				strerror(-err));
	}
	*ret = s;
	return 0;
}

size_t collector_stack(struct collector *c, uint64_t stack, const uint64_t **ret_addresses,
		       uint32_t *ret_version, const char **ret_truncated)
{
	struct kept_stack *kept = hashmap_get(&c->stacks, stack);

	if (!kept && stack)
		kept = keep_stack(c, stack);
	if (!kept) {
		*ret_truncated = "stack not kept";
		return 0;
	}
	*ret_addresses = kept->addresses;
	*ret_version = kept->version;
	*ret_truncated = kept->truncated;
	return kept->n;
}

struct block_visit {
	enum site_kind kind;
	int (*visit)(void *arg, const struct snapshot_block *block);
	void *arg;
};

static int visit_block(void *arg, const void *key, const void *value)
{
	const struct wire_block_key *k = key;
	const struct wire_block *v = value;
	const struct block_visit *visit = arg;

	return visit->visit(visit->arg, &(struct snapshot_block){
						.instance = k->instance,
						.kind = visit->kind,
						.address = k->address,
						.size_bytes = v->size_bytes,
						.time_ns = v->time_ns,
						.stack = v->site,
						.weight = (double)v->weight / WIRE_WEIGHT_ONE,
					});
}

struct blocks {
	struct snapshot_block *items;
	size_t n, cap;
};

static int copy_block(void *arg, const struct snapshot_block *block)
{
	struct blocks *blocks = arg;

	return vec_push(blocks, *block);
}

/* Copied first: whoever visits them may take its time, and events must not wait for it. */
static int each_range(struct collector *c, struct ranges *ranges,
		      int (*visit)(void *arg, const struct snapshot_block *block), void *arg)
{
	struct blocks blocks = {0};
	int err;

	pthread_mutex_lock(&c->ranges_lock);
	err = ranges_each_block(ranges, copy_block, &blocks);
	pthread_mutex_unlock(&c->ranges_lock);
	for (size_t i = 0; i < blocks.n && !err; i++)
		err = visit(arg, &blocks.items[i]);
	free(blocks.items);
	return err;
}

int collector_each_block(struct collector *c,
			 int (*visit)(void *arg, const struct snapshot_block *block), void *arg)
{
	struct block_visit pass = {c->maps.heap ? SITE_KERNEL : SITE_MALLOC, visit, arg};
	int err = each_entry(c->maps.live, sizeof(struct wire_block_key), sizeof(struct wire_block),
			     visit_block, &pass);

	if (!err && c->ranges)
		err = each_range(c, c->ranges, visit, arg);
	if (!err && c->pages)
		err = each_range(c, c->pages, visit, arg);
	return err;
}

bool collector_oom_killed(const struct collector *c, instance_id instance)
{
	struct wire_process process;

	return !bpf_map_lookup_elem(c->maps.instances, &instance, &process) && process.oom_killed;
}

void collector_end(struct collector *c, instance_id instance)
{
	struct wire_process process;

	if (bpf_map_lookup_elem(c->maps.instances, &instance, &process) || process.ended)
		return;
	process.ended = WIRE_ENDED_RELEASED;
	process.ended_ns = clock_monotonic_ns();
	bpf_map_update_elem(c->maps.instances, &instance, &process, BPF_EXIST);
}

void collector_forget(struct collector *c, const struct snapshot *s, instance_id instance)
{
	bpf_map_delete_elem(c->maps.instances, &instance);
	pthread_mutex_lock(&c->ranges_lock);
	if (c->ranges)
		ranges_forget(c->ranges, instance);
	if (c->pages)
		ranges_forget(c->pages, instance);
	pthread_mutex_unlock(&c->ranges_lock);
	if (c->errors)
		error_log_forget(c->errors, instance, drop_error_stack, c);
	for (size_t i = 0; i < s->sites.n; i++) {
		const struct snapshot_site *site = &s->sites.items[i];
		struct wire_site_key key = {
			.stack = site->stack, .instance = instance, .kind = site->kind};
		uint64_t stack = site->stack;

		if (site->instance != instance)
			continue;
		bpf_map_delete_elem(stack ? c->maps.sites : c->maps.unknown_sites, &key);
		bpf_map_delete_elem(c->maps.stacks, &stack);
		free(hashmap_take(&c->stacks, stack));
	}
}
