// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/judged_sites.h"

#include <math.h>
#include <stdlib.h>

#include "analyze/judge.h"

/* Stacks of one fingerprint. */
struct group {
	struct judge *judge;
	uint64_t key;
	size_t n_stacks;
	struct judged_site site;
	double gone; /* allocations, and as many frees, of stacks that are there no more */
	/* Of this reading. */
	uint64_t reading;
	double samples, n_left, allocations, bytes;
	uint32_t born[JUDGE_SLOTS];
};

struct stack {
	struct group *group;
	uint64_t reading; /* the last that had it */
	double samples;
	bool named; /* its group is that of its fingerprint */
};

static uint64_t key_of(uint64_t id, const struct snapshot_site *from)
{
	return id ^ ((uint64_t)from->instance << 8 | from->kind) * 0x9e3779b97f4a7c15ULL;
}

void judged_sites_begin(struct judged_sites *js)
{
	js->reading++;
}

static void group_free(struct group *g)
{
	judge_destroy(g->judge);
	free(g);
}

static struct group *get_group(struct judged_sites *js, uint64_t key)
{
	struct group *g = hashmap_get(&js->groups, key);

	if (g || js->groups.n >= JUDGED_MOST)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->key = key;
	for (size_t i = 0; i < SITE_AGES; i++)
		g->site.survival[i] = NAN;
	if (!judge_create(&g->judge) && !hashmap_put(&js->groups, key, g)) {
		g->site.judge = g->judge;
		return g;
	}
	group_free(g);
	return NULL;
}

static struct stack *get_stack(struct judged_sites *js, const struct snapshot_site *from,
			       uint64_t fingerprint)
{
	uint64_t key = key_of(from->stack, from);
	struct stack *s = hashmap_get(&js->stacks, key);
	struct group *g;

	if (s || (!from->births && !from->frees))
		return s;
	g = get_group(js, fingerprint ? key_of(fingerprint, from) : key);
	s = g ? calloc(1, sizeof(*s)) : NULL;
	if (!s || hashmap_put(&js->stacks, key, s)) {
		free(s);
		return NULL; /* a group without stacks goes with the reading */
	}
	*s = (struct stack){.group = g, .named = fingerprint};
	g->n_stacks++;
	return s;
}

/* Its frames are known now: what was its own becomes the fingerprint's, unless others were there first. */
static void name_stack(struct judged_sites *js, struct stack *s, uint64_t key)
{
	struct group *own = s->group, *known = hashmap_get(&js->groups, key);

	if (known == own) {
		s->named = true;
	} else if (known) {
		own->n_stacks--;
		known->n_stacks++;
		s->group = known;
		s->named = true;
	} else if (!hashmap_put(&js->groups, key, own)) {
		hashmap_take(&js->groups, own->key);
		own->key = key;
		s->named = true;
	}
}

static void sum(struct judged_sites *js, struct group *g, const struct snapshot *s,
		const struct snapshot_site *from)
{
	if (g->reading != js->reading) {
		g->reading = js->reading;
		g->samples = g->n_left = g->allocations = g->bytes = 0;
		g->site.asked = false;
		for (size_t i = 0; i < JUDGE_SLOTS; i++)
			g->born[i] = 0;
	}
	g->samples += from->n_stacks;
	g->n_left += from->n_sampled;
	g->allocations += from->allocations;
	g->bytes += (double)from->allocated_bytes - (double)from->freed_bytes;
	for (size_t i = 0; from->births && i < JUDGE_SLOTS; i++)
		g->born[i] += s->births.items[from->births - 1].born[i];
}

void judged_sites_add(struct judged_sites *js, const struct snapshot *s,
		      const struct snapshot_site *from, uint64_t fingerprint)
{
	struct stack *stack = get_stack(js, from, fingerprint);

	if (!stack)
		return;
	if (fingerprint && !stack->named)
		name_stack(js, stack, key_of(fingerprint, from));
	stack->reading = js->reading;
	stack->samples = from->n_stacks;
	sum(js, stack->group, s, from);
}

static bool drop_stack(void *sites, void *stack)
{
	const struct judged_sites *js = sites;
	struct stack *s = stack;

	if (s->reading == js->reading)
		return false;
	s->group->n_stacks--;
	s->group->gone += s->samples;
	free(s);
	return true;
}

static bool drop_group(void *unused, void *group)
{
	struct group *g = group;

	(void)unused;
	if (g->n_stacks)
		return false;
	group_free(g);
	return true;
}

void judged_sites_end(struct judged_sites *js, double seconds)
{
	struct group *g;
	size_t cursor = 0;

	hashmap_sweep(&js->stacks, drop_stack, js);
	hashmap_sweep(&js->groups, drop_group, NULL);
	while ((g = hashmap_next(&js->groups, &cursor, NULL))) {
		const struct judge_sample sample = {
			.seconds = seconds,
			.allocations = g->gone + g->samples,
			.frees = g->gone + g->samples - g->n_left,
			.bytes = g->bytes,
			.weight = g->samples > 0 ? g->allocations / g->samples : 1,
			.born = g->born,
		};

		judge_add(g->judge, &sample);
	}
}

struct judged_site *judged_sites_get(struct judged_sites *js, const struct snapshot_site *from)
{
	struct stack *s = hashmap_get(&js->stacks, key_of(from->stack, from));

	return s ? &s->group->site : NULL;
}

void judged_sites_done(struct judged_sites *js)
{
	js->reading++;
	hashmap_sweep(&js->stacks, drop_stack, js);
	hashmap_sweep(&js->groups, drop_group, NULL);
	hashmap_done(&js->stacks);
	hashmap_done(&js->groups);
}
