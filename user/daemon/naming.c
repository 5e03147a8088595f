// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/naming.h"

#include <pthread.h>
#include <stdlib.h>

#include "analyze/suppress.h"
#include "collect/collector.h"
#include "daemon/kernel_heap.h"
#include "daemon/traced.h"
#include "daemon/tracing.h"
#include "symbol/symbolize.h"

static void named_free(struct named_stack *n)
{
	if (!n)
		return;
	free(n->frames);
	free(n);
}

/* By frame pointers alone, a stack ends where it leaves the code that is mapped: they led into something else there, and what lies
 * behind is no caller but bytes of the target's memory. The leaf stays, whatever it is. */
static void end_at_unknown(struct named_stack *n)
{
	for (size_t i = 1; i < n->n; i++) {
		if (n->frames[i].module)
			continue;
		n->n = i;
		n->truncated = "left known code";
	}
}

static bool all_known(const struct named_stack *n)
{
	for (size_t i = 0; i < n->n; i++)
		if (!n->frames[i].module)
			return false;
	return true;
}

static struct named_stack *name_stack(struct naming *names, struct tracing *t,
				      const struct traced *p, uint64_t stack)
{
	const uint64_t *addresses = NULL;
	struct named_stack *n = calloc(1, sizeof(*n));
	struct address_space *space;
	size_t n_addresses;
	uint32_t version;

	if (!n)
		return NULL;
	n_addresses = collector_stack(t->collector, stack, &addresses, &version, &n->truncated);
	pthread_mutex_lock(&t->lock);
	space = p ? traced_space(p) : NULL;
	if (space)
		address_space_hold(space);
	pthread_mutex_unlock(&t->lock);
	if (n_addresses && space) {
		address_space_view(space, version);
		symbolize_stack(t->symbolizer, space, addresses, n_addresses, 0, &n->frames, &n->n);
	}
	address_space_destroy(space);
	if (n_addresses && t->kernel_symbols)
		kernel_heap_name(t, addresses, n_addresses, n);
	n->complete = all_known(n);
	if (names->frame_pointers)
		end_at_unknown(n);
	symbolize_fingerprints(n->frames, n->n, &n->fingerprint, &n->family);
	if (names->suppressions)
		n->suppressed = suppressions_match(names->suppressions, n->frames, n->n);
	return n;
}

const struct named_stack *naming_get(struct naming *names, struct tracing *t,
				     const struct traced *p, uint64_t stack)
{
	struct named_stack *n = hashmap_get(&names->stacks, stack);

	if (n && n->complete) {
		n->sequence = names->sequence;
		return n;
	}
	named_free(hashmap_take(&names->stacks, stack));
	n = name_stack(names, t, p, stack);
	if (n)
		n->sequence = names->sequence;
	if (n && hashmap_put(&names->stacks, stack, n)) {
		named_free(n);
		return NULL;
	}
	return n;
}

static bool drop_unused(void *naming, void *stack)
{
	const struct naming *names = naming;
	struct named_stack *n = stack;

	if (n->sequence == names->sequence)
		return false;
	named_free(n);
	return true;
}

void naming_trim(struct naming *names)
{
	hashmap_sweep(&names->stacks, drop_unused, names);
}

void naming_done(struct naming *names)
{
	struct named_stack *n;
	size_t cursor = 0;

	while ((n = hashmap_next(&names->stacks, &cursor, NULL)))
		named_free(n);
	hashmap_done(&names->stacks);
}
