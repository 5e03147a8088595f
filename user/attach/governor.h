/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_GOVERNOR_H
#define SEEP_ATTACH_GOVERNOR_H
/* Keeps what probes cost within a budget: govern.h's law for each traced process, carried out by a thread of its own. It finds the
 * processes in the kernel side's records by itself. Where all are traced and share probes (COVER_FILES), those that are young, or are hardly
 * hit, have one law together, the crowd's; and windows are those of all, as the most expensive one needs them. */
#include <stdbool.h>
#include <stdint.h>

#include "attach/govern.h"
#include "base/diag.h"

struct calibration;
struct cover;
struct governor;
struct kernel;

struct governor_options {
	double budget; /* share of a process's own CPU time; of the host's, for all together; > 0 */
	uint64_t base_interval; /* of --sample-bytes, 0: everything is recorded */
	double allowed_anyway; /* of one CPU, for each process: within any budget; 0: as govern_init() has it */
};

/* k: opened with `governed`. k, cover are borrowed. costs: calibrate()'s, copied. Returns 0 or -errno with a diag. */
int governor_create(struct kernel *k, struct cover *cover, const struct calibration *costs,
		    const struct governor_options *options, struct governor **ret, struct diag *d);
/* Before the cover and the kernel go. Accepts NULL. */
void governor_destroy(struct governor *gov);

struct governor_state {
	enum govern_mode mode;
	uint64_t sample_interval; /* bytes, 0: all */
	double duty;		  /* share of time in which allocations are recorded */
	double overhead_ratio;	  /* overhead by own CPU time, of late; NAN: not known yet */
	double cause_ratio;	  /* what it was when it last went to a cheaper mode */
	double error;		  /* govern_error() */
	uint64_t since_ns;	  /* CLOCK_MONOTONIC: in this mode */
	bool inexact;		  /* it has not recorded everything all the time */
	bool shared; /* mode, duty and causes are those of all processes that share probes */
	bool unseen; /* no allocation was seen, in part because it was not looked for */
	bool missed_frees; /* there were times without probes on frees: what is outstanding is an upper bound */
};
/* Returns false for an instance that it does not know. Thread-safe. */
bool governor_get(struct governor *gov, uint32_t instance, struct governor_state *ret);
/* After an instance's last report. Thread-safe. */
void governor_forget(struct governor *gov, uint32_t instance);

#endif
