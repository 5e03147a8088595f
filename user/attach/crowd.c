// SPDX-License-Identifier: BSD-2-Clause
#include "attach/crowd.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "attach/kernel.h"
#include "base/clock.h"
#include "wire.h"

#define GROWN_UP_NS NS_PER_SECOND
#define NOTICEABLE_HZ 1000 /* hits: about a thousandth of a CPU */

struct member {
	uint32_t instance; /* 0: nobody */
	pid_t pid;
	uint64_t began_ns, hit_ns, looked_ns; /* CLOCK_MONOTONIC */
	uint64_t n_hits;		      /* as of looked_ns */
};

struct crowd {
	struct kernel *kernel;
	struct wire_governed *record;
	int instances_fd;
	uint64_t opened_ns;	/* when the last window began */
	struct member *members; /* by the places of their records */
};

int crowd_create(struct kernel *k, struct crowd **ret, struct diag *d)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct kernel_maps maps;

	if (c)
		c->members = calloc(WIRE_GOVERNED, sizeof(*c->members));
	if (!c || !c->members) {
		crowd_destroy(c);
		return diag_set(d, ENOMEM, "out of memory");
	}
	kernel_get_maps(k, &maps);
	c->kernel = k;
	c->record = kernel_crowd(k);
	c->instances_fd = maps.instances;
	*ret = c;
	return 0;
}

void crowd_destroy(struct crowd *c)
{
	if (!c)
		return;
	free(c->members);
	free(c);
}

/* Returns whether it lives. */
static bool begin(struct crowd *c, struct member *m, uint32_t instance, uint64_t now_ns)
{
	struct wire_process process;

	if (bpf_map_lookup_elem(c->instances_fd, &instance, &process) || process.ended)
		return false;
	*m = (struct member){
		.instance = instance,
		.pid = process.pid,
		.began_ns = process.began_ns,
		.looked_ns = now_ns,
	};
	return true;
}

/* As lifecycle.bpf.c does when it ends: who exchanges adds what came since. */
static void add_cpu(struct crowd *c, const struct member *m, struct wire_governed *r)
{
	uint64_t cpu_ns = clock_process_cpu_ns(m->pid), before_ns;

	if (!cpu_ns || __atomic_load_n(&r->flags, __ATOMIC_RELAXED) & WIRE_GOVERNED_ENDED)
		return;
	before_ns = __atomic_exchange_n(&r->cpu_ns, cpu_ns, __ATOMIC_SEQ_CST);
	if (cpu_ns <= before_ns)
		return;
	cpu_ns -= before_ns;
	if (cpu_ns > WIRE_CROWD_CPU_MOST_NS)
		cpu_ns = WIRE_CROWD_CPU_MOST_NS;
	__atomic_fetch_add(&c->record->cpu_ns, cpu_ns, __ATOMIC_SEQ_CST);
}

void crowd_scan(struct crowd *c, uint64_t now_ns, uint64_t watch_ns,
		void (*leaves)(void *arg, uint32_t instance, pid_t pid), void *arg)
{
	uint64_t opened_ns = c->record->until_ns ? c->opened_ns : UINT64_MAX;
	uint32_t n = kernel_governed_end(c->kernel);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t instance = kernel_governed_at(c->kernel, i);
		struct wire_governed *r = kernel_governed(c->kernel, instance);
		struct member *m = &c->members[i];
		uint64_t n_hits, seconds_ns;

		if (!r ||
		    (r->flags & (WIRE_GOVERNED_CROWD | WIRE_GOVERNED_ENDED)) != WIRE_GOVERNED_CROWD)
			continue;
		if (m->instance != instance && !begin(c, m, instance, now_ns))
			continue;
		n_hits = r->n_entries + r->n_frees - m->n_hits;
		if (n_hits)
			m->hit_ns = now_ns;
		if (now_ns < m->hit_ns + watch_ns || m->began_ns > opened_ns)
			add_cpu(c, m, r);
		seconds_ns = now_ns - m->looked_ns;
		if (now_ns > m->began_ns + GROWN_UP_NS && seconds_ns > NS_PER_SECOND / 10 &&
		    n_hits * NS_PER_SECOND > NOTICEABLE_HZ * seconds_ns)
			leaves(arg, instance, m->pid);
		m->n_hits += n_hits;
		m->looked_ns = now_ns;
	}
}

void crowd_opened(struct crowd *c, uint64_t now_ns)
{
	c->opened_ns = now_ns;
	kernel_crowd_opened(c->kernel, now_ns);
}

void crowd_flag(struct crowd *c, unsigned flags)
{
	uint32_t n;

	if ((c->record->flags & flags) == flags)
		return;
	/* The crowd first: lifecycle.bpf.c's join_crowd() reads it last. */
	__atomic_fetch_or(&c->record->flags, flags, __ATOMIC_SEQ_CST);
	n = kernel_governed_end(c->kernel);
	for (uint32_t i = 0; i < n; i++) {
		struct wire_governed *r =
			kernel_governed(c->kernel, kernel_governed_at(c->kernel, i));

		if (r && __atomic_load_n(&r->flags, __ATOMIC_SEQ_CST) & WIRE_GOVERNED_CROWD)
			__atomic_fetch_or(&r->flags, flags, __ATOMIC_SEQ_CST);
	}
}
