/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_OUTPUT_H
#define SEEP_OUTPUT_OUTPUT_H
/* Reports as text, ndjson, folded stacks, a pprof profile or a page. An output takes const data and a stream: no globals, no clock. Every call
 * returns 0 or -errno of the stream (-EPIPE when the reader is gone). */
#include <stdbool.h>
#include <stdio.h>

#include "model/report.h"

struct html;
struct pprof;

struct output_options {
	size_t top_processes; /* text: those that hold most, 0: all */
	size_t top; /* -T: sites per process in text and folded; 0: all. ndjson and captures always carry all */
	bool by_count;	    /* --sort count */
	bool color;	    /* text only */
	bool combined_only; /* -C: totals, no stacks */
	bool blocks;	    /* -a: block() will be called */
	unsigned width;	    /* columns of the terminal, 0: unlimited */
	bool verbose;
	bool is_last; /* folded and pprof: the report is the last of all its processes, marked or not */
	struct pprof
		*pprof; /* pprof only: what it keeps between its calls; output_prepare() makes it */
	struct html *html; /* html only, as pprof */
};

/* One table of functions per format; calls come in this order: session, then for each report: report, blocks_begin ...
 * block ... , report_end; at last end. NULL members do nothing. */
struct output_format {
	const char *name;
	bool last_only; /* there is no time in it: of each process only the report marked final is written */
	bool binary; /* nothing for a terminal */
	int (*session)(FILE *f, const struct output_options *o, const struct session *s);
	int (*report)(FILE *f, const struct output_options *o, const struct session *s,
		      const struct report *r);
	/* Before a report's first block. */
	int (*blocks_begin)(FILE *f);
	/* One outstanding block of the report just written; may come a million times. */
	int (*block)(FILE *f, const struct output_options *o, const struct report *r,
		     const struct block *b);
	int (*report_end)(FILE *f, const struct output_options *o, const struct session *s,
			  const struct report *r);
	int (*end)(FILE *f, const struct output_options *o, const struct session *s,
		   const struct session_end *e);
};

/* In folded and pprof, what -T leaves out goes into one line or sample "[other]". */
extern const struct output_format output_text, output_ndjson, output_folded, output_pprof,
	output_html;

/* Before a format's first call. Returns 0 or -ENOMEM. */
int output_prepare(const struct output_format *format, struct output_options *o);
/* After its last one, whether or not that was end(): what was written is complete then, as far as it goes. Returns 0 or -errno of
 * the stream. Accepts options that are not prepared. */
int output_finish(struct output_options *o, FILE *f);

/* Where the sites of the process end that those from `from` on are of. */
size_t output_sites_end(const struct report *r, size_t from);
/* Whether a site's figures are part of the sums: mappings are the same memory as the pages that were touched in them. */
bool output_is_counted(const struct session *session, const struct site *s);

/* By name, or NULL. */
const struct output_format *output_find(const char *name);

/* "4.0 KiB", "1.2 GiB"; "980 B". */
#define FORMAT_SIZE 24
void format_bytes(double bytes, char out[FORMAT_SIZE]);
/* "250 ms", "12 s", "3 m 10 s", "2 h 5 m", "3 d 4 h". */
void format_seconds(double seconds, char out[FORMAT_SIZE]);
/* One frame for people: "function file.c:12 (libfoo.so)", "libfoo.so+0x12ab". Control characters escaped. */
void format_frame(const struct frame *frame, char *out, size_t n_bytes);

#endif
