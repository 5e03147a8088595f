/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_CAPTURE_RECORDS_H
#define SEEP_COLLECT_CAPTURE_RECORDS_H
/* The records of a capture, turned back into the structs that they were written from. Private to the capture reader. */
#include "collect/arena.h"
#include "model/free_error.h"
#include "model/report.h"

struct fields;

/* A report as far as it has been read. Zeroed to begin with. */
struct capture_report {
	struct report report; /* complete after records_report_end() */
	struct {
		struct process_report *items;
		size_t n, cap;
	} processes;
	struct {
		struct site *items;
		size_t n, cap;
	} sites;
	struct {
		struct block *items;
		size_t n, cap;
	} blocks;
	struct {
		struct free_error *items;
		size_t n, cap;
	} errors;
	struct mark mark; /* the last until it; "" without one */
	struct arena arena;
};

/* Empties it for the next report; and frees it. */
void capture_report_reset(struct capture_report *r);
void capture_report_done(struct capture_report *r);

/* Each reads the record in f; f->arena must be r's for those of a report. They return f->err: 0, or -errno with f->d. */
int records_session(struct fields *f, struct session *ret);
int records_process(struct fields *f, struct capture_report *r);
int records_site(struct fields *f, struct capture_report *r);
int records_error(struct fields *f, struct capture_report *r);
int records_block(struct fields *f, struct capture_report *r);
/* Sets the report's mark. */
int records_mark(struct fields *f, struct capture_report *r);
int records_report_end(struct fields *f, struct capture_report *r);
int records_end(struct fields *f, struct session_end *ret);

#endif
