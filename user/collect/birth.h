/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_BIRTH_H
#define SEEP_COLLECT_BIRTH_H
/* Ages out of a site's counters of outstanding blocks by time of birth. */
#include <stdint.h>

struct snapshot;
struct snapshot_site;

/* The slot of a time since the session began. */
unsigned birth_slot(uint64_t since_ns);
/* First nanosecond of a slot since the session began; of WIRE_BIRTH_SLOTS: the end of the last one. */
uint64_t birth_slot_start_ns(unsigned slot);

/* now_ns: since the session began. Ages count from the start of a block's slot: upper bounds, off by at most a slot's width
 * (a quarter of the time from the session's start to the slot). Both -1 when nothing is outstanding. */
void birth_ages(const uint32_t *born, uint64_t now_ns, double *ret_oldest_ns,
		double *ret_median_ns);

/* Fills a site's ages and keeps its births in the snapshot. Returns 0 or -ENOMEM. */
int birth_fill(struct snapshot *s, const uint32_t *born, uint64_t now_ns,
	       struct snapshot_site *site);

#endif
