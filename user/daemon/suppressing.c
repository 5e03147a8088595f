// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/suppressing.h"

#include <errno.h>

#include "model/report.h"
#include "symbol/demangle.h"

static const char *demangle(void *arg, const char *symbol)
{
	return demangle_applies(symbol) ? demangle_intern(arg, symbol) : NULL;
}

int suppressing_load(struct suppressing *s, const char *path, struct diag *d)
{
	if (!path)
		return 0;
	if (suppressions_create(demangle, &s->names, &s->rules))
		return diag_set(d, ENOMEM, "out of memory");
	return suppressions_load(s->rules, path, d);
}

void suppressing_apply(const struct suppressing *s, struct report *r)
{
	for (size_t i = 0; s->rules && i < r->n_sites; i++)
		r->sites[i].suppressed =
			suppressions_match(s->rules, r->sites[i].frames, r->sites[i].n_frames);
}

void suppressing_done(struct suppressing *s)
{
	suppressions_destroy(s->rules);
	strings_done(&s->names);
	*s = (struct suppressing){0};
}
