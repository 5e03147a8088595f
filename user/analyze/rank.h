/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_RANK_H
#define SEEP_ANALYZE_RANK_H
/* The order in which sites are shown. */
#include <stdbool.h>
#include <stddef.h>

struct site;

/* Sorts n sites by process, within one by outstanding bytes (by_count: allocations), largest first. Ties go by the other
 * of the two, then by fingerprint and kind, so that equal reports are in equal order. */
void rank_sites(struct site *sites, size_t n, bool by_count);

#endif
