/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_BLOCKS_H
#define SEEP_DAEMON_BLOCKS_H
/* The outstanding blocks behind a report: passes over all of them. */
struct assembled;
struct assembly;
struct block;

/* Replaces the sites' outstanding figures by what a pass over the blocks finds, and fills their intervals: with -o and when
 * sampling. Before sites are ordered. Returns 0 or -errno. */
int blocks_sum(struct assembly *a, struct assembled *r);

/* Passes every outstanding block that the report counts to visit. Returns visit's non-zero value, -errno, or 0. */
int blocks_each(struct assembly *a, const struct assembled *r,
		int (*visit)(void *arg, const struct block *b), void *arg);

#endif
