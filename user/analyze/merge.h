/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_MERGE_H
#define SEEP_ANALYZE_MERGE_H
struct report;

/* Makes one site of those of a process that have the same fingerprint and kind: the same code loaded twice (dlmopen), or stacks that
 * differ only where nothing is known. Sums add up, intervals by their squares; the oldest age is the older one, the median that of
 * the site with more blocks. Sorts the sites. */
void merge_sites(struct report *report);

#endif
