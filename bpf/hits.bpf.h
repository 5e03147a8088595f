/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_HITS_BPF_H
#define SEEP_BPF_HITS_BPF_H
/* What probes cost their process, for the governor: hits are counted by thread, and one in WIRE_HITS_TIMED is timed from its
 * program's beginning to its end and carries the thread's counts to its process. What a trap costs besides, user space has
 * calibrated. */
#include "thread.bpf.h"

/* An interrupt, or a halted virtual CPU, is no cost of ours: longer is not believed. */
#define HIT_MOST_NS 100000

enum hit_kind {
	HIT_ENTRY, /* also at a ret instruction */
	HIT_RETURN,
	HIT_FREE,
};

/* thread: NULL when it has no state yet; its first hit is not counted then. Returns what hit_end() wants. */
static __always_inline u64 hit_begin(struct thread *thread, enum hit_kind kind, bool stepped)
{
	if (!settings.governed || !thread)
		return 0;
	if (kind == HIT_ENTRY)
		thread->hits.n_entries++;
	else if (kind == HIT_RETURN)
		thread->hits.n_returns++;
	else
		thread->hits.n_frees++;
	thread->hits.n_stepped += stepped;
	if (++thread->hits.n < WIRE_HITS_TIMED)
		return 0;
	return bpf_ktime_get_ns();
}

static __always_inline void hits_add(struct wire_governed *g, const struct hits *hits, u64 ns)
{
	__sync_fetch_and_add(&g->run_ns, ns * hits->n);
	__sync_fetch_and_add(&g->n_stepped, hits->n_stepped);
	__sync_fetch_and_add(&g->n_entries, hits->n_entries);
	__sync_fetch_and_add(&g->n_returns, hits->n_returns);
	__sync_fetch_and_add(&g->n_frees, hits->n_frees);
}

static __noinline int hits_tell(struct thread *thread, u64 began_ns)
{
	struct wire_governed *g;
	struct hits *hits;
	u64 ns;

	if (!thread)
		return 0;
	ns = bpf_ktime_get_ns() - began_ns;
	hits = &thread->hits;
	g = governed_get(thread->instance);
	if (ns > HIT_MOST_NS)
		ns = HIT_MOST_NS;
	if (g)
		hits_add(g, hits, ns);
	if (in_crowd(g))
		hits_add(&crowd, hits, ns);
	__builtin_memset(hits, 0, sizeof(*hits));
	return 0;
}

/* What a thread has not told yet when it ends or runs another program. None of it was timed: it took what others take. */
static __always_inline void hits_flush(struct thread *thread)
{
	struct wire_governed *g = governed_get(thread->instance);
	struct hits *hits = &thread->hits;
	u64 n;

	if (!hits->n)
		return;
	n = crowd.n_entries + crowd.n_returns + crowd.n_frees;
	n = n ? crowd.run_ns / n : 0;
	if (g)
		hits_add(g, hits, n);
	if (in_crowd(g))
		hits_add(&crowd, hits, n);
	__builtin_memset(hits, 0, sizeof(*hits));
}

static __always_inline void hit_end(struct thread *thread, u64 began_ns)
{
	if (began_ns)
		hits_tell(thread, began_ns);
}

#endif
