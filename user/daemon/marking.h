/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_MARKING_H
#define SEEP_DAEMON_MARKING_H
/* A running trace answers `seep mark`: the control socket and the names that were given. Functions are for the loop's thread. */
#include "base/diag.h"
#include "daemon/control_place.h"

struct marking;
struct tracer;

#define MARKS_MAX 1000 /* of one trace; more are refused */

/* t is borrowed. Returns 0 or -errno with a diag. */
int marking_create(enum control_kind kind, struct tracer *t, struct marking **ret, struct diag *d);
/* Accepts NULL. */
void marking_destroy(struct marking *m);

/* As control_fd() and control_step(); accept NULL: -1, and nothing. */
int marking_fd(const struct marking *m);
void marking_step(struct marking *m);

#endif
