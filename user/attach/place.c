// SPDX-License-Identifier: BSD-2-Clause
#include "attach/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "plan/plan.h"
#include "wire.h"

/* Sites are chosen where nothing was pushed yet: the return address is on top of the stack. */
#define CFA_OFFSET 8

struct probe_list {
	struct link_probe *items;
	size_t n, cap;
};

/* The order matters: ends before entries, frees before allocations, so that no call is seen half, and no block is recorded whose
 * free would not be. */
enum group {
	GROUP_EXITS,
	GROUP_RETURNS,
	GROUP_FREES,
	GROUP_ENTRIES_ONLY,
	GROUP_ALLOCATIONS,
	N_GROUPS,
};

/* Whether the function calls no other that is probed. In all allocators known here malloc does not, in glibc free does not;
 * others do in some (musl's calloc and memalign call malloc), and what a wrapper does that another file brings is anyone's
 * guess. */
static bool is_leaf(const struct plan *plan, const struct plan_probe *probe)
{
	static const char *const leaves[] = {"malloc", "je_malloc", "tc_malloc", "mi_malloc"};

	if (plan->allocator == PLAN_ALLOCATOR_NONE || plan->allocator == PLAN_ALLOCATOR_OTHER)
		return false;
	if (plan->allocator == PLAN_ALLOCATOR_GLIBC && !strcmp(probe->symbol, "free"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		if (!strcmp(probe->symbol, leaves[i]))
			return true;
	return false;
}

/* Whether no block comes from the file's allocator but through a probe: mimalloc's heaps have functions of their own, and of those
 * unknown nothing is known. */
static bool is_closed(const struct plan *plan)
{
	return plan->allocator == PLAN_ALLOCATOR_GLIBC || plan->allocator == PLAN_ALLOCATOR_MUSL ||
	       plan->allocator == PLAN_ALLOCATOR_JEMALLOC ||
	       plan->allocator == PLAN_ALLOCATOR_TCMALLOC;
}

static int add(struct probe_list *list, const struct plan *plan, const struct plan_probe *probe,
	       uint64_t offset)
{
	bool exits = probe->end == PLAN_END_EXITS;
	struct link_probe p = {offset, WIRE_COOKIE(probe->function, CFA_OFFSET, exits) |
					       WIRE_COOKIE_FAMILY_BITS(probe->families) |
					       WIRE_COOKIE_SITE_BITS(probe->site)};

	if (is_leaf(plan, probe))
		p.cookie |= WIRE_COOKIE_LEAF_BIT;
	if (is_closed(plan))
		p.cookie |= WIRE_COOKIE_CLOSED_BIT;
	if (probe->cost == PLAN_STEPPED)
		p.cookie |= WIRE_COOKIE_STEPPED_BIT;
	if (plan->shared_libc && probe->site <= 0xff)
		p.cookie |= WIRE_COOKIE_PLT_BIT;

	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].offset == offset)
			return 0; /* an exit that two functions share */
	return vec_push(list, p);
}

static bool takes_blocks(const struct plan_probe *probe)
{
	return probe->function == PLAN_FREE || probe->function == PLAN_REALLOC ||
	       probe->function == PLAN_REALLOCARRAY;
}

static int sort_probe(struct probe_list *groups, const struct plan *plan,
		      const struct plan_probe *probe, bool session)
{
	int err = 0;

	if (probe->function == PLAN_FREE)
		return add(&groups[GROUP_FREES], plan, probe, probe->offset);
	if (probe->end == PLAN_END_EXITS) {
		for (size_t i = 0; i < probe->n_exits && !err; i++)
			err = add(&groups[GROUP_EXITS], plan, probe, probe->exits[i].offset);
		return err ? err : add(&groups[GROUP_ENTRIES_ONLY], plan, probe, probe->offset);
	}
	if (!session)
		err = add(&groups[GROUP_RETURNS], plan, probe, probe->offset);
	return err ? err : add(&groups[GROUP_ALLOCATIONS], plan, probe, probe->offset);
}

int place_plan(const struct kernel *k, pid_t pid, int fd, const struct plan *plan, unsigned parts,
	       struct links *links, struct diag *d)
{
	static const enum kernel_program programs[N_GROUPS] = {
		[GROUP_EXITS] = KERNEL_ALLOCATE_EXIT,  [GROUP_RETURNS] = KERNEL_ALLOCATE_RETURN,
		[GROUP_FREES] = KERNEL_FREE,	       [GROUP_ENTRIES_ONLY] = KERNEL_ALLOCATE_ENTRY,
		[GROUP_ALLOCATIONS] = KERNEL_ALLOCATE,
	};
	bool session = kernel_link(k) == LINK_SESSION;
	struct probe_list groups[N_GROUPS] = {0};
	int err = 0;

	/* A running process must not get a block that it could give back unseen: what frees is probed before what only allocates. */
	for (size_t i = 0; i < plan->n && !err; i++)
		if (takes_blocks(&plan->items[i]))
			err = sort_probe(groups, plan, &plan->items[i], session);
	for (size_t i = 0; i < plan->n && !err; i++)
		if (!takes_blocks(&plan->items[i]))
			err = sort_probe(groups, plan, &plan->items[i], session);
	for (int g = 0; g < N_GROUPS && !err; g++) {
		if (!(parts & (g == GROUP_FREES ? PLACE_FREES : PLACE_ALLOCATIONS)))
			continue;
		err = link_place(kernel_program_link(k, programs[g]),
				 kernel_program_fd(k, programs[g]), fd, pid, groups[g].items,
				 groups[g].n, g == GROUP_RETURNS, links, d);
	}
	for (int g = 0; g < N_GROUPS; g++)
		free(groups[g].items);
	return err;
}
