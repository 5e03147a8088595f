// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "output/escape.h"
#include "output/json.h"
#include "output/scan.h"
#include "output/stream.h"
#include "output/text_site.h"

#define SAME_MAX 3 /* blocks of one stack in a row that are shown one by one */

static void put_block(FILE *f, uint64_t address, uint64_t size_bytes)
{
	char bytes[FORMAT_SIZE];

	format_bytes(size_bytes, bytes);
	fprintf(f, "0x%" PRIx64 " (%s)", address, bytes);
}

static void put_module(FILE *f, const char *before, const char *module)
{
	const char *slash = module ? strrchr(module, '/') : NULL;

	if (!module)
		return;
	fputs(before, f);
	escape_put(f, slash && slash[1] ? slash + 1 : module, 0);
}

void scan_root_put(FILE *f, const struct scan_root *r)
{
	if (!strcmp(r->kind, "global")) {
		fputs("global variable ", f);
		escape_put(f, r->name, 0);
		if (r->offset)
			fprintf(f, "+0x%" PRIx64, r->offset);
		put_module(f, " of ", r->module);
	} else if (!strcmp(r->kind, "register")) {
		fprintf(f, "register %s of thread %u", r->name, r->tid);
	} else if (!strcmp(r->kind, "stack")) {
		fprintf(f, "stack or thread-local storage of thread %u", r->tid);
	} else if (!strcmp(r->kind, "data")) {
		put_module(f, "data of ", r->module);
		fprintf(f, ", +0x%" PRIx64, r->offset);
	} else if (!strcmp(r->kind, "heap")) {
		fputs("heap memory in no known block: allocated before the trace, or freed", f);
	} else {
		fputs("mapping", f);
		put_module(f, " ", r->module);
		fprintf(f, ", +0x%" PRIx64, r->offset);
	}
}

static void put_root(FILE *f, const struct scan_root *r, uint64_t pointer)
{
	fputs("    ", f);
	scan_root_put(f, r);
	if (pointer)
		fprintf(f, ", at 0x%" PRIx64, pointer);
	fputs("\n", f);
}

static bool is_alike(const struct scan_step *a, const struct scan_step *b)
{
	return a->site && a->site == b->site && a->offset == b->offset;
}

static void put_step(FILE *f, const struct output_options *o, const struct scan_step *s,
		     const struct scan_step *next)
{
	fputs("    -> ", f);
	put_block(f, s->block, s->size_bytes);
	if (next)
		fprintf(f, ", by its word at +%" PRIu64, next->offset);
	fputs("\n", f);
	if (s->site && s->site->n_frames && next) {
		fputs("        ", f);
		frame_put(f, &s->site->frames[0], o->verbose, o->width > 8 ? o->width - 8 : 0);
		fputs("\n", f);
	}
}

/* A long list is shown by its ends. */
static void put_steps(FILE *f, const struct output_options *o, const struct scan_path *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct scan_step *step = &p->steps[i];
		size_t n = 0;

		put_step(f, o, step, i + 1 < p->n_steps ? step + 1 : NULL);
		while (i + n + 2 < p->n_steps && is_alike(step + n + 1, step + n + 2))
			n++;
		if (n < SAME_MAX || !is_alike(step, step + 1))
			continue;
		fprintf(f, "    -> %zu more of the same, each by the one before\n", n);
		i += n;
	}
}

int scan_path_text(FILE *f, const struct output_options *o, const struct scan_path *p)
{
	const struct process_report *process = &p->report->processes[p->process];

	fprintf(f, "0x%" PRIx64 " of process %u ", p->address, process->pid);
	escape_put(f, process->comm ? process->comm : "", 0);
	if (p->known) {
		fprintf(f, "\n  is in block ");
		put_block(f, p->block, p->size_bytes);
		fputs(", allocated by\n", f);
		if (p->site)
			text_put_frames(f, o, p->site->frames, p->site->n_frames,
					p->site->truncated);
	} else {
		fputs("\n  is in no outstanding block that was allocated since the trace began: only "
		      "pointers to this very word count\n",
		      f);
	}
	if (p->n_steps) {
		fprintf(f, "  %sreachable%s by %zu pointer%s from\n", text_paint(o, TEXT_BOLD),
			text_paint(o, TEXT_PLAIN), p->n_steps, plural(p->n_steps));
		put_root(f, &p->root, p->steps[0].pointer);
		put_steps(f, o, p);
	} else {
		fprintf(f,
			"  %sno pointer%s leads to it from a root, in this pass: run seep scan without "
			"--paths to be sure\n",
			text_paint(o, TEXT_RED), text_paint(o, TEXT_PLAIN));
	}
	fputs("\n", f);
	return stream_result(f);
}

static void put_step_json(struct json_line *j, const struct scan_step *s, bool first)
{
	json_open(j, NULL, '{');
	if (s->pointer)
		json_put_address(j, "pointer", s->pointer);
	else
		json_put_null(j, "pointer");
	if (first)
		json_put_null(j, "offset");
	else
		json_put_u64(j, "offset", s->offset);
	json_put_address(j, "block", s->block);
	json_put_u64(j, "size_bytes", s->size_bytes);
	if (s->site)
		json_put_id(j, "site", s->site->fingerprint);
	else
		json_put_null(j, "site");
	json_close(j, '}');
}

static void put_root_json(struct json_line *j, const struct scan_path *p)
{
	if (!p->n_steps) {
		json_put_null(j, "root");
		return;
	}
	json_open(j, "root", '{');
	json_put_string(j, "kind", p->root.kind);
	json_put_string(j, "name", p->root.name);
	json_put_string(j, "module", p->root.module);
	json_put_u64(j, "offset", p->root.offset);
	json_put_u64_or_null(j, "tid", p->root.tid);
	json_close(j, '}');
}

int scan_path_ndjson(FILE *f, const struct scan_path *p)
{
	const struct process_report *process = &p->report->processes[p->process];
	struct json_line j;

	json_line_begin(&j, f);
	json_put_string(&j, "type", "path");
	json_put_time(&j, "time", p->report->time_ns);
	json_put_bool(&j, "final", process->final);
	json_put_u64(&j, "process", p->process);
	json_put_u64(&j, "pid", process->pid);
	json_put_address(&j, "address", p->address);
	json_put_bool(&j, "known", p->known);
	json_put_bool(&j, "reachable", p->n_steps > 0);
	put_root_json(&j, p);
	json_open(&j, "steps", '[');
	for (size_t i = 0; i < p->n_steps; i++)
		put_step_json(&j, &p->steps[i], !i);
	json_close(&j, ']');
	json_line_end(&j);
	return stream_result(f);
}
