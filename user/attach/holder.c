// SPDX-License-Identifier: BSD-2-Clause
#include "attach/holder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attach/cover_file.h"
#include "attach/place.h"
#include "base/vec.h"
#include "plan/plan.h"
#include "process/maps.h"

/* Of an instruction, those that a breakpoint changes in any case. */
#if defined(__x86_64__)
#define CHANGED_BYTES 1
#else
#define CHANGED_BYTES 4
#endif

struct offsets {
	uint64_t *items;
	size_t n, cap;
};

static int list_part(const struct plan *plan, unsigned part, struct offsets *ret)
{
	int err = 0;

	for (size_t i = 0; i < plan->n && !err; i++) {
		const struct plan_probe *probe = &plan->items[i];

		if ((probe->function == PLAN_FREE) != (part == PLACE_FREES))
			continue;
		for (size_t j = 0; j < probe->n_exits && !err; j++)
			err = vec_push(ret, probe->exits[j].offset);
		if (!err)
			err = vec_push(ret, probe->offset);
	}
	return err;
}

/* Frees first: what allocates is not seen before what frees. */
static int list_offsets(const struct plan *plan, unsigned parts, struct offsets *ret)
{
	int err = parts & PLACE_FREES ? list_part(plan, PLACE_FREES, ret) : 0;

	if (!err && parts & PLACE_ALLOCATIONS)
		err = list_part(plan, PLACE_ALLOCATIONS, ret);
	return err;
}

static bool is_changed(pid_t tid, uint64_t address, const unsigned char *original)
{
	unsigned char now[CHANGED_BYTES];
	const struct iovec to = {now, sizeof(now)}, from = {(void *)address, sizeof(now)};

	return process_vm_readv(tid, &to, 1, &from, 1, 0) == (ssize_t)sizeof(now) &&
	       memcmp(now, original, sizeof(now));
}

/* Everywhere that the file's content at this offset is mapped to be executed. */
static bool stands_at(pid_t tid, const struct maps *maps, const struct cover_file *f,
		      uint64_t offset)
{
	unsigned char original[CHANGED_BYTES];
	bool stands = true;

	if (pread(f->fd, original, sizeof(original), offset) != (ssize_t)sizeof(original))
		return false;
	for (size_t i = 0; i < maps->n && stands; i++) {
		const struct mapping *m = &maps->items[i];

		if (m->executable && cover_file_inode_key(m) == f->inode_key &&
		    offset >= m->file_offset && offset - m->file_offset < m->end - m->start)
			stands = is_changed(tid, m->start + (offset - m->file_offset), original);
	}
	return stands;
}

int holder_place(pid_t tid, const struct cover_file *f, unsigned parts, struct links *links,
		 bool *ret_stood, struct diag *d)
{
	struct offsets offsets = {0};
	struct maps maps = {0};
	struct diag ignored = {0};
	bool stood = !maps_read(tid, &maps, &ignored);
	int err = list_offsets(f->plan, parts, &offsets);

	if (err)
		diag_set(d, -err, "out of memory");
	/* Each is looked at last of all before it is kept, as others' probes may go at any time. */
	for (size_t i = 0; i < offsets.n && !err; i++) {
		stood = stood && stands_at(tid, &maps, f, offsets.items[i]);
		err = link_hold(f->fd, tid, offsets.items[i], links, d);
	}
	if (!err)
		*ret_stood = stood;
	maps_done(&maps);
	free(offsets.items);
	return err;
}
