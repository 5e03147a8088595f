/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_TRIAGE_PICK_H
#define SEEP_CLI_TRIAGE_PICK_H
#include <sys/types.h>

#include "base/diag.h"

struct triage_options;

/* The process to look at: the one given, or of those that match the selector the one that grows most within a second; where none
 * does, the largest. Says which when there was a choice. Returns 0, or -ESRCH with a diag when nothing matches. */
int triage_pick(const struct triage_options *o, pid_t *ret, struct diag *d);

#endif
