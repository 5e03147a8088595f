/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_REPORTER_H
#define SEEP_DAEMON_REPORTER_H
/* Finishes and writes reports in a thread of its own, one at a time, so that new processes are found and probed meanwhile however long
 * names take or a reader of our output lets us wait. It is the reports that have the thread, not the events: signals, timers and events
 * stay in one loop, which alone changes what is known of the processes, takes the counters for a report and forgets who was reported
 * for the last time. What the thread shares with it is only what assemble.h names, and the writer, which is the thread's as long as
 * that runs. All functions are for the loop's thread. */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/assemble.h"

struct check_sums;
struct checking;
struct reporter;
struct scan_report;

/* Who takes what a trace reports, in this order: session, then for each report: report, scan ..., block ..., report_end; at last check,
 * end; text between reports. scan and check come with --check only, where they must not be NULL. Each returns 0 or -errno; explain turns that into words, none for -EPIPE: the reader has left. */
struct report_writer {
	int (*session)(void *arg, const struct session *s);
	int (*report)(void *arg, const struct session *s, const struct report *r);
	int (*scan)(void *arg, const struct scan_report *s);
	int (*block)(void *arg, const struct report *r, const struct block *b);
	int (*report_end)(void *arg, const struct session *s, const struct report *r);
	int (*check)(void *arg, uint64_t time_ns, const struct check_sums *sums);
	int (*end)(void *arg, const struct session *s, const struct session_end *e);
	int (*text)(void *arg, const char *text, size_t n);
	void (*explain)(void *arg, int err, struct diag *d);
	void *arg;
};

/* All borrowed for the reporter's life. */
struct reporter_options {
	struct assembly *assembly;
	const struct report_writer *writer;
	const struct session *session;
	struct checking *checking; /* --check, or NULL */
	bool blocks;		   /* -a */
	bool memory;		   /* the last report says what memory is made of */
	bool only_if_processes;	   /* a report of nobody is not written, but for the last */
};

/* Signals are blocked by now. Returns 0 or -errno with a diag. */
int reporter_create(const struct reporter_options *options, struct reporter **ret, struct diag *d);
/* Waits for what is being written. Accepts NULL. */
void reporter_destroy(struct reporter *r);

/* Readable when reporter_settle has something to do. */
int reporter_fd(const struct reporter *r);
/* Whether a report was submitted and not yet settled: then another one has to wait. */
bool reporter_is_busy(const struct reporter *r);

/* Takes over a report, and what is written before it: preface of n bytes, malloc'ed, or NULL. end: of the last report, what to say at
 * its end, without losses; else NULL. */
void reporter_submit(struct reporter *r, struct assembled *report, char *preface, size_t n_preface,
		     const struct session_end *end);
/* Text that is written as soon as no report is: a call, with -t. Returns false when there is no room, as nobody reads it: it is lost. */
bool reporter_say(struct reporter *r, const char *text, size_t n);

/* What became of the report, if it is done: it is settled then, and ret_lost (may be NULL) says whether anything was lost in the whole
 * session so far. Returns 0, also when there is nothing to do, or -errno with a diag of what went wrong, without a text when the reader
 * has left. */
int reporter_settle(struct reporter *r, bool *ret_lost, struct diag *d);

#endif
