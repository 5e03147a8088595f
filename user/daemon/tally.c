// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "output/openmetrics.h"

/* A process that is in no report for so long has left without a last one. */
#define FORGET_REPORTS 16

enum {
	ALLOCATED_BYTES,
	FREED_BYTES,
	ALLOCATIONS,
	FREES,
	STACKS,
	N_FIGURES,
};

struct counted {
	uint64_t figures[N_FIGURES];
	struct tally_causes losses, truncated;
	uint32_t group;
	uint64_t seen; /* the report that had it last */
};

void tally_init(struct tally *t)
{
	*t = (struct tally){.n_groups = 1, .groups[0].labels.comm = OPENMETRICS_OTHER};
}

void tally_done(struct tally *t)
{
	struct counted *c;
	size_t cursor = 0;

	while ((c = hashmap_next(&t->processes, &cursor, NULL)))
		free(c);
	hashmap_done(&t->processes);
	hashmap_done(&t->by_labels);
	strings_done(&t->strings);
}

/* How much more it is than what was counted; what was counted becomes the larger of the two. */
static uint64_t take_new(uint64_t *counted, uint64_t value)
{
	uint64_t more = value > *counted ? value - *counted : 0;

	*counted += more;
	return more;
}

static uint64_t *count_of(struct tally *t, struct tally_causes *causes, const char *cause)
{
	const char *kept;

	for (size_t i = 0; i < causes->n; i++)
		if (!strcmp(causes->items[i].cause, cause))
			return &causes->items[i].count;
	if (causes->n == TALLY_CAUSES)
		return NULL;
	/* The last one is for all that come after. */
	kept = strings_intern(&t->strings,
			      causes->n == TALLY_CAUSES - 1 ? OPENMETRICS_OTHER : cause);
	if (!kept)
		return NULL;
	causes->items[causes->n] = (struct loss){.cause = kept};
	return &causes->items[causes->n++].count;
}

static int add_causes(struct tally *t, struct tally_causes *sums, struct tally_causes *counted,
		      const struct loss *losses, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t *before = count_of(t, counted, losses[i].cause);
		uint64_t *sum = count_of(t, sums, losses[i].cause);

		if (!before || !sum)
			return -ENOMEM;
		*sum += take_new(before, losses[i].count);
	}
	return 0;
}

static const char *container_of(const struct process_report *p)
{
	return p->container_name ? p->container_name : p->container;
}

static uint64_t labels_hash(const struct process_report *p)
{
	const char *const texts[] = {p->namespace_, p->pod, container_of(p), p->comm};
	uint64_t hash = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *text = texts[i] ? texts[i] : "";

		hash = hash_bytes(hash, text, strlen(text) + 1);
	}
	return hash;
}

/* Once it has one, a process keeps its group: its sums would else be in two. */
static uint32_t group_of(struct tally *t, const struct process_report *p)
{
	uint64_t hash = labels_hash(p);
	size_t number = (uintptr_t)hashmap_get(&t->by_labels, hash);

	if (number)
		return number - 1;
	if (t->n_groups == TALLY_GROUPS ||
	    hashmap_put(&t->by_labels, hash, (void *)(uintptr_t)(t->n_groups + 1)))
		return 0;
	t->groups[t->n_groups].labels = (struct metrics_labels){
		.namespace_ = strings_intern(&t->strings, p->namespace_),
		.pod = strings_intern(&t->strings, p->pod),
		.container = strings_intern(&t->strings, container_of(p)),
		.comm = strings_intern(&t->strings, p->comm),
	};
	return t->n_groups++;
}

static struct counted *find(struct tally *t, const struct process_report *p)
{
	struct counted *c = hashmap_get(&t->processes, p->instance);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c || hashmap_put(&t->processes, p->instance, c)) {
		free(c);
		return NULL;
	}
	c->group = group_of(t, p);
	return c;
}

static int add_process(struct tally *t, const struct process_report *p, uint32_t *ret_group)
{
	const uint64_t figures[N_FIGURES] = {p->allocated_bytes, p->freed_bytes, p->allocations,
					     p->frees, p->n_stacks};
	struct counted *c = find(t, p);
	struct metrics_group *g;
	int err;

	*ret_group = 0;
	if (!c)
		return -ENOMEM;
	g = &t->groups[c->group];
	*ret_group = c->group;
	c->seen = t->n_reports;
	g->allocated_bytes += take_new(&c->figures[ALLOCATED_BYTES], figures[ALLOCATED_BYTES]);
	g->freed_bytes += take_new(&c->figures[FREED_BYTES], figures[FREED_BYTES]);
	g->allocations += take_new(&c->figures[ALLOCATIONS], figures[ALLOCATIONS]);
	g->frees += take_new(&c->figures[FREES], figures[FREES]);
	g->n_stacks += take_new(&c->figures[STACKS], figures[STACKS]);
	err = add_causes(t, &t->losses, &c->losses, p->losses, p->n_losses);
	if (!err)
		err = add_causes(t, &t->truncated, &c->truncated, p->truncated, p->n_truncated);
	if (p->final)
		free(hashmap_take(&t->processes, p->instance));
	return err;
}

static bool is_gone(void *arg, void *value)
{
	const struct tally *t = arg;
	struct counted *c = value;

	if (c->seen + FORGET_REPORTS > t->n_reports)
		return false;
	free(c);
	return true;
}

int tally_add(struct tally *t, const struct report *r, uint32_t *ret_group_of)
{
	int err;

	t->n_reports++;
	err = add_causes(t, &t->losses, &t->session, r->losses, r->n_losses);
	for (size_t i = 0; i < r->n_processes; i++) {
		int one = add_process(t, &r->processes[i], &ret_group_of[i]);

		err = err ? err : one;
	}
	if (!(t->n_reports % FORGET_REPORTS))
		hashmap_sweep(&t->processes, is_gone, t);
	return err;
}
