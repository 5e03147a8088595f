/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_WATCH_H
#define SEEP_COLLECT_WATCH_H
/* The memory of every process in one pass of a BPF task iterator (bpf/watch.bpf.c): nobody is probed, stopped or asked, and
 * nothing of /proc is read. Not thread-safe. */
#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "model/watch.h"

struct watch_reader;

/* Returns 0 or -errno with a diag, whose exit code is EXIT_REFUSED where the kernel or the privileges are the reason. */
int watch_reader_create(struct watch_reader **ret, struct diag *d);
/* The same with what else follows from the number of CPUs, for tests: where there are many, pages that a process gained or lost show
 * after at most sum_every passes, unless they were many. */
int watch_reader_create_lazy(uint32_t sum_every, struct watch_reader **ret, struct diag *d);
void watch_reader_destroy(struct watch_reader *r);

/* One pass over all processes (kernel threads excepted). ret_pass is borrowed until the next pass. Returns 0 or -errno with a
 * diag. */
int watch_reader_pass(struct watch_reader *r, const struct watch_pass **ret_pass, struct diag *d);

/* Whether watching would stay within a thousandth of one CPU with a pass now: where there are many processes, passes are to be fewer. */
bool watch_reader_due(const struct watch_reader *r);

#endif
