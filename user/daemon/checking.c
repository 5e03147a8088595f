// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/checking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/kernel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "collect/collector.h"
#include "daemon/checking_room.h"
#include "daemon/scanning.h"
#include "daemon/traced.h"
#include "daemon/tracing.h"
#include "process/launch.h"
#include "process/robust_list.h"
#include "reach/heap_chunks.h"

#define MOST_THREADS 4
#define FEW_BLOCKS 10000 /* one thread has looked at them before others have begun */

int checking_create(struct tracing *t, struct checking **ret, struct diag *d)
{
	struct checking *c = calloc(1, sizeof(*c));

	if (!c)
		return diag_set(d, ENOMEM, "out of memory");
	c->tracing = t;
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

void checked_free(struct checked *p)
{
	if (p)
		free(p->items);
	free(p);
}

void checking_destroy(struct checking *c)
{
	struct checked *p;
	size_t cursor = 0;

	if (!c)
		return;
	while ((p = hashmap_next(&c->checked, &cursor, NULL)))
		checked_free(p);
	hashmap_done(&c->checked);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* The instance whose own memory pid works in, 0: another one's, or it is not traced. What it has mapped is read once more, for names,
 * unless its first thread, by which that is read, may be gone. */
static instance_id own_instance(struct tracing *t, pid_t pid, bool has_first)
{
	instance_id instance = kernel_instance(t->kernel, pid, NULL);
	struct traced *p;

	pthread_mutex_lock(&t->lock);
	p = hashmap_get(&t->traced, instance);
	if (p && p->pid != pid)
		instance = 0;
	else if (p && has_first && p->space && !p->lender)
		traced_refresh(t, p);
	pthread_mutex_unlock(&t->lock);
	return instance;
}

/* In the order of thread_register_names. */
static struct thread_state to_state(const struct launch_thread *t)
{
	const struct user_regs_struct *r = &t->registers;

	return (struct thread_state){
		.tid = t->tid,
		.stack_pointer = r->rsp,
		.robust_list = robust_list_address(t->tid),
		.registers = {r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8,
			      r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15},
	};
}

static struct thread_state *to_states(const struct launch_thread *threads, size_t n)
{
	struct thread_state *states = calloc(n, sizeof(*states));

	for (size_t i = 0; states && i < n; i++)
		states[i] = to_state(&threads[i]);
	return states;
}

struct adding {
	const struct scanning *scanning;
	struct checked *to;
	instance_id instance;
	uint64_t *stacks;	/* by block */
	struct hashmap by_kind; /* -> number in to + 1 */
};

static int note_stack(void *arg, const struct snapshot_block *b)
{
	const struct adding *a = arg;
	uint32_t i;

	if (b->instance != a->instance || b->kind != SITE_MALLOC)
		return 0;
	i = reach_blocks_at(&a->scanning->blocks, b->address);
	if (i != REACH_NONE && a->scanning->blocks.items[i].start == b->address)
		a->stacks[i] = b->stack;
	return 0;
}

/* The leaks that are alike have one record. */
static struct checked_leak *leak_of(struct adding *a, uint64_t stack, uint64_t root_stack,
				    enum reach_leak kind)
{
	uint64_t key = (stack ^ root_stack * 0x9e3779b97f4a7c15ULL) * 4 + kind;
	uintptr_t number = (uintptr_t)hashmap_get(&a->by_kind, key);

	if (!number) {
		const struct checked_leak leak = {
			.stack = stack, .root_stack = root_stack, .kind = kind};

		if (vec_push(a->to, leak) ||
		    hashmap_put(&a->by_kind, key, (void *)(uintptr_t)a->to->n))
			return NULL;
		number = a->to->n;
	}
	return &a->to->items[number - 1];
}

static int add_blocks(struct adding *a)
{
	const struct scanning *s = a->scanning;

	for (uint32_t i = 0; i < s->blocks.n; i++) {
		const struct reach_block *block = &s->blocks.items[i];
		uint32_t root = s->roots[i];
		struct checked_leak *leak;
		struct scan_count *count = &a->to->reachable;

		if (block->birth_ns == REACH_FREED)
			continue;
		if (s->leaks[i]) {
			leak = leak_of(a, a->stacks[i], a->stacks[root == REACH_NONE ? i : root],
				       s->kinds[i]);
			if (!leak)
				return -ENOMEM;
			leak->example = leak->example ? leak->example : block->start;
			count = &leak->count;
		}
		count->n++;
		count->bytes += block->end - block->start;
	}
	return 0;
}

static int add_all(const struct scanning *s, instance_id instance, struct checked *to)
{
	struct adding a = {.scanning = s, .to = to, .instance = instance};
	int err;

	a.stacks = calloc(s->blocks.n + 1, sizeof(*a.stacks));
	err = a.stacks ? collector_each_block(s->collector, note_stack, &a) : -ENOMEM;
	if (!err)
		err = add_blocks(&a);
	hashmap_done(&a.by_kind);
	free(a.stacks);
	to->pass_bytes = s->pass_bytes;
	to->pass_ns = s->pass_ns;
	to->n_threads = s->n_threads;
	return err;
}

static unsigned threads_for(size_t n_blocks)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (n_blocks < FEW_BLOCKS || n_cpus < 1)
		return 1;
	return n_cpus < MOST_THREADS ? n_cpus : MOST_THREADS;
}

/* One exact pass. Of one that dies for want of memory the kernel takes the memory as it likes, from the moment it is chosen. */
static int look(struct checking *c, instance_id instance, const struct launch_thread *threads,
		size_t n, struct checked *to, struct diag *d)
{
	const struct reach_options options = {.pointers.interior = true, .n_threads = 1};
	struct collector *collector = c->tracing->collector;
	struct scanning s = {.memory.pagemap = -1};
	struct thread_state *states;
	int err;

	if (collector_oom_killed(collector, instance))
		return diag_set(d, ENOMEM, "the kernel killed it for want of memory");
	states = to_states(threads, n);
	if (!states)
		return diag_set(d, ENOMEM, "out of memory");
	err = scanning_open_stopped(&s, threads[n - 1].tid, collector, &options, d);
	if (!err)
		err = scanning_prepare_stopped(&s, instance, states, n, d);
	else
		free(states);
	s.options.n_threads = threads_for(s.blocks.n);
	if (!err)
		err = scanning_pass(&s, 1, d);
	if (!err && collector_oom_killed(collector, instance))
		err = diag_set(d, ENOMEM, "the kernel killed it for want of memory");
	if (!err && add_all(&s, instance, to))
		err = diag_set(d, ENOMEM, "out of memory");
	scanning_close(&s);
	return err;
}

void checking_ending(struct checking *c, pid_t pid, const struct launch_thread *threads, size_t n)
{
	uint64_t began_ns = clock_monotonic_ns();
	instance_id instance = own_instance(c->tracing, pid, threads[n - 1].tid == pid);
	struct checked *p, *before;
	struct diag d = {0};

	if (!instance)
		return;
	p = calloc(1, sizeof(*p));
	if (!p || look(c, instance, threads, n, p, &d)) {
		if (!c->tracing->quiet)
			log_info("process %d could not be checked: %s", pid, d.text);
		checked_free(p);
		return;
	}
	p->instance = instance;
	p->stopped_ns = clock_monotonic_ns() - began_ns;
	pthread_mutex_lock(&c->lock);
	before = hashmap_take(&c->checked, instance);
	checked_free(before);
	if (hashmap_put(&c->checked, instance, p))
		checked_free(p);
	pthread_mutex_unlock(&c->lock);
}
