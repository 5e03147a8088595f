// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "process/identity.h"
#include "process/maps.h"
#include "process/vdso.h"
#include "symbol/demangle.h"

#define PATH_MAX_BYTES 4096
#define PAST_MAX 256 /* places; the oldest go first, whose stacks were mostly named long ago */
#define GENERATED_WAIT_NS (NS_PER_SECOND / 10)

int address_space_create(struct symbolizer *s, pid_t pid, struct address_space **ret)
{
	struct address_space *space = calloc(1, sizeof(*space));

	if (!space)
		return -ENOMEM;
	*space = (struct address_space){
		.symbolizer = s, .pid = pid, .refs = 1, .generated = PERFMAP_INIT};
	identity_start_ticks(pid, &space->start_ticks);
	*ret = space;
	return 0;
}

struct address_space *address_space_hold(struct address_space *space)
{
	pthread_mutex_lock(&space->symbolizer->lock);
	space->refs++;
	pthread_mutex_unlock(&space->symbolizer->lock);
	return space;
}

void address_space_destroy(struct address_space *space)
{
	struct symbolizer *s;
	bool used;

	if (!space)
		return;
	s = space->symbolizer;
	pthread_mutex_lock(&s->lock);
	used = --space->refs;
	for (size_t i = 0; i < space->n && !used; i++)
		files_put(&s->files, space->items[i].file);
	for (size_t i = 0; i < space->past.n && !used; i++)
		files_put(&s->files, space->past.items[i].place.file);
	pthread_mutex_unlock(&s->lock);
	if (used)
		return;
	free(space->items);
	free(space->past.items);
	perfmap_done(&space->generated);
	free(space);
}

