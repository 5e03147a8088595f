// SPDX-License-Identifier: BSD-2-Clause
/* Folded stacks, as flamegraph.pl, inferno and speedscope read them: "comm-pid;outermost;...;leaf BYTES". There is no
 * time in them, so each process appears once: with its last report. */
#include <inttypes.h>
#include <string.h>

#include "output/escape.h"
#include "output/output.h"
#include "output/stream.h"

/* A semicolon parts frames, and the last blank of a line parts the value, so a name may not end the line early: control
 * characters and semicolons become other ones that look alike. */
static void put_name(FILE *f, const char *text)
{
	char unit[ESCAPE_UNIT_SIZE];

	while (*text) {
		size_t columns = escape_next(&text, unit);

		if (columns > 1)
			putc('_', f);
		else
			fputs(unit[0] == ';' ? ":" : unit, f);
	}
}

static void put_frame(FILE *f, const struct frame *frame)
{
	const char *module = frame->module ? frame->module : "[unmapped]";

	putc(';', f);
	if (frame->function) {
		put_name(f, frame->function);
		return;
	}
	put_name(f, strrchr(module, '/') ? strrchr(module, '/') + 1 : module);
	fprintf(f, "+0x%" PRIx64, frame->offset);
}

static void put_root(FILE *f, const struct process_report *p)
{
	put_name(f, p->comm ? p->comm : "?");
	fprintf(f, "-%u", p->pid);
}

static void put_site(FILE *f, const struct process_report *p, const struct site *s, uint64_t value)
{
	put_root(f, p);
	if (s->truncated && s->n_frames)
		fputs(";[truncated]", f);
	for (size_t i = s->n_frames; i > 0; i--)
		put_frame(f, &s->frames[i - 1]);
	if (!s->n_frames)
		fputs(";[unknown]", f);
	fprintf(f, " %" PRIu64 "\n", value);
}

static uint64_t value_of(const struct output_options *o, const struct session *session,
			 const struct site *s)
{
	if (!output_is_counted(session, s))
		return 0;
	return o->by_count ? s->outstanding_allocations : s->outstanding_bytes;
}

static void put_sum(FILE *f, const struct process_report *p, const char *name, uint64_t value)
{
	if (!value)
		return;
	put_root(f, p);
	fprintf(f, ";%s %" PRIu64 "\n", name, value);
}

/* The sites [from, to) of one process; those below the top in one line, so that the sum stays right. */
static void put_process(FILE *f, const struct output_options *o, const struct session *s,
			const struct report *r, size_t from, size_t to)
{
	const struct process_report *p = &r->processes[r->sites[from].process];
	uint64_t other = 0, suppressed = 0;
	size_t shown = 0;

	for (size_t i = from; i < to; i++) {
		uint64_t value = value_of(o, s, &r->sites[i]);

		if (!value)
			continue;
		if (r->sites[i].suppressed) {
			suppressed += value;
		} else if (o->top && shown == o->top) {
			other += value;
		} else {
			put_site(f, p, &r->sites[i], value);
			shown++;
		}
	}
	put_sum(f, p, "[other]", other);
	put_sum(f, p, "[suppressed]", suppressed);
}

static int folded_report(FILE *f, const struct output_options *o, const struct session *s,
			 const struct report *r)
{
	size_t from, to;

	for (from = 0; from < r->n_sites; from = to) {
		to = output_sites_end(r, from);
		if (o->is_last || r->processes[r->sites[from].process].final)
			put_process(f, o, s, r, from, to);
	}
	return stream_flush(f);
}

const struct output_format output_folded = {
	.name = "folded",
	.last_only = true,
	.report = folded_report,
};
