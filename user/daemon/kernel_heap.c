// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/kernel_heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/kernel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/naming.h"
#include "daemon/trace_options.h"
#include "daemon/traced.h"
#include "daemon/tracing.h"
#include "process/procfs.h"
#include "symbol/kernel_symbols.h"

/* Where slabs take pages for objects, and where an object that is larger than a slab is taken as pages: all names that these
 * functions have had since 6.1. */
static const char *const inner[] = {
	"___slab_alloc",	 "new_slab",
	"allocate_slab",	 "alloc_slab_page",
	"___kmalloc_large_node", "__kmalloc_large_node",
	"kmalloc_large",	 "__kmalloc_large_noprof",
	"kmalloc_large_node",	 "__kmalloc_large_node_noprof",
};
_Static_assert(ARRAY_SIZE(inner) <= KERNEL_HEAP_INNER, "room for them");

static int add_pid(pid_t pid, struct kernel_heap_options *ret, struct diag *d)
{
	struct procfs_stat stat;
	int err = procfs_read_stat(pid, &stat);

	if (err)
		return diag_set(d, -err, "process %d: %s", pid,
				err == -ESRCH ? "no such process" : strerror(-err));
	ret->pids[ret->n_pids] = pid;
	ret->starts_ns[ret->n_pids++] = stat.start_ticks * (NS_PER_SECOND / sysconf(_SC_CLK_TCK));
	return 0;
}

int kernel_heap_options_from(struct tracing *t, const struct trace_options *o,
			     struct kernel_heap_options *ret, struct diag *d)
{
	uint64_t start, end;
	int err = kernel_symbols_create("", &t->kernel_symbols, d);

	*ret = (struct kernel_heap_options){.percpu = o->percpu, .movable = o->movable};
	for (size_t i = 0; i < o->pids.n && !err; i++)
		err = add_pid(o->pids.items[i], ret, d);
	for (size_t i = 0; i < ARRAY_SIZE(inner) && !err; i++)
		if (kernel_symbols_find(t->kernel_symbols, inner[i], &start, &end))
			ret->inner[ret->n_inner++] = (struct kernel_heap_range){start, end - start};
	return err;
}

int kernel_heap_begin(struct tracing *t, struct diag *d)
{
	int64_t instance = kernel_add_itself(t->kernel, d);
	struct traced *p;
	int err = 0;

	if (instance < 0)
		return instance;
	p = calloc(1, sizeof(*p));
	if (!p)
		return diag_set(d, ENOMEM, "out of memory");
	p->instance = instance;
	/* It began with the clock. */
	p->start_real_ns = clock_realtime_ns() - clock_boottime_ns();
	p->seen_from_seconds = traced_age_seconds(p);
	pthread_mutex_lock(&t->lock);
	p->comm = strings_intern(&t->strings, "kernel");
	err = hashmap_put(&t->traced, instance, p);
	pthread_mutex_unlock(&t->lock);
	if (err)
		free(p);
	return err ? diag_set(d, ENOMEM, "out of memory") : 0;
}

void kernel_heap_name(struct tracing *t, const uint64_t *addresses, size_t n_addresses,
		      struct named_stack *n)
{
	bool cut = false;

	if (kernel_symbols_stack(t->kernel_symbols, addresses, n_addresses, t->max_frames,
				 &n->frames, &n->n, &cut))
		return;
	if (cut && !n->truncated)
		n->truncated = "too deep";
}