/* Index of the first place that ends above address. */
static size_t lower_bound(const struct address_space *space, uint64_t address)
{
	size_t low = 0, high = space->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void address_space_set_version(struct address_space *space, uint32_t version)
{
	pthread_mutex_lock(&space->symbolizer->lock);
	space->version = version;
	pthread_mutex_unlock(&space->symbolizer->lock);
}

void address_space_view(struct address_space *space, uint32_t version)
{
	space->viewed = version;
}

struct place *space_find(const struct address_space *space, uint64_t address)
{
	size_t i = lower_bound(space, address);

	for (size_t k = 0; k < space->past.n; k++) {
		struct past_place *past = &space->past.items[k];

		if (space->viewed < past->until && address >= past->place.start &&
		    address < past->place.end)
			return &past->place;
	}
	return i < space->n && space->items[i].start <= address ? &space->items[i] : NULL;
}

const char *space_generated_name(struct address_space *space, uint64_t address)
{
	uint64_t now = clock_monotonic_ns();

	if (!space->generated_read_ns || now - space->generated_read_ns > GENERATED_WAIT_NS) {
		space->generated_read_ns = now;
		perfmap_update(&space->generated, space->pid, space->start_ticks);
	}
	return perfmap_find(&space->generated, address);
}

static struct file *get_vdso(struct symbolizer *s)
{
	if (!s->vdso) {
		int fd = vdso_open();

		if (fd < 0 || files_adopt(&s->files, fd, 0, "[vdso]", &s->vdso))
			return NULL;
	}
	return file_hold(s->vdso);
}

static bool same_file(const struct place *place, const struct mapping *m)
{
	return place->inode == m->inode && place->dev_major == m->dev_major &&
	       place->dev_minor == m->dev_minor && !strcmp(place->path, m->path);
}

static int place_fill(struct address_space *space, const struct mapping *m,
		      const struct place *before, struct place *ret)
{
	struct symbolizer *s = space->symbolizer;
	struct place place = {
		.start = m->start,
		.end = m->end,
		.file_offset = m->file_offset,
		.inode = m->inode,
		.dev_major = m->dev_major,
		.dev_minor = m->dev_minor,
		.path = strings_intern(&s->pool, m->path),
	};
	int err = 0;

	place.name = printable_intern(&s->pool, m->path[0] ? m->path : "[jit]", PATH_MAX_BYTES);
	if (!place.path || !place.name)
		return -ENOMEM;
	if (!strcmp(m->path, "[vdso]"))
		place.file = get_vdso(s);
	else if (before && before->file && m->inode && same_file(before, m))
		place.file = file_hold(before->file);
	else if (m->inode)
		err = files_get(&s->files, space->pid, m, &place.file);
	if (err == -ENOMEM)
		return err;
	if (!m->inode) /* what a short-lived process published is gone when its report is made */
		space_generated_name(space, m->start);
	*ret = place;
	return 0;
}

static void insert(struct address_space *space, size_t i, const struct place *place)
{
	memmove(&space->items[i + 1], &space->items[i], (space->n - i) * sizeof(*place));
	space->items[i] = *place;
	space->n++;
}

static void cut_front(struct place *place, uint64_t start)
{
	place->file_offset += start - place->start;
	place->start = start;
}

/* Makes a hole for [start, end): drops, cuts or splits what lies there. Needs room for one more.
 * Returns the index of the first place behind the hole. */
static size_t clear(struct address_space *space, uint64_t start, uint64_t end)
{
	size_t i = lower_bound(space, start), first;

	if (i < space->n && space->items[i].start < start) {
		if (space->items[i].end > end) {
			struct place behind = space->items[i];

			if (behind.file)
				file_hold(behind.file);
			insert(space, i + 1, &behind);
		}
		space->items[i++].end = start;
	}
	for (first = i; i < space->n && space->items[i].end <= end; i++)
		files_put(&space->symbolizer->files, space->items[i].file);
	memmove(&space->items[first], &space->items[i], (space->n - i) * sizeof(*space->items));
	space->n -= i - first;
	if (first < space->n && space->items[first].start < end)
		cut_front(&space->items[first], end);
	return first;
}

/* Remembers a place that another one replaces. Without memory it is forgotten. */
static void keep_past(struct address_space *space, const struct place *place)
{
	struct past_place past = {.place = *place, .until = space->version};

	if (space->past.n == PAST_MAX) {
		files_put(&space->symbolizer->files, space->past.items[0].place.file);
		memmove(space->past.items, space->past.items + 1,
			--space->past.n * sizeof(*space->past.items));
	}
	if (!vec_push(&space->past, past) && place->file)
		file_hold(place->file);
}

bool address_space_conflicts(const struct address_space *space, const struct mapping *m)
{
	bool conflicts = false;

	pthread_mutex_lock(&space->symbolizer->lock);
	for (size_t i = lower_bound(space, m->start);
	     i < space->n && space->items[i].start < m->end && !conflicts; i++)
		conflicts = space->items[i].inode && !same_file(&space->items[i], m);
	pthread_mutex_unlock(&space->symbolizer->lock);
	return conflicts;
}

/* m was there in this version already: what it replaced ended no later. */
static void date_past(struct address_space *space, const struct mapping *m)
{
	for (size_t k = 0; k < space->past.n; k++) {
		struct past_place *past = &space->past.items[k];

		if (past->until > space->version && past->place.start < m->end &&
		    past->place.end > m->start && !same_file(&past->place, m))
			past->until = space->version;
	}
}

/* What lies in the way of a new place, and is of a version that stacks may still be of. */
static void keep_replaced(struct address_space *space, uint64_t start, uint64_t end)
{
	for (size_t i = lower_bound(space, start); i < space->n && space->items[i].start < end; i++)
		if (space->version && space->items[i].inode)
			keep_past(space, &space->items[i]);
}

static int add(struct address_space *space, const struct mapping *m)
{
	size_t i = lower_bound(space, m->start);
	struct place place;
	int err;

	if (!m->executable || m->start >= m->end)
		return 0;
	date_past(space, m);
	if (i < space->n && space->items[i].start == m->start && space->items[i].end == m->end &&
	    space->items[i].file_offset == m->file_offset && same_file(&space->items[i], m))
		return 0;
	err = place_fill(space, m, i ? &space->items[i - 1] : NULL, &place);
	if (err)
		return err;
	/* One for the place, one for the end of a place that it splits. */
	if (vec_reserve((void **)&space->items, &space->cap, space->n + 1, sizeof(place))) {
		files_put(&space->symbolizer->files, place.file);
		return -ENOMEM;
	}
	keep_replaced(space, m->start, m->end);
	i = clear(space, m->start, m->end);
	insert(space, i, &place);
	return 0;
}

int address_space_add(struct address_space *space, const struct mapping *m)
{
	int err;

	pthread_mutex_lock(&space->symbolizer->lock);
	err = add(space, m);
	pthread_mutex_unlock(&space->symbolizer->lock);
	return err;
}

int address_space_update(struct address_space *space, const struct maps *maps)
{
	int err = 0;

	for (size_t i = 0; !err && i < maps->n; i++)
		err = address_space_add(space, &maps->items[i]);
	return err;
}
