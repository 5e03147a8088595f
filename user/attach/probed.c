// SPDX-License-Identifier: BSD-2-Clause
#include "attach/probed.h"

#include "attach/closer.h"
#include "attach/place.h"

static int open_part(struct probed *p, const struct kernel *k, struct closer *closer, pid_t pid,
		     int fd, const struct plan *plan, unsigned part, struct diag *d)
{
	struct links *links = part == PLACE_FREES ? &p->frees : &p->allocations;
	int err = place_plan(k, pid, fd, plan, part, links, d);

	if (err)
		closer_links(closer, links);
	else
		p->standing |= part;
	return err;
}

int probed_set(struct probed *p, const struct kernel *k, struct closer *closer, pid_t pid, int fd,
	       const struct plan *plan, unsigned parts, struct diag *d)
{
	unsigned missing = parts & ~p->standing;
	int err = 0;

	if (missing & PLACE_FREES)
		err = open_part(p, k, closer, pid, fd, plan, PLACE_FREES, d);
	if (!err && missing & PLACE_ALLOCATIONS)
		err = open_part(p, k, closer, pid, fd, plan, PLACE_ALLOCATIONS, d);
	if (err)
		return err;
	if (!(parts & PLACE_ALLOCATIONS))
		closer_links(closer, &p->allocations);
	if (!(parts & PLACE_FREES))
		closer_links(closer, &p->frees);
	p->standing = parts;
	return 0;
}

void probed_close(struct probed *p, struct closer *closer)
{
	closer_links(closer, &p->allocations);
	closer_links(closer, &p->frees);
	p->standing = 0;
}

void probed_close_now(struct probed *p)
{
	links_done(&p->allocations);
	links_done(&p->frees);
	p->standing = 0;
}
