// SPDX-License-Identifier: BSD-2-Clause
/* All of a copy is in a few large chunks, freed at once. Texts are told apart by where they are: what one report borrows is interned, so
 * the same text is mostly the same pointer, and comparing bytes would cost more than a rare second copy. */
#include "model/report_copy.h"

#include <errno.h>
#include <math.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "model/memory.h"

#define CHUNK_BYTES (64u << 10)
#define N_KINDS (SITE_KERNEL + 1)

static const struct frame other_frame = {.function = "[other]", .module = "[seep]", .offset = 3};

struct chunk {
	struct chunk *next;
	size_t n, cap;
	alignas(max_align_t) char bytes[];
};

struct report_copy_private {
	_Atomic uint64_t n_refs;
	struct chunk *chunks;
	struct mark mark;
};

struct copier {
	struct report_copy *copy;
	struct hashmap texts; /* address of a text -> its copy */
	uint32_t *processes;  /* number in the report -> in the copy */
	bool failed;
};

static void *take_room(struct copier *k, size_t n)
{
	struct report_copy_private *p = k->copy->private_;
	size_t size = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

	if (!p->chunks || p->chunks->cap - p->chunks->n < size) {
		size_t cap = size > CHUNK_BYTES ? size : CHUNK_BYTES;
		struct chunk *c = malloc(sizeof(*c) + cap);

		if (!c) {
			k->failed = true;
			return NULL;
		}
		*c = (struct chunk){.next = p->chunks, .cap = cap};
		p->chunks = c;
	}
	p->chunks->n += size;
	return p->chunks->bytes + p->chunks->n - size;
}

static void *keep(struct copier *k, const void *bytes, size_t n)
{
	void *kept = n ? take_room(k, n) : NULL;

	return kept ? memcpy(kept, bytes, n) : NULL;
}

static const char *keep_text(struct copier *k, const char *text)
{
	char *kept;

	if (!text)
		return NULL;
	kept = hashmap_get(&k->texts, (uintptr_t)text);
	if (kept)
		return kept;
	kept = keep(k, text, strlen(text) + 1);
	if (!kept || hashmap_put(&k->texts, (uintptr_t)text, kept))
		k->failed = true;
	return kept;
}

static struct loss *keep_losses(struct copier *k, const struct loss *losses, size_t n)
{
	struct loss *kept = keep(k, losses, n * sizeof(*losses));

	for (size_t i = 0; kept && i < n; i++)
		kept[i].cause = keep_text(k, kept[i].cause);
	return kept;
}

static void copy_process(struct copier *k, struct process_report *p)
{
	const char **texts[] = {&p->comm,	    &p->exe,	    &p->cgroup,
				&p->container,	    &p->namespace_, &p->pod,
				&p->pod_uid,	    &p->ended,	    &p->mode,
				&p->container_name, &p->verdict,    &p->governed,
				&p->evidence};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		*texts[i] = keep_text(k, *texts[i]);
	for (size_t i = 0; i < p->n_notes; i++)
		p->notes[i] = keep_text(k, p->notes[i]);
	p->losses = keep_losses(k, p->losses, p->n_losses);
	p->truncated = keep_losses(k, p->truncated, p->n_truncated);
	if (p->memory)
		p->memory = keep(k, p->memory, sizeof(*p->memory));
}

static void copy_site(struct copier *k, struct site *s)
{
	struct frame *frames = keep(k, s->frames, s->n_frames * sizeof(*frames));

	for (size_t i = 0; frames && i < s->n_frames; i++) {
		frames[i].function = keep_text(k, frames[i].function);
		frames[i].module = keep_text(k, frames[i].module);
		frames[i].build_id = keep_text(k, frames[i].build_id);
		frames[i].file = keep_text(k, frames[i].file);
	}
	s->frames = frames;
	s->process = k->processes[s->process];
	s->verdict = keep_text(k, s->verdict);
	s->evidence = keep_text(k, s->evidence);
	s->truncated = keep_text(k, s->truncated);
	s->suppressed = keep_text(k, s->suppressed);
}

static void copy_processes(struct copier *k, const struct report *from, const bool *wanted)
{
	struct report *to = &k->copy->report;

	to->processes = take_room(k, (from->n_processes + 1) * sizeof(*to->processes));
	to->n_processes = 0;
	for (size_t i = 0; i < from->n_processes && !k->failed; i++) {
		if (wanted && !wanted[i])
			continue;
		k->processes[i] = to->n_processes;
		to->processes[to->n_processes] = from->processes[i];
		copy_process(k, &to->processes[to->n_processes++]);
	}
}

