// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Cgroups of traced processes that are at their memory limit: whoever is in one waits while the kernel takes pages back, and where it
 * finds none, somebody is killed. User space is told before that.
 *
 * The kernel counts for each cgroup how often it was at its limit ("max" in version 2's memory.events.local; version 1 counts the same
 * and shows it nowhere), then reclaims. So the start of a reclaim says when to look, and the counts of the reclaiming task's
 * cgroups, up to the root, which of them was meant. A pass over all tasks (limit_look) learns which cgroups traced processes are
 * in, and gives each process the sum of its cgroups' counts, as its end does (limit_end).
 *
 * A process that user space has not looked at is noticed when it is at the limit itself. Then the first count is not known to be new, but
 * the cgroup's having no room tells. What reaches memory.high is slowed down, and not at a limit.
 *
 * Needs: the BTF tracepoint mm_vmscan_memcg_reclaim_begin (5.5, as all BTF tracepoints, with the memory controller); without it the
 * counts are there, but nobody is told at once. Task iterators (5.8, eaaacd23910f). memory_events_local (5.3, 1e577f970f66);
 * without it nothing is seen. */
#include "cgroup.bpf.h"
#include "maps.bpf.h"

#define PF_KTHREAD 0x00200000
#define LEVELS 12	       /* cgroups looked at, from a process's own upwards */
#define PAGES_NONE (1UL << 50) /* the kernel's "no limit" is far above */
#define PAGES_AT_ONCE 512      /* the most that is charged at once: a huge page */
#define NS_PER_SECOND 1000000000UL
#define WAIT_LEAST_NS (10 * NS_PER_SECOND)
#define WAIT_MOST_NS (640 * NS_PER_SECOND)

struct limit {
	u64 first;   /* the kernel's count before the trace */
	u64 seen;    /* and as of the last reclaim */
	u64 hit_ns;  /* when that was, CLOCK_MONOTONIC; 0: none since the first look */
	u64 told_ns; /* user space; 0: never */
	u64 wait_ns; /* before it is told again */
	u64 pass;    /* the last one that found a traced process in it */
};

/* Cgroups with a limit that traced processes are or were in, by id: 128 KB. Full: the one used least is forgotten, and its count begins
 * anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct limit);
} limits SEC(".maps");

static u64 last_pass;

struct level {
	u64 id, hits;
	u64 left; /* pages below the limit */
};

/* Returns false where there is no limit. */
static __always_inline bool read_level(struct cgroup_subsys_state *css, struct level *ret)
{
	struct mem_cgroup *memory = (void *)css; /* its first member */
	u64 max, used;
	void *events;

	if (!bpf_core_field_exists(memory->memory_events_local))
		return false;
	max = BPF_CORE_READ(memory, memory.max);
	if (max >= PAGES_NONE)
		return false;
	used = BPF_CORE_READ(memory, memory.usage.counter);
	ret->left = max > used ? max - used : 0;
	events = __builtin_preserve_access_index(&memory->memory_events_local);
	ret->hits = 0;
	bpf_probe_read_kernel(&ret->hits, sizeof(ret->hits),
			      events + sizeof(atomic_long_t) *
					       bpf_core_enum_value(enum memcg_memory_event,
								   MEMCG_MAX));
	ret->id = css->cgroup->kn->id;
	return true;
}

static __always_inline struct limit *limit_begin(const struct level *level, u64 hits_before)
{
	struct limit new = {.first = hits_before, .seen = hits_before, .pass = last_pass};
	u64 id = level->id;

	bpf_map_update_elem(&limits, &id, &new, BPF_NOEXIST);
	return bpf_map_lookup_elem(&limits, &id);
}

