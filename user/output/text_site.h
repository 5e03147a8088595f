/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_TEXT_SITE_H
#define SEEP_OUTPUT_TEXT_SITE_H
/* The part of the text format that shows the sites of one process, and the pieces that both parts use. */
#include "output/format.h"

enum text_color {
	TEXT_PLAIN,
	TEXT_BOLD,
	TEXT_RED,
};

/* The escape sequence for c, "" without options->color. */
const char *text_paint(const struct output_options *o, enum text_color c);

/* "4.0 MiB" and "1,024"; when sampled "~4.0 MiB +-1.2 MiB" and "~1,024 +-310". */
#define TEXT_AMOUNT_SIZE (2 * FORMAT_SIZE + 4)
void text_amount_bytes(bool sampled, uint64_t bytes, uint64_t interval, char out[TEXT_AMOUNT_SIZE]);
void text_amount_count(bool sampled, uint64_t count, uint64_t interval, char out[TEXT_AMOUNT_SIZE]);

/* text, escaped, behind its label; nothing when it is NULL. */
void text_put_named(FILE *f, const char *label, const char *text);

/* "allocation", "mapping", ... */
const char *text_kind_noun(enum site_kind kind);

/* How much of what it allocated reaches which age, a line, where any of that is known. */
void text_put_survival(FILE *f, const char *prefix, const struct site *s);
/* What speaks for a verdict, a line for each of its parts; nothing for NULL. */
void text_put_evidence(FILE *f, const char *prefix, const char *evidence);

/* A stack's lines, each indented as what belongs to a site is; truncated: why it ends early, or NULL. */
void text_put_frames(FILE *f, const struct output_options *o, const struct frame *frames, size_t n,
		     const char *truncated);

/* "+1.2 MiB in +4,658 allocations": what a mark's figures changed by. */
void text_put_since_mark(FILE *f, bool sampled, const char *noun, const struct since_mark *s);

/* "growing 1.2 MiB/s" behind prefix; nothing when the rate is not known. */
void text_put_growth(FILE *f, const char *prefix, double bytes_per_second);

/* The sites of one process, sorted. */
struct text_sites {
	const struct mark *mark; /* that they have since_mark of; or NULL */
	const struct process_report *process;
	const struct site *items;
	size_t n;
};

void text_put_sites(FILE *f, const struct output_options *o, enum report_mode mode,
		    const struct text_sites *sites);

#endif
