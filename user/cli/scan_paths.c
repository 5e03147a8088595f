// SPDX-License-Identifier: BSD-2-Clause
#include "cli/scan_paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/assemble.h"
#include "daemon/blocks.h"
#include "daemon/scanning.h"
#include "process/maps.h"
#include "reach/roots.h"

static void name_first(struct scanning *s, const struct maps *maps, struct found_path *found)
{
	uint64_t address = found->path.items[0].address;

	if (address & REACH_IN_REGISTER)
		reach_name_register(s->threads, s->n_threads, address & ~REACH_IN_REGISTER,
				    &found->root);
	else
		reach_name_root(s->pid, maps, s->threads, s->n_threads, address, &found->root);
}

int scan_paths_find(struct scanning *s, uint64_t address, struct found_path *ret, struct diag *d)
{
	const struct reach_reader reader = reach_memory_reader(&s->memory);
	struct reach_roots roots = {0};
	struct maps maps = {0};
	int err;

	ret->address = address;
	ret->target = reach_blocks_at(&s->blocks, address);
	if (ret->target == REACH_NONE)
		return 0;
	err = maps_read(s->pid, &maps, d);
	if (err)
		return err;
	err = reach_roots_find(&maps, s->threads, s->n_threads, &reader, s->options.stands, &roots);
	if (!err)
		err = reach_path_find(&s->blocks, &roots, &reader, s->options.pointers, ret->target,
				      &s->progress, &ret->path);
	if (!err && ret->path.n)
		name_first(s, &maps, ret);
	reach_roots_done(&roots);
	maps_done(&maps);
	return err ? diag_set(d, -err, "process %d cannot be scanned: %s", s->pid, strerror(-err))
		   : 0;
}

struct describing {
	const struct scanning *scanning;
	const struct report *report;
	struct found_path *found;
	struct scan_path *path;
};

static const struct site *find_site(const struct report *r, uint32_t process, uint64_t fingerprint)
{
	for (size_t i = 0; i < r->n_sites; i++)
		if (r->sites[i].process == process && r->sites[i].fingerprint == fingerprint)
			return &r->sites[i];
	return NULL;
}

/* Chains are short, but for long lists; blocks are many. */
static int describe_block(void *arg, const struct block *b)
{
	const struct describing *d = arg;
	uint32_t i = reach_blocks_at(&d->scanning->blocks, b->address);

	if (b->process != d->path->process || i == REACH_NONE)
		return 0;
	if (i == d->found->target && d->scanning->blocks.items[i].start == b->address)
		d->path->site = find_site(d->report, b->process, b->site);
	for (size_t j = 0; j < d->found->path.n; j++)
		if (d->found->path.items[j].block == i && d->found->steps[j].block == b->address) {
			d->found->steps[j].age_seconds = b->age_seconds;
			d->found->steps[j].site = find_site(d->report, b->process, b->site);
		}
	return 0;
}

static int make_steps(const struct scanning *s, struct found_path *found)
{
	const struct reach_path *path = &found->path;

	found->steps = calloc(path->n + 1, sizeof(*found->steps));
	if (!found->steps)
		return -ENOMEM;
	for (size_t i = 0; i < path->n; i++) {
		const struct reach_block *b = &s->blocks.items[path->items[i].block];
		uint64_t address = path->items[i].address;

		found->steps[i] = (struct scan_step){
			.pointer = address & REACH_IN_REGISTER ? 0 : address,
			.offset = i ? address - found->steps[i - 1].block : 0,
			.block = b->start,
			.size_bytes = b->end - b->start,
			.age_seconds = -1,
		};
	}
	return 0;
}

int scan_paths_describe(struct assembly *a, const struct assembled *r, uint32_t process,
			const struct scanning *s, struct found_path *found, struct scan_path *ret)
{
	struct describing d = {s, &r->report, found, ret};
	const struct reach_root_name *root = &found->root;
	int err = make_steps(s, found);

	*ret = (struct scan_path){
		.report = &r->report,
		.process = process,
		.address = found->address,
		.known = found->target != REACH_NONE && s->blocks.items[found->target].birth_ns,
		.steps = found->steps,
		.n_steps = found->path.n,
		.root = {.kind = reach_root_kind_name(root->kind),
			 .name = *root->name ? root->name : NULL,
			 .module = *root->module ? root->module : NULL,
			 .offset = root->offset,
			 .tid = root->tid},
	};
	if (err || found->target == REACH_NONE)
		return err;
	ret->block = s->blocks.items[found->target].start;
	ret->size_bytes = s->blocks.items[found->target].end - ret->block;
	return blocks_each(a, r, describe_block, &d);
}

void scan_paths_done(struct found_path *found)
{
	free(found->path.items);
	free(found->steps);
}
