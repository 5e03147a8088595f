// SPDX-License-Identifier: BSD-2-Clause
#include "collect/evict.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire.h"

#define SWEEPS_MAX 8

static int run_step(const struct evictor *e, struct wire_evict *step)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = step, .ctx_size_in = sizeof(*step));

	return bpf_prog_test_run_opts(e->program_fd, &options);
}

/* Until every program that runs now has ended: this command is synchronize_rcu(), but for a machine with one CPU, where it waits for
 * nobody: there a preemptible kernel may interrupt a program in between. nohz_full refuses it, and nothing is evicted. */
static int wait_for_programs(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? -errno : 0;
}

uint32_t evict_from_age(const uint32_t *n_idle, uint32_t n_wanted)
{
	uint32_t age = WIRE_EVICT_AGES - 1, n = n_idle[age];

	while (age > 1 && n < n_wanted)
		n += n_idle[--age];
	return age;
}

/* A walk that deletes can leave out a bucket: the deleted element's memory, from which it goes on, is another's already. */
static int sweep(const struct evictor *e, uint32_t n_marked)
{
	struct wire_evict step = {.step = WIRE_EVICT_SWEEP};
	uint32_t n = 0;
	int err = 0;

	for (unsigned i = 0; i < SWEEPS_MAX && !err && n < n_marked; i++) {
		err = run_step(e, &step);
		n += err ? 0 : step.n_sites;
		if (!step.n_sites)
			break;
	}
	return err ? err : (int)n;
}

int evict_run(struct evictor *e)
{
	struct wire_evict step = {.step = WIRE_EVICT_AGE, .n_passes = ++e->n_passes};
	int err;

	if (!e->program_fd)
		return 0;
	err = run_step(e, &step);
	if (err || step.n_sites <= e->max_sites / 4 * 3)
		return err;
	step.step = WIRE_EVICT_LEAVE;
	step.most = step.n_sites - e->max_sites / 2;
	step.from_age = evict_from_age(step.n_idle, step.most);
	err = wait_for_programs();
	if (!err)
		err = run_step(e, &step);
	if (err || !step.n_sites)
		return err;
	err = wait_for_programs();
	return err ? err : sweep(e, step.n_sites);
}