/* Of a process's sites for which there is no room, all of a kind become one, so that its sums stay right. Sites come by process: the
 * one to add to is among the last. Returns whether there was one. */
static bool add_to_other(struct report *to, uint32_t process, const struct site *s)
{
	for (size_t i = to->n_sites; i-- && to->sites[i].process == process;) {
		struct site *other = &to->sites[i];

		if (other->frames != &other_frame || other->kind != s->kind)
			continue;
		other->outstanding_bytes += s->outstanding_bytes;
		other->outstanding_allocations += s->outstanding_allocations;
		other->allocated_bytes += s->allocated_bytes;
		other->allocations += s->allocations;
		other->freed_bytes += s->freed_bytes;
		other->frees += s->frees;
		return true;
	}
	return false;
}

static struct site make_other(uint32_t process, const struct site *s)
{
	struct site other = {
		.process = process,
		.kind = s->kind,
		.outstanding_bytes = s->outstanding_bytes,
		.outstanding_allocations = s->outstanding_allocations,
		.allocated_bytes = s->allocated_bytes,
		.allocations = s->allocations,
		.freed_bytes = s->freed_bytes,
		.frees = s->frees,
		.oldest_age_seconds = -1,
		.median_age_seconds = -1,
		.growth_bytes_per_second = NAN,
		.verdict = "unknown",
		.frames = &other_frame,
		.n_frames = 1,
	};

	for (size_t i = 0; i < SITE_AGES; i++)
		other.survival[i] = NAN;
	return other;
}

static void copy_sites(struct copier *k, const struct report *from, const bool *wanted,
		       size_t sites_max)
{
	struct report *to = &k->copy->report;
	size_t n_wanted = 0, n_room, n = 0;

	for (size_t i = 0; i < from->n_sites; i++)
		n_wanted += !wanted || wanted[from->sites[i].process];
	n_room = n_wanted < sites_max ? n_wanted : sites_max + to->n_processes * N_KINDS;
	to->n_sites = 0;
	to->sites = take_room(k, (n_room + 1) * sizeof(*to->sites));
	for (size_t i = 0; i < from->n_sites && !k->failed; i++) {
		const struct site *s = &from->sites[i];
		uint32_t process = k->processes[s->process];

		if (wanted && !wanted[s->process])
			continue;
		if (n++ < sites_max) {
			to->sites[to->n_sites] = *s;
			copy_site(k, &to->sites[to->n_sites++]);
			continue;
		}
		k->copy->n_sites_omitted++;
		if (!add_to_other(to, process, s))
			to->sites[to->n_sites++] = make_other(process, s);
	}
}

static void copy(struct copier *k, const struct report *r, const bool *wanted, size_t sites_max)
{
	struct report_copy *c = k->copy;

	c->report = *r;
	/* Whoever keeps copies does not look for errors at free. */
	c->report.errors = NULL;
	c->report.n_errors = 0;
	if (r->mark) {
		c->private_->mark = *r->mark;
		c->report.mark = &c->private_->mark;
	}
	c->report.losses = keep_losses(k, r->losses, r->n_losses);
	copy_processes(k, r, wanted);
	if (!k->failed)
		copy_sites(k, r, wanted, sites_max);
}

int report_copy_create(const struct report *r, const bool *wanted, size_t sites_max,
		       struct report_copy **ret)
{
	struct copier k = {.copy = calloc(1, sizeof(*k.copy))};

	if (!k.copy)
		return -ENOMEM;
	k.copy->private_ = calloc(1, sizeof(*k.copy->private_));
	k.processes = calloc(r->n_processes + 1, sizeof(*k.processes));
	k.failed = !k.copy->private_ || !k.processes;
	if (k.copy->private_)
		k.copy->private_->n_refs = 1;
	if (!k.failed)
		copy(&k, r, wanted, sites_max);
	hashmap_done(&k.texts);
	free(k.processes);
	if (k.failed) {
		report_copy_unref(k.copy);
		return -ENOMEM;
	}
	*ret = k.copy;
	return 0;
}

struct report_copy *report_copy_ref(struct report_copy *c)
{
	atomic_fetch_add(&c->private_->n_refs, 1);
	return c;
}

void report_copy_unref(struct report_copy *c)
{
	struct chunk *next;

	if (!c || (c->private_ && atomic_fetch_sub(&c->private_->n_refs, 1) > 1))
		return;
	for (struct chunk *i = c->private_ ? c->private_->chunks : NULL; i; i = next) {
		next = i->next;
		free(i);
	}
	free(c->private_);
	free(c);
}
