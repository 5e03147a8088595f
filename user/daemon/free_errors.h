/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_FREE_ERRORS_H
#define SEEP_DAEMON_FREE_ERRORS_H
/* The errors at free of a report, with names. */
struct assembled;
struct assembly;

/* Fills r->errors and the report's, whose processes are in their order. Left out is what cannot be known for sure: where calls of the
 * process went by unseen, and, but for double frees, where it was not traced from its first instruction. Returns 0 or -ENOMEM. */
int free_errors_fill(struct assembly *a, struct assembled *r);

#endif
