/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_ACCOUNTING_H
#define SEEP_CLI_ACCOUNTING_H
/* What the memory of the processes in a report is made of. */
#include <sys/types.h>

struct assembled;
struct assembly;
struct memory_account;

/* Fills `memory` of the report's processes that are alive: their heaps are read, at some gigabytes a second. Of more than
 * ACCOUNTING_MOST processes it does nothing. What cannot be read stays unknown. */
#define ACCOUNTING_MOST 16
void accounting_fill(struct assembly *a, struct assembled *r);

/* The same of one process, as if nothing were recorded. resident_bytes is 0 where it cannot be read. */
void accounting_read(pid_t pid, struct memory_account *ret);

#endif
