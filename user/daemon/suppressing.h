/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_SUPPRESSING_H
#define SEEP_DAEMON_SUPPRESSING_H
/* --suppressions FILE. */
#include "analyze/suppress.h"
#include "base/strings.h"

struct report;

struct suppressing {
	struct suppressions *rules; /* NULL: none */
	struct strings names;
};

/* path: NULL for none. Returns 0 or -errno with a diag. */
int suppressing_load(struct suppressing *s, const char *path, struct diag *d);
/* Marks a report's sites anew, when there are rules. */
void suppressing_apply(const struct suppressing *s, struct report *r);
void suppressing_done(struct suppressing *s);

#endif
