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
/* Where the page cache takes pages. */
static const char *const cached[] = {"__filemap_get_folio", "filemap_alloc_folio_noprof",
				     "filemap_alloc_folio"};
_Static_assert(ARRAY_SIZE(inner) + ARRAY_SIZE(cached) <= KERNEL_HEAP_INNER, "room for them");

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

/* Functions that this kernel does not have are left out. */
static void add_inner(const struct kernel_symbols *k, const char *const *names, size_t n,
		      struct kernel_heap_options *ret)
{
	uint64_t start, end;

	for (size_t i = 0; i < n; i++)
		if (kernel_symbols_find(k, names[i], &start, &end))
			ret->inner[ret->n_inner++] = (struct kernel_heap_range){start, end - start};
}

int kernel_heap_options_from(struct tracing *t, const struct trace_options *o,
			     struct kernel_heap_options *ret, struct diag *d)
{
	uint64_t start, end;
	int err = kernel_symbols_create("", &t->kernel_symbols, d);

	*ret = (struct kernel_heap_options){.percpu = o->percpu, .all_pages = o->all_pages};
	for (size_t i = 0; i < o->pids.n && !err; i++)
		err = add_pid(o->pids.items[i], ret, d);
	if (err)
		return err;
	add_inner(t->kernel_symbols, inner, ARRAY_SIZE(inner), ret);
	/* The latter before 6.10 (401dbe3f6c7e). */
	if (kernel_symbols_find(t->kernel_symbols, "handle_softirqs", &start, &end) ||
	    kernel_symbols_find(t->kernel_symbols, "__do_softirq", &start, &end))
		ret->interrupt = (struct kernel_heap_range){start, end - start};
	if (!o->all_pages)
		add_inner(t->kernel_symbols, cached, ARRAY_SIZE(cached), ret);
	return 0;
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
	char cache[32];
	bool cut = false, has_cache = kernel_cache_name(t->kernel, addresses[0], cache);

	if (kernel_symbols_stack(t->kernel_symbols, has_cache ? cache : NULL, addresses + 1,
				 n_addresses - 1, t->max_frames, &n->frames, &n->n, &cut))
		return;
	if (cut && !n->truncated)
		n->truncated = "too deep";
}