/* A cgroup full of file pages may live at its limit for weeks: then this is told less and less often. */
static __always_inline bool is_due(struct limit *limit, u64 now_ns)
{
	u64 quiet_ns = now_ns - limit->told_ns;

	if (limit->told_ns && quiet_ns < limit->wait_ns)
		return false;
	if (!limit->told_ns || quiet_ns > 2 * WAIT_MOST_NS)
		limit->wait_ns = WAIT_LEAST_NS;
	else if (limit->wait_ns < WAIT_MOST_NS)
		limit->wait_ns *= 2;
	limit->told_ns = now_ns;
	return true;
}

static __always_inline void tell(u32 pid, wire_instance instance, u64 cgroup, u64 now_ns)
{
	struct wire_event *event = bpf_ringbuf_reserve(&process_ring, sizeof(*event), 0);

	if (!event) {
		lost_anywhere(WIRE_LOST_PROCESS_RING);
		return;
	}
	*event = (struct wire_event){
		.type = WIRE_EVENT_LIMIT,
		.pid = pid,
		.instance = instance,
		.time_ns = now_ns,
		.address = cgroup,
	};
	bpf_ringbuf_submit(event, 0);
}

/* instance: the reclaiming process's, 0: it is not traced. */
static __always_inline void look(const struct level *level, u32 pid, wire_instance instance,
				 u64 now_ns)
{
	u64 id = level->id;
	struct limit *limit = bpf_map_lookup_elem(&limits, &id);

	if (!limit) {
		if (!instance || !level->hits || level->left >= PAGES_AT_ONCE)
			return;
		limit = limit_begin(level, level->hits - 1);
		if (!limit)
			return;
	}
	if (level->hits == limit->seen)
		return;
	limit->seen = level->hits;
	limit->hit_ns = now_ns;
	if ((instance || limit->pass == last_pass) && is_due(limit, now_ns))
		tell(pid, instance, id, now_ns);
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int limit_hit(u64 *args)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgroup_subsys_state *css = memory_css(task);
	u32 pid = task->tgid;
	struct wire_member *member = bpf_map_lookup_elem(&procs, &pid);
	wire_instance instance = member ? member->instance : 0;
	u64 now_ns = bpf_ktime_get_ns();
	struct level level;

	for (int i = 0; i < LEVELS && css; i++) {
		if (read_level(css, &level))
			look(&level, pid, instance, now_ns);
		css = css->parent;
	}
	return 0;
}

static __always_inline void sum(struct cgroup_subsys_state *css, struct wire_process *process)
{
	u64 hits = 0, hit_ns = 0;
	struct level level;

	for (int i = 0; i < LEVELS && css; i++) {
		if (read_level(css, &level)) {
			struct limit *limit = bpf_map_lookup_elem(&limits, &level.id);

			if (!limit)
				limit = limit_begin(&level, level.hits);
			if (limit) {
				limit->pass = last_pass;
				hits += level.hits - limit->first;
				if (limit->hit_ns > hit_ns)
					hit_ns = limit->hit_ns;
			}
		}
		css = css->parent;
	}
	process->limit_hits = hits;
	process->limit_hit_ns = hit_ns;
}

/* Gives a task's process, when it is traced, its cgroups' counts. */
static __always_inline void count_hits(struct task_struct *task)
{
	u32 pid = task->tgid;
	struct wire_process *process;
	struct wire_member *member;
	wire_instance instance;

	member = bpf_map_lookup_elem(&procs, &pid);
	if (!member)
		return;
	instance = member->instance;
	process = bpf_map_lookup_elem(&instances, &instance);
	if (process)
		sum(memory_css(task), process);
}

/* One pass: writes nothing. */
SEC("iter/task")
int limit_look(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	last_pass = ctx->meta->session_id;
	if (task && !(task->flags & PF_KTHREAD) && task->pid == task->tgid)
		count_hits(task);
	return 0;
}

/* The last report is right also of a process that was killed before anybody looked again. Attached before process_exit, after
 * which the process is reported. */
SEC("tp_btf/sched_process_exit")
int limit_end(u64 *args)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (BPF_CORE_READ(task, signal, live.counter) <= 0)
		count_hits(task);
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
