// SPDX-License-Identifier: BSD-2-Clause
/* seep report FILE: renders a capture again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyze/rank.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/marks_seen.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "collect/capture.h"
#include "daemon/suppressing.h"
#include "model/report_part.h"
#include "output/output.h"

struct render {
	const struct output_format *format;
	struct output_options options;
	FILE *out;
	struct suppressing suppressing;
	const char *mark;	       /* only its report; or NULL */
	bool marked, found;	       /* the current report is that; some report was */
	bool final_only;	       /* of each process its last report only */
	bool in_blocks;		       /* of this report one was shown */
	bool has_blocks, lacks_blocks; /* some report had, and one that should have had none */
	struct marks_seen marks;
	struct report_part shown; /* of the current report */
};

static bool is_shown(const void *render, const struct process_report *p)
{
	const struct render *r = render;

	return !r->final_only || p->final;
}

/* Fills r->shown with the processes of all that are to be shown, and their sites in the order asked for. */
static int select_shown(struct render *r, const struct report *all)
{
	struct report *shown = &r->shown.report;
	int err;

	report_part_done(&r->shown);
	err = report_part_take(all, is_shown, r, &r->shown);
	if (err)
		return err;
	suppressing_apply(&r->suppressing, shown);
	rank_sites(shown->sites, shown->n_sites, r->options.by_count);
	return 0;
}

static bool is_skipped(const struct render *r)
{
	return r->mark ? !r->marked : r->final_only && !r->shown.report.n_processes;
}

static int on_session(void *arg, const struct session *s)
{
	struct render *r = arg;

	return r->format->session ? r->format->session(r->out, &r->options, s) : 0;
}

static int on_report(void *arg, const struct session *s, const struct report *all)
{
	struct render *r = arg;
	int err;

	r->marked = r->mark && !r->found && report_is_mark(all) &&
		    !strcmp(all->mark->name, r->mark);
	r->found |= r->marked;
	if (report_is_mark(all))
		marks_seen_add(&r->marks, all->mark->name);
	err = select_shown(r, all);
	r->in_blocks = false;
	if (err || is_skipped(r) || !r->format->report)
		return err;
	return r->format->report(r->out, &r->options, s, &r->shown.report);
}

static int on_block(void *arg, const struct report *all, const struct block *b)
{
	struct render *r = arg;
	struct block shown = *b;

	(void)all;
	shown.process = r->shown.index[b->process];
	if (is_skipped(r) || shown.process == REPORT_PART_WITHOUT || !r->options.blocks ||
	    !r->format->block)
		return 0;
	if (!r->in_blocks && r->format->blocks_begin && r->format->blocks_begin(r->out))
		return -errno;
	r->in_blocks = r->has_blocks = true;
	return r->format->block(r->out, &r->options, &r->shown.report, &shown);
}

static int on_report_end(void *arg, const struct session *s, const struct report *all)
{
	struct render *r = arg;

	(void)all;
	for (size_t i = 0; i < r->shown.report.n_processes && !is_skipped(r) && !r->in_blocks; i++)
		r->lacks_blocks |= r->shown.report.processes[i].outstanding_allocations > 0;
	if (is_skipped(r) || !r->format->report_end)
		return 0;
	return r->format->report_end(r->out, &r->options, s, &r->shown.report);
}

static int on_end(void *arg, const struct session *s, const struct session_end *e)
{
	struct render *r = arg;

	return r->format->end ? r->format->end(r->out, &r->options, s, e) : 0;
}

static void fill_options(struct render *r, const struct report_options *o)
{
	r->format = output_find(options_format_name(o->format));
	r->mark = o->mark;
	r->final_only = !o->all_reports && !o->mark && o->format == OPTIONS_FORMAT_TEXT;
	r->options = (struct output_options){
		.top = o->top,
		.top_processes = o->top_processes,
		.by_count = o->sort == OPTIONS_SORT_COUNT,
		.combined_only = o->combined_only,
		.blocks = o->show_allocs,
		.color = terminal_color(o->color, o->output),
		.width = terminal_width(o->output),
		.is_last = o->mark,
	};
}

/* A damaged capture is rendered as far as it goes, then complained about. A reader that went away
 * (EPIPE) knows that it did: exit code 1 without a message, as in most tools. */
static int render(struct render *r, const struct report_options *o)
{
	static const struct capture_visitor visitor = {
		.session = on_session,
		.report = on_report,
		.block = on_block,
		.report_end = on_report_end,
		.end = on_end,
	};
	struct diag d = {0};
	int err, finish_err;

	err = suppressing_load(&r->suppressing, o->suppressions, &d);
	if (!err)
		err = output_prepare(r->format, &r->options);
	if (!err)
		err = capture_read(o->path, &visitor, r, &d);
	if (!err && r->mark && !r->found)
		err = marks_seen_missing(&r->marks, o->path, r->mark, &d);
	finish_err = output_finish(&r->options, r->out);
	err = err ? err : finish_err;
	report_part_done(&r->shown);
	suppressing_done(&r->suppressing);
	marks_seen_done(&r->marks);
	if (err && d.text[0]) {
		fflush(r->out);
		return log_diag(&d);
	}
	if (!err && fflush(r->out))
		err = -errno;
	if (!err && o->show_allocs && r->lacks_blocks && !r->has_blocks)
		log_info("%s: has no blocks: it was recorded without -a", o->path);
	if (err && err != -EPIPE)
		log_error("%s: cannot write the report: %s", o->output ? o->output : "stdout",
			  strerror(-err));
	return err ? EXIT_RUNTIME : EXIT_DONE;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat of_a, of_b;

	return !stat(a, &of_a) && !stat(b, &of_b) && S_ISREG(of_a.st_mode) &&
	       of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

int cmd_report(int argc, char **argv)
{
	_cleanup_fclose_ FILE *file = NULL;
	struct render r = {.out = stdout};
	struct report_options o;
	struct diag d = {0};
	int err = report_options_parse(argc, argv, &o, &d);

	if (err)
		return command_settle(&command_report, err, &d);
	fill_options(&r, &o);
	if (terminal_refuses(r.format, o.output, &d))
		return log_diag(&d);
	if (o.output) {
		if (is_same_file(o.output, o.path)) {
			log_error("%s: is the capture itself; give --output another file",
				  o.output);
			return EXIT_RUNTIME;
		}
		file = fopen(o.output, "we");
		if (!file) {
			log_error("%s: cannot write the report: %s", o.output, strerror(errno));
			return EXIT_RUNTIME;
		}
		r.out = file;
	}
	return render(&r, &o);
}
