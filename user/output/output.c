// SPDX-License-Identifier: BSD-2-Clause
#include "output/output.h"

#include <string.h>

#include "base/cleanup.h"
#include "output/html.h"
#include "output/pprof.h"

const struct output_format *output_find(const char *name)
{
	static const struct output_format *const formats[] = {
		&output_text, &output_ndjson, &output_folded, &output_pprof, &output_html,
	};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}

int output_prepare(const struct output_format *format, struct output_options *o)
{
	if (format == &output_html)
		return html_create(&o->html);
	return format == &output_pprof ? pprof_create(&o->pprof) : 0;
}

int output_finish(struct output_options *o, FILE *f)
{
	int err = o->pprof ? pprof_end(o->pprof, f, NULL, 0) : o->html ? html_end(o->html, f) : 0;

	pprof_destroy(o->pprof);
	html_destroy(o->html);
	o->pprof = NULL;
	o->html = NULL;
	return err;
}

size_t output_sites_end(const struct report *r, size_t from)
{
	size_t to = from + 1;

	while (to < r->n_sites && r->sites[to].process == r->sites[from].process)
		to++;
	return to;
}

bool output_is_counted(const struct session *session, const struct site *s)
{
	return session->mode != REPORT_SAMPLED_PAGES || s->kind == SITE_FAULT;
}
