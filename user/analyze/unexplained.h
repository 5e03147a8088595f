/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_UNEXPLAINED_H
#define SEEP_ANALYZE_UNEXPLAINED_H
/* Resident memory that grows although what is outstanding does not: whose it is. Thread-safe. */
#include <stdbool.h>

struct memory_account;

#define UNEXPLAINED_SECONDS 15.0 /* between the two accounts, at least */

/* Whether resident memory grows by so much more than what is outstanding that it is worth to look where. Bytes a second. */
bool unexplained_is(double resident_rate, double outstanding_rate);

/* Where memory outside of malloc's heap grew for the most part. */
enum unexplained_part {
	UNEXPLAINED_ELSE,
	UNEXPLAINED_STACKS, /* of threads */
	UNEXPLAINED_CODE,   /* made at run time */
	UNEXPLAINED_SHARED,
};

struct unexplained {
	const char *verdict;
	double bytes; /* by which the culprit grew */
	enum unexplained_part part;
	double n_threads; /* more than before */
};

/* Judges by what memory is made of, earlier and now, of accounts made without any outstanding block: "fragmentation": malloc's heap grew,
 * but what is in use in it did not; "outside-malloc": it grew elsewhere; "growing": what is in use grew, unseen. Returns false when
 * it did not grow enough in between to say. */
bool unexplained_judge(const struct memory_account *before, const struct memory_account *now,
		       struct unexplained *ret);

#endif
