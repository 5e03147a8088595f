/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_CHECKING_H
#define SEEP_DAEMON_CHECKING_H
/* --check: what each process of a command has lost by the time it ends. The process stands, its memory still there, while one exact pass
 * looks at it; who allocated what is named when it is reported. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "model/scan_report.h"

struct assembled;
struct checking;
struct launch_thread;
struct tracing;

/* t is borrowed. Returns 0 or -ENOMEM with a diag. */
int checking_create(struct tracing *t, struct checking **ret, struct diag *d);
/* Accepts NULL. */
void checking_destroy(struct checking *c);

/* As the hook `ending` of launch.h, in the launcher's thread. Looks at the process, unless what it works in is another one's memory. */
void checking_ending(struct checking *c, pid_t pid, const struct launch_thread *threads, size_t n);

/* After assemble_finish: passes what was found in each process that was looked at and for which r is the last report to write, and counts
 * all of them. What is suppressed is counted, but no leak. Returns 0, -errno, or what write returned. */
int checking_report(struct checking *c, const struct assembled *r,
		    int (*write)(void *arg, const struct scan_report *s), void *arg);
/* How the command ended (wait(2)), if it has. In the loop's thread, before the last report. */
void checking_set_command(struct checking *c, bool ended, int wait_status);
/* Of all reports so far. In the thread of checking_report, or after its end. */
const struct check_sums *checking_sums(const struct checking *c);

#endif
