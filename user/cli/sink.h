/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_SINK_H
#define SEEP_CLI_SINK_H
/* Where reports go: a stream in one format, and a capture file. */
#include <stdbool.h>
#include <stdio.h>

#include "base/diag.h"
#include "daemon/reporter.h"
#include "output/output.h"

struct capture_writer;
struct check_sums;
struct scan_report;
struct signals;

struct sink {
	FILE *stream;
	int fd; /* that the stream writes to */
	const struct signals *
		signals; /* once one came, a reader that takes nothing is not waited for; may be NULL */
	bool given_up;
	const char *stream_name, *capture_name; /* for messages */
	const char *failed; /* which of these could not be written; NULL: not known */
	bool in_blocks;	    /* of this report one was written */
	const struct output_format *format;
	struct output_options options;
	struct capture_writer *capture;
};

/* path: the file for the stream, NULL: stdout. capture: or NULL. Options, format and signals are the caller's to set before.
 * Returns 0 or -errno with a diag. */
int sink_open(struct sink *sink, const char *path, const char *capture, struct diag *d);
/* The calls of struct output_format, in its order, to capture and stream. Each returns 0 or -errno of whichever failed first; the
 * session, each report and the end are flushed. */
int sink_session(struct sink *sink, const struct session *s);
int sink_report(struct sink *sink, const struct session *s, const struct report *r);
int sink_block(struct sink *sink, const struct report *r, const struct block *b);
int sink_report_end(struct sink *sink, const struct session *s, const struct report *r);
/* Of --check, to the stream alone. Text names processes only that have leaks. */
int sink_scan(struct sink *sink, const struct scan_report *s);
int sink_check(struct sink *sink, uint64_t time_ns, const struct check_sums *c);
int sink_end(struct sink *sink, const struct session *s, const struct session_end *e);
/* Text between reports; flushed. */
int sink_text(struct sink *sink, const char *text, size_t n);
/* The sink as a trace's writer; borrowed. */
struct report_writer sink_writer(struct sink *sink);
/* Closes both. Returns 0, or the first error of the stream or capture that was not yet returned, with a diag. */
int sink_close(struct sink *sink, struct diag *d);
/* Turns an error of the calls above into words: which of the two could not be written. -EPIPE: no text (the reader left). */
void sink_explain(const struct sink *sink, int err, struct diag *d);

#endif
