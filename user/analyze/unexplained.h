/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_UNEXPLAINED_H
#define SEEP_ANALYZE_UNEXPLAINED_H
/* Resident memory that grows although what is outstanding does not: whose it is. Thread-safe. */
#include <stdbool.h>

struct memory_account;

#define UNEXPLAINED_SECONDS 15.0 /* between the two accounts, at least */

/* Whether resident memory grows by so much more than what is outstanding that it is worth to look where. Bytes a second. */
bool unexplained_is(double resident_rate, double outstanding_rate);

/* Judges by what memory is made of, earlier and now, of accounts made without any outstanding block: "fragmentation": malloc's heap grew,
 * but what is in use in it did not; "outside-malloc": it grew elsewhere; "growing": what is in use grew, unseen. NULL: it did not
 * grow enough in between to say. ret_bytes: by how much the culprit grew. */
const char *unexplained_verdict(const struct memory_account *before,
				const struct memory_account *now, double *ret_bytes);

#endif
