/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_MAPS_BPF_H
#define SEEP_BPF_MAPS_BPF_H
/* The maps and settings that all programs share. __weak: each object file has the definition, the linker keeps one.
 * Sizes given here are placeholders where user space sets them before the load. */
#include "kernel.h"
#include "wire.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

extern const volatile struct wire_settings settings;

/* --max-outstanding (1M) x (16 + 32 B and the table's own ~50); not preallocated. Full: WIRE_LOST_LIVE_FULL. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1000000);
	__type(key, struct wire_block_key);
	__type(value, struct wire_block);
} live SEC(".maps") __weak;

/* --max-sites (64k) x 328 B, idle ones evicted in time, not preallocated. Full: WIRE_LOST_SITES_FULL, counted in `unknown_sites`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct wire_site_key);
	__type(value, struct wire_site);
} sites SEC(".maps") __weak;

/* One site of unknown stack (0) per instance and kind, for what finds no room in `sites` or has left it: 64k x 328 B, not preallocated. Full:
 * the block is not recorded, WIRE_LOST_LIVE_MEMORY. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct wire_site_key);
	__type(value, struct wire_site);
} unknown_sites SEC(".maps") __weak;

/* Stacks that are new since the last report, when user space takes them over: --stack-storage-size (64k) x 1 KiB, not
 * preallocated. Full: WIRE_LOST_STACKS_FULL, counted in `unknown_sites`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct wire_stack);
} stacks SEC(".maps") __weak;

/* Traced processes now alive, by process id. Full: WIRE_LOST_PROCESSES. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, struct wire_member);
} procs SEC(".maps") __weak;

/* Traced processes, also those ended and not yet reported. Full: WIRE_LOST_PROCESSES. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, wire_instance);
	__type(value, struct wire_process);
} instances SEC(".maps") __weak;

/* fork, exec, exit: 56 B each. Full: WIRE_LOST_PROCESS_RING, and user space looks its processes up in `procs` instead. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} process_ring SEC(".maps") __weak;

/* -t and --mmap events. Full: WIRE_LOST_TRACE_RING. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} event_ring SEC(".maps") __weak;

/* Losses that belong to no traced process, by enum wire_loss. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WIRE_LOST_MAX);
	__type(key, u32);
	__type(value, u64);
} losses SEC(".maps") __weak;

/* By instance; one entry where nothing is governed, else WIRE_GOVERNED x 72 B. An instance that finds its place taken is not
 * governed: all of it is recorded, unless there is a crowd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WIRE_GOVERNED);
	__type(key, u32);
	__type(value, struct wire_governed);
} governed SEC(".maps") __weak;

/* The governor's record of an instance, or NULL. */
static __always_inline struct wire_governed *governed_get(wire_instance instance)
{
	u32 index = instance % WIRE_GOVERNED;
	struct wire_governed *g;

	if (!settings.governed)
		return NULL;
	g = bpf_map_lookup_elem(&governed, &index);
	return g && g->instance == instance ? g : NULL;
}

/* lifecycle.bpf.c's: of all that have WIRE_GOVERNED_CROWD; shared memory, too. */
extern struct wire_governed crowd;

/* g: governed_get()'s. Where all are traced, who found no record of its own is of the crowd, too. */
static __always_inline bool in_crowd(const struct wire_governed *g)
{
	return settings.governed && settings.everything && (!g || g->flags & WIRE_GOVERNED_CROWD);
}

/* The record whose orders hold for an instance, or NULL: all is recorded. */
static __always_inline struct wire_governed *governed_orders(wire_instance instance)
{
	struct wire_governed *g = governed_get(instance);

	return in_crowd(g) ? &crowd : g;
}

static __always_inline void lost_anywhere(u32 cause)
{
	u64 *count = bpf_map_lookup_elem(&losses, &cause);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Counts one loss under its process, or under no process when that is gone. */
static __always_inline void lost(wire_instance instance, u32 cause)
{
	struct wire_process *process = bpf_map_lookup_elem(&instances, &instance);

	if (process && cause < WIRE_LOST_MAX)
		__sync_fetch_and_add(&process->lost[cause], 1);
	else
		lost_anywhere(cause);
}

#endif
