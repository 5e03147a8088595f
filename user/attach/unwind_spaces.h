/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_UNWIND_SPACES_H
#define SEEP_ATTACH_UNWIND_SPACES_H
/* Which mappings the kernel sees for each instance: wire.h at struct wire_space has the protocol. Equal content is there once,
 * under one generation: what the kernel's cache knows of a server's code serves all its forked children. Not thread-safe,
 * apart from what the kernel does. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/unwind_room.h"
#include "base/hashmap.h"
#include "wire.h"

struct space_run;

struct spaces {
	struct wire_unwind *shared;
	uint32_t *next_generation;
	struct room room;	/* of shared->mappings */
	struct hashmap by_hash; /* of content -> struct space_run */
	struct hashmap by_tag; /* what the kernel's cache keeps of a generation -> struct space_run */
};

/* An instance's slot, and what stands in it. */
struct space {
	struct wire_space *slot;     /* NULL: none */
	struct space_run *run;	     /* NULL: nothing was published */
	struct space_run *announced; /* NULL: nothing */
	uint32_t version;	     /* the slot's when run was published: run is true since then */
};

/* shared and next_generation are borrowed, and not yet in use. Returns 0 or -ENOMEM. */
int spaces_init(struct spaces *s, struct wire_unwind *shared, uint32_t *next_generation);
void spaces_done(struct spaces *s);

/* The instance's slot: the one that the kernel made at its fork, else a free one. Returns 0 or -ENOSPC. */
int space_claim(struct spaces *s, uint32_t instance, struct space *ret);
/* The kernel may ask again, and notes changes of what is published or announced from now on: call it before reading the
 * mappings, and pass what it returns to space_publish. */
uint64_t space_listen(const struct space *space);
/* How often published code was found to be gone, as of now. */
uint32_t space_version(const struct space *space);
/* Whether what was published is still true, as far as the kernel knows. */
bool space_holds(const struct space *space);
/* Publishes n mappings, sorted, without overlap, n_searches 0. Returns 0; -EAGAIN: these were only announced, as
 * they were not before, or something changed since `seen` was returned: listen, read the mappings, and publish them again;
 * what stood before still does. -ENOSPC or -ENOMEM. */
int space_publish(struct spaces *s, struct space *space, const struct wire_mapping *items, size_t n,
		  uint64_t seen);
/* Replaces what is published by another view of the same mappings; what no longer holds is taken back instead. Returns 0,
 * -ENOSPC or -ENOMEM, and then nothing is published. */
int space_replace(struct spaces *s, struct space *space, const struct wire_mapping *items,
		  size_t n);
/* Frees the slot. Accepts one that was never claimed. */
void space_release(struct spaces *s, struct space *space);

/* How often the i-th mapping was searched since the last call. */
uint32_t space_take_searches(const struct spaces *s, const struct space *space, size_t i);

#endif
