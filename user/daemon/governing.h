/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_GOVERNING_H
#define SEEP_DAEMON_GOVERNING_H
/* The overhead governor of a trace, and what its reports say of it. */
#include "base/diag.h"
#include "model/report.h"
#include "model/snapshot.h"

struct trace_options;
struct tracing;

/* With a budget: measures what a hit costs here (once a boot; half a second, two with perf links). Before tracing_open(), which then
 * has it governed, and before any thread. Returns 0 or -errno with a diag. */
int governing_prepare(struct tracing *t, const struct trace_options *options, struct diag *d);

/* Of tracing_open(): starts the governor. Returns 0 or -errno with a diag. */
int governing_start(struct tracing *t, const struct trace_options *options, struct diag *d);
/* Before the cover goes. */
void governing_stop(struct tracing *t);

/* Takes from what the kernel side counted as lost what the governor left out on purpose. */
void governing_excuse(struct tracing *t, struct snapshot_process *p);
/* Fills a process's mode, overhead and what is to be said of them; without a governor nothing. */
void governing_fill(struct tracing *t, instance_id instance, struct process_report *to);
/* After an instance's last report. */
void governing_forget(struct tracing *t, instance_id instance);

#endif
