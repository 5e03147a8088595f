// SPDX-License-Identifier: BSD-2-Clause
#include "cli/marks_seen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES 300

void marks_seen_add(struct marks_seen *m, const char *name)
{
	char *more;

	if (m->n_bytes > SHOWN_BYTES)
		return;
	more = realloc(m->names, m->n_bytes + strlen(name) + 3);
	if (!more)
		return;
	m->names = more;
	m->n_bytes += sprintf(more + m->n_bytes, "%s%s", m->n_bytes ? ", " : "", name);
}

int marks_seen_missing(const struct marks_seen *m, const char *path, const char *mark,
		       struct diag *d)
{
	char hint[SHOWN_BYTES + 128];

	snprintf(hint, sizeof(hint), "its marks: %s", m->names ? m->names : "none");
	return diag_set_hint(d, ENODATA, EXIT_RUNTIME, hint, "%s: has no mark %s", path, mark);
}

void marks_seen_done(struct marks_seen *m)
{
	free(m->names);
	*m = (struct marks_seen){0};
}
