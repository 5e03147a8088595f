/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_TRACEFS_H
#define SEEP_ATTACH_TRACEFS_H
/* Tracepoints that have no BTF form: their numbers are found in tracefs, whether it is mounted or not. */
#include "attach/link.h"
#include "base/diag.h"

/* A descriptor of tracefs's root, for openat(2) only; the caller closes it. Mounted for this descriptor alone where the
 * kernel lets us (5.2, 93766fbd2696), so that nobody sees it and nothing is left. Returns it, or -errno with a diag and
 * EXIT_REFUSED. */
int tracefs_open(struct diag *d);

/* Runs a program of type tracepoint at an event ("syscalls/sys_enter_brk"), in all processes. Appends to links. Returns 0, or
 * -errno with a diag and EXIT_REFUSED. */
int tracefs_attach(int tracefs, const char *event, int prog_fd, struct links *links,
		   struct diag *d);

#endif
