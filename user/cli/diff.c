// SPDX-License-Identifier: BSD-2-Clause
/* seep diff: what differs between two captures, or two reports of one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/difference.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/moment.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "output/difference.h"

static int write_difference(const struct diff_options *o, const struct difference_report *r)
{
	const struct output_options options = {
		.top = o->top,
		.by_count = o->sort == OPTIONS_SORT_COUNT,
		.color = terminal_color(o->color, o->output),
		.width = terminal_width(o->output),
		.verbose = o->verbose,
	};
	_cleanup_fclose_ FILE *file = NULL;
	FILE *out = stdout;
	int err;

	if (o->output) {
		out = file = fopen(o->output, "we");
		if (!file) {
			log_error("%s: cannot be written: %s", o->output, strerror(errno));
			return EXIT_RUNTIME;
		}
	}
	err = o->format == OPTIONS_FORMAT_NDJSON ? difference_ndjson(out, r)
						 : difference_text(out, &options, r);
	/* A reader that went away knows that it did. */
	if (err && err != -EPIPE)
		log_error("%s: cannot be written: %s", o->output ? o->output : "stdout",
			  strerror(-err));
	return err ? EXIT_RUNTIME : EXIT_DONE;
}

/* first: what is not said is the first report, else the last of each process. */
static struct moment_choice choose(const struct diff_moment *m, bool first)
{
	if (m->mark && strcmp(m->mark, "start") && strcmp(m->mark, "end"))
		return (struct moment_choice){.mark = m->mark};
	if (m->mark)
		first = !strcmp(m->mark, "start");
	return (struct moment_choice){
		.sequence = m->sequence ? m->sequence
			    : first	? MOMENT_FIRST
					: 0,
	};
}

/* warning: of a capture of which only a part could be read. */
static int diff(const struct diff_options *o, struct moment *before, struct moment *after,
		struct diag *warning, struct diag *d)
{
	_cleanup_free_ struct difference *items = NULL;
	struct difference_report report;
	const struct moment_choice from = choose(&o->before, !o->after.path);
	const struct moment_choice to = choose(&o->after, false);
	const char *path = o->after.path ? o->after.path : o->before.path;
	int err = moment_read(o->before.path, &from, before, warning, d);

	if (!err)
		err = moment_read(path, &to, after, warning, d);
	if (err)
		return log_diag(d);
	report = (struct difference_report){.before = before->of, .after = after->of};
	err = difference_find(before->sites, before->n_sites, after->sites, after->n_sites,
			      o->sort == OPTIONS_SORT_COUNT, &items, &report.n);
	if (err) {
		log_error("out of memory");
		return EXIT_RUNTIME;
	}
	report.items = items;
	return write_difference(o, &report);
}

int cmd_diff(int argc, char **argv)
{
	struct moment before = {0}, after = {0};
	struct diag d = {0}, warning = {0};
	struct diff_options o;
	int code = diff_options_parse(argc, argv, &o, &d);

	if (code)
		return command_settle(&command_diff, code, &d);
	code = diff(&o, &before, &after, &warning, &d);
	if (warning.text[0] && !code)
		code = log_diag(&warning);
	moment_done(&before);
	moment_done(&after);
	return code;
}
