/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_MARKS_SEEN_H
#define SEEP_CLI_MARKS_SEEN_H
/* The marks of a capture, for whoever asked for one that it has not. */
#include <stddef.h>

#include "base/diag.h"

/* Zeroed to begin with. */
struct marks_seen {
	char *names; /* "warm, loaded" */
	size_t n_bytes;
};

/* Notes a mark; of many the first. */
void marks_seen_add(struct marks_seen *m, const char *name);
/* Says that path has no such mark, and which it has. Returns -ENODATA with a diag. */
int marks_seen_missing(const struct marks_seen *m, const char *path, const char *mark,
		       struct diag *d);
void marks_seen_done(struct marks_seen *m);

#endif
