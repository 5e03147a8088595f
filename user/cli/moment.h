/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_MOMENT_H
#define SEEP_CLI_MOMENT_H
/* The sites of one moment of a capture, copied out of it. */
#include "base/diag.h"
#include "base/strings.h"
#include "model/difference.h"

struct moment {
	struct difference_moment of;
	struct difference_site
		*sites; /* those where something is outstanding; several for one comm */
	size_t n_sites;
	struct hashmap processes; /* private to moment.c */
	struct strings strings;
};

/* Which moment: the report of that mark, or, without a name, of that sequence; 0: the last of each process; MOMENT_FIRST: the first that
 * there is. A capture that is cut short or damaged
 * is used as far as it goes: then warning has a text. Returns 0; -ENODATA when it has no such report; or -errno; with a diag. */
#define MOMENT_FIRST UINT64_MAX
struct moment_choice {
	const char *mark;
	uint64_t sequence;
};
int moment_read(const char *path, const struct moment_choice *which, struct moment *ret,
		struct diag *warning, struct diag *d);
/* Accepts a half-read or zeroed one. */
void moment_done(struct moment *m);

#endif
