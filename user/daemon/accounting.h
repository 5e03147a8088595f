/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_ACCOUNTING_H
#define SEEP_DAEMON_ACCOUNTING_H
/* What the memory of the processes in a report is made of. */
struct assembled;
struct assembly;

/* Fills `memory` of the report's processes that are alive: their heaps are read, at some gigabytes a second. Of more than
 * ACCOUNTING_MOST processes it does nothing. What cannot be read stays unknown. */
#define ACCOUNTING_MOST 16
void accounting_fill(struct assembly *a, struct assembled *r);

#endif
