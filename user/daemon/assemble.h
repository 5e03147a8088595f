/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_ASSEMBLE_H
#define SEEP_DAEMON_ASSEMBLE_H
/* A report out of a live trace: counters, names and judgement put together, in two steps. What is quick, and must not be torn by
 * what the processes do meanwhile, is taken in the thread that drains their events; what may take long, names and passes over
 * all blocks, is done in another one while the first goes on draining. One report at a time: taken, finished, written, settled. */
#include <stdbool.h>
#include <stdint.h>

#include "analyze/baseline.h"
#include "base/diag.h"
#include "base/hashmap.h"
#include "daemon/judging.h"
#include "daemon/naming.h"
#include "daemon/notes.h"
#include "model/report.h"
#include "model/snapshot.h"

struct free_error;
struct growth;
struct memory_account;
struct tracing;

struct assembly {
	struct tracing *tracing;
	struct growth *growth;
	bool sampled;	   /* intervals are wanted: they take a pass over the (sampled) blocks */
	bool pages;	   /* touched pages and mappings: a process's totals are of its pages */
	uint64_t older_ns; /* count only blocks at least so old; 0: all */
	bool by_count;
	uint64_t start_ns; /* CLOCK_MONOTONIC of the session */
	uint64_t sequence;
	struct naming names;
	struct judging judging;
	struct baseline baseline;  /* of the thread that finishes reports */
	struct loss *ended_losses; /* sums over processes already reported for the last time */
	size_t n_ended_losses;
};

#define SITE_HIDDEN UINT32_MAX /* in place of a process's number: the report does not show it */

/* What a block needs to know of its site. */
struct site_ref {
	uint32_t process;
	uint64_t fingerprint;
};

/* One report with what it was made of; strings live in tracing. */
struct assembled {
	struct report report;
	struct snapshot snapshot;
	struct site_ref
		*refs; /* one per site, in the order of the snapshot: the report's are sorted */
	struct hashmap site_index;  /* stack, instance, kind -> struct site_ref */
	struct hashmap by_instance; /* struct process_report, until the report is finished */
	struct note_list notes;
	char mark[MARK_NAME_MAX +
		  1]; /* the mark that it is to set, "": none; the caller's to fill in */
	struct free_error *errors;     /* the report's */
	struct memory_account *memory; /* one per process, or NULL: see accounting.h */
};

/* t is borrowed; the session begins now. Returns 0 or -ENOMEM with a diag. assembly_done accepts one that was not initialized, but zero. */
int assembly_init(struct assembly *a, struct tracing *t, struct diag *d);
void assembly_done(struct assembly *a);

/* Drains events and takes the counters, and what is known of the processes, as they are now. last: the trace ends with it, so
 * every process's records are final. Returns 0 or -errno with a diag; ret is to be settled on success only. */
int assemble_take(struct assembly *a, bool last, struct assembled *ret, struct diag *d);
/* Between two reports, in the thread that drains and while none is being finished: reads the counters for later verdicts. Returns 0 or
 * -errno with a diag. */
int assembly_sample(struct assembly *a, struct diag *d);
/* Names, judges and orders what was taken. Any thread. Returns 0 or -errno with a diag; then there is nothing to write. */
int assemble_finish(struct assembly *a, struct assembled *r, struct diag *d);
/* In the thread that drains, finished or not: forgets the processes whose final records were in it, and frees it. */
void assembled_settle(struct assembly *a, struct assembled *r);

/* The site of that stack, or NULL: the report has none. */
const struct site_ref *assembled_find(const struct assembled *r, uint64_t stack,
				      instance_id instance, enum site_kind kind);

/* Losses of the whole session: those of the processes in r and of those before. Appends to ret, which the caller frees. */
int assembly_losses(const struct assembly *a, const struct report *r, struct loss **ret,
		    size_t *ret_n);

#endif
