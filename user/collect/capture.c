// SPDX-License-Identifier: BSD-2-Clause
/* Reading a capture. A report is passed on when the next one has been read whole: should there be no next one, because
 * the trace or its disk died, it is the last report of the processes in it, and is marked as that. */
#include "collect/capture.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "collect/capture_fields.h"
#include "collect/capture_lines.h"
#include "collect/capture_records.h"

struct reader {
	const struct capture_visitor *visitor;
	void *arg;
	bool stopped; /* by the visitor */
	struct strings strings;
	struct arena arena; /* session and end */
	struct session session;
	bool has_capture, has_session, has_end, has_complete;
	size_t n_reports, n_lines; /* whole ones */
	bool in_line;		   /* the line after those is at fault */
	struct capture_report reports[2], *current, *complete;
};

static int visit(struct reader *r, int result)
{
	r->stopped = result != 0;
	return result;
}

/* Passes the complete report on. */
static int deliver(struct reader *r, bool last)
{
	const struct capture_visitor *v = r->visitor;
	struct capture_report *c = r->complete;
	int err = 0;

	if (!r->has_complete)
		return 0;
	r->has_complete = false;
	for (size_t i = 0; last && i < c->processes.n; i++)
		c->processes.items[i].final = true;
	if (v->report)
		err = v->report(r->arg, &r->session, &c->report);
	for (size_t i = 0; !err && v->block && i < c->blocks.n; i++)
		err = v->block(r->arg, &c->report, &c->blocks.items[i]);
	if (!err && v->report_end)
		err = v->report_end(r->arg, &r->session, &c->report);
	capture_report_reset(c);
	return visit(r, err);
}

static int on_capture(struct reader *r, struct fields *f)
{
	uint64_t version = fields_u64(f, "version", UINT64_MAX);
	const char *writer = fields_string(f, "seep");

	if (!f->err && version > CAPTURE_VERSION)
		return diag_set_hint(
			f->d, ENOTSUP, EXIT_RUNTIME, "read it with that version or a later one",
			"capture version %llu, written by seep %s; this seep reads version %d",
			(unsigned long long)version, writer ? writer : "?", CAPTURE_VERSION);
	r->has_capture = true;
	return f->err;
}

static int on_session(struct reader *r, struct fields *f)
{
	int err;

	if (r->has_session)
		return diag_set(f->d, EBADMSG, "a second session");
	err = records_session(f, &r->session);
	if (err)
		return err;
	r->has_session = true;
	return r->visitor->session ? visit(r, r->visitor->session(r->arg, &r->session)) : 0;
}

static int on_report_end(struct reader *r, struct fields *f)
{
	struct capture_report *swap = r->complete;
	int err = records_report_end(f, r->current);

	if (!err)
		err = deliver(r, false);
	if (err)
		return err;
	r->complete = r->current;
	r->current = swap;
	r->current->mark = r->complete->mark;
	r->has_complete = true;
	r->n_reports++;
	return 0;
}

static int on_end(struct reader *r, struct fields *f)
{
	struct session_end e;
	int err = records_end(f, &e);

	if (!err)
		err = deliver(r, false);
	if (err)
		return err;
	r->has_end = true;
	return r->visitor->end ? visit(r, r->visitor->end(r->arg, &r->session, &e)) : 0;
}

/* Records of unknown type are skipped: version 1 may get more of them. */
static int on_record(struct reader *r, struct fields *f)
{
	const char *type = f->record;

	if (!r->has_capture)
		return strcmp(type, "capture") ? diag_set(f->d, EBADMSG, "not a capture")
					       : on_capture(r, f);
	if (!strcmp(type, "session"))
		return on_session(r, f);
	if (!r->has_session)
		return diag_set(f->d, EBADMSG, "a record before the session");
	if (r->has_end)
		return diag_set(f->d, EBADMSG, "a record behind the end");
	if (!strcmp(type, "end"))
		return on_end(r, f);
	f->arena = &r->current->arena;
	if (!strcmp(type, "mark"))
		return records_mark(f, r->current);
	if (!strcmp(type, "process"))
		return records_process(f, r->current);
	if (!strcmp(type, "site"))
		return records_site(f, r->current);
	if (!strcmp(type, "error"))
		return records_error(f, r->current);
	if (!strcmp(type, "block"))
		return records_block(f, r->current);
	if (!strcmp(type, "report_end"))
		return on_report_end(r, f);
	return 0;
}

static void cleanup_json(json_t **value)
{
	json_decref(*value);
}

static int on_line(struct reader *r, const char *line, size_t n, struct diag *d)
{
	json_error_t error;
	_cleanup_(cleanup_json) json_t *value = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	const char *type = json_string_value(json_object_get(value, "type"));
	struct fields f = {
		.object = value,
		.record = type,
		.strings = &r->strings,
		.arena = &r->arena,
		.d = d,
	};

	if (value && type)
		return on_record(r, &f);
	if (!r->has_capture)
		return diag_set(d, EBADMSG, "not a capture");
	if (!value)
		return diag_set(d, EBADMSG, "not JSON: %.200s", error.text);
	return diag_set(d, EBADMSG, "a record without a type");
}

static int read_lines(struct reader *r, struct capture_lines *lines, struct diag *d)
{
	const char *line;
	size_t n;
	int err;

	while ((err = capture_lines_next(lines, &line, &n, d)) > 0) {
		err = on_line(r, line, n, d);
		r->in_line = err;
		if (err)
			return err;
		r->n_lines++;
	}
	if (!err && !r->has_end)
		err = diag_set(d, ENODATA, "the file is cut short");
	return err;
}

/* Where in the file, and how much of it could be used. */
static void complete_diag(const struct reader *r, const char *path, int err, struct diag *d)
{
	struct diag inner = *d;
	const char *name = strcmp(path, "-") ? path : "standard input";

	if (err == -ENOTSUP || !r->has_capture)
		diag_set(d, -err, "%s: %s", name, inner.text);
	else
		diag_set(d, -err, "%s: %s %zu: %s; %zu report%s before it could be used", name,
			 r->in_line ? "line" : "after line", r->n_lines + r->in_line, inner.text,
			 r->n_reports, r->n_reports == 1 ? "" : "s");
	snprintf(d->hint, sizeof(d->hint), "%s", inner.hint);
}

int capture_read(const char *path, const struct capture_visitor *v, void *arg, struct diag *d)
{
	struct reader r = {.visitor = v, .arg = arg};
	struct diag local = {0};
	struct capture_lines *lines;
	int err, err_last = 0;

	d = d ? d : &local;
	err = capture_lines_create(path, &lines, d);
	if (err)
		return err;
	r.current = &r.reports[0];
	r.complete = &r.reports[1];
	err = read_lines(&r, lines, d);
	if (!r.stopped)
		err_last = deliver(&r, true);
	if (err && !r.stopped)
		complete_diag(&r, path, err, d);
	capture_lines_destroy(lines);
	capture_report_done(&r.reports[0]);
	capture_report_done(&r.reports[1]);
	arena_done(&r.arena);
	strings_done(&r.strings);
	return err_last ? err_last : err;
}
