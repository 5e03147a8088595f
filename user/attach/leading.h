/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_LEADING_H
#define SEEP_ATTACH_LEADING_H
/* Windows of probes that all processes share (COVER_FILES): there is one schedule for all, the crowd's law's. Whoever else needs windows
 * makes the crowd lead; all follow then, and the cycles are as long as the most demanding of them needs. Private to the governor, under
 * its lock. */
#include <pthread.h>
#include <stdint.h>

#include "attach/subject.h"

struct cover;
struct crowd;

struct leading {
	pthread_mutex_t *lock; /* released while probes move; borrowed, as all pointers here */
	struct cover *cover;
	struct crowd *members;
	struct subjects *followers;
	struct subject crowd;
	uint64_t joined_ns;	/* crowd.law.since_ns when the followers joined last */
	uint64_t moving_ns;	/* how long it took, since the law was told */
	uint64_t moving_cpu_ns; /* in this cycle: what it cost */
};

/* Whether all follow. */
static inline bool leading_leads(const struct leading *l)
{
	return l->crowd.done.gated;
}

/* The crowd's law is stepped and carried out; l->crowd.next_ns says when next. */
void leading_step(struct leading *l, uint64_t now_ns);
/* A subject's law has left SAMPLED for windows: all go there. */
void leading_demand(struct leading *l, const struct subject *s, uint64_t now_ns);

#endif
