/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_SUBJECT_H
#define SEEP_ATTACH_SUBJECT_H
/* What the governor governs: one traced instance by its own law, or the crowd by one law for all of it. Private to the governor, under its
 * lock. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/govern.h"

struct wire_governed;

struct subject {
	uint32_t instance; /* 0: the crowd */
	pid_t pid;	   /* 0: the crowd */
	struct wire_governed *record;
	struct govern law;
	struct govern_orders done; /* as carried out */
	uint64_t next_ns;
	bool ended;
	bool forgotten;	 /* by all but the thread */
	bool returned;	 /* to the crowd: forgotten, but for its record */
	uint64_t hit_ns; /* when it was last hit noticeably */
	double overhead_rate,
		told_overhead_ns; /* the host's: ns a second; the law's sum that is in it */
};

struct subjects {
	struct subject **items;
	size_t n, cap;
};

/* Its counters as of now. Returns 0, or -ESRCH when it has ended. */
int subject_sample(const struct subject *s, struct govern_sample *ret);
/* What the kernel side is to know before probes move as ordered: what must not be recorded from now on. */
void subject_prepare(struct subject *s, const struct govern_orders *o);
/* And afterwards. */
void subject_finish(struct subject *s);
/* Allocations are recorded, with the weight scale, until until_ns. */
void subject_open_gate(struct subject *s, uint64_t sample_interval, double scale,
		       uint64_t until_ns);
/* Adds WIRE_GOVERNED_* to its record's. */
void subject_flag(struct subject *s, unsigned flags);

#endif
