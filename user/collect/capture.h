/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_CAPTURE_H
#define SEEP_COLLECT_CAPTURE_H
/* The capture file: gzip over the ndjson records of a session, first line {"type":"capture","version":1,...}. gzip gives
 * a checksum and `zcat FILE | jq` works. Beside those records it has one of type report_end behind each report: what
 * belongs to no one process. Each report is flushed (Z_FULL_FLUSH), so a file cut short keeps all reports
 * that were complete. */
#include <stddef.h>
#include <stdio.h>

#include "base/diag.h"
#include "model/report.h"

#define CAPTURE_VERSION 1

struct capture_writer;

/* Writes to path ("FILE.tmp" is not used: a trace that dies must leave what it had). 0600. Returns 0 or -errno with diag. */
int capture_writer_create(const char *path, struct capture_writer **ret, struct diag *d);
/* The same calls as an output; each returns 0 or -errno (a full disk: -ENOSPC, what was written stays readable). */
int capture_write_session(struct capture_writer *w, const struct session *s);
int capture_write_report(struct capture_writer *w, const struct session *s, const struct report *r);
int capture_write_block(struct capture_writer *w, const struct report *r, const struct block *b);
int capture_write_report_end(struct capture_writer *w, const struct session *s,
			     const struct report *r);
int capture_write_end(struct capture_writer *w, const struct session *s,
		      const struct session_end *e);
/* Flushes and closes; accepts NULL. Returns 0 or -errno. */
int capture_writer_destroy(struct capture_writer *w);

/* What a capture is replayed into: same order of calls as struct output_format. A visitor's non-zero return stops. */
struct capture_visitor {
	int (*session)(void *arg, const struct session *s);
	int (*report)(void *arg, const struct session *s, const struct report *r);
	int (*block)(void *arg, const struct report *r, const struct block *b);
	int (*report_end)(void *arg, const struct session *s, const struct report *r);
	int (*end)(void *arg, const struct session *s, const struct session_end *e);
};

/* Replays a capture ("-": standard input), gzipped or as zcat gives it. Untrusted input. Returns 0; -EBADMSG: not a capture,
 * or damaged (the diag names the line and says how many reports could be used: those were all passed on); -ENODATA: cut
 * short, the same; -ENOTSUP: of a later version (the diag says which seep wrote it); -errno; or the visitor's value, then
 * the diag is untouched. Where a capture ends early, its last report is the last of all processes in it: they are
 * marked final. */
int capture_read(const char *path, const struct capture_visitor *v, void *arg, struct diag *d);

#endif
