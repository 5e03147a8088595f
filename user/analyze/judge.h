/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_JUDGE_H
#define SEEP_ANALYZE_JUDGE_H
/* The verdict on a call site: whether what it allocates leaks. Out of its counters and of how many of its blocks are still there, by
 * time of birth, over time. No kernel, no clock: times are seconds since the session began. Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyze/cohort.h"

#define JUDGE_SLOTS COHORT_SLOTS

struct judge;

/* A site at one moment. */
struct judge_sample {
	double seconds;
	double allocations; /* since it is traced; when sampling: samples */
	double frees;
	double bytes;  /* outstanding, estimated */
	double weight; /* allocations that one counted above stands for: 1 when exact */
	const uint32_t *
		born; /* outstanding blocks by slot of birth, JUDGE_SLOTS; NULL: none is outstanding */
};

/* What a site is judged by beside its samples. */
struct judge_frame {
	const double *edges;		 /* where slots of birth begin, JUDGE_SLOTS + 1 */
	double began_seconds;		 /* its process is traced since */
	double age_seconds;		 /* of the process when its tracing began */
	double strange_frees_per_second; /* of the process: frees of blocks that it was not seen to allocate */
	bool may_leak; /* false: a leak is no verdict for such sites, as their blocks are not what was asked for */
};

struct judgement {
	const char *verdict; /* DESIGN.md's list */
	double confidence;   /* of the verdict, 0 to 1; 0 with "unknown" */
	/* Of "leak" and "growing", else NAN: bytes, with a 95% interval. */
	double bytes_per_second, low_bytes_per_second, high_bytes_per_second;
	double since_seconds; /* how long it has been like that */
	/* Of "leak": which share of what was allocated at least so long ago is still there, and of such blocks (n_watched) how many were
	 * freed in the last watched_seconds. */
	double kept_share, kept_age_seconds;
	double n_watched, n_freed, watched_seconds;
	double freed_share; /* of all that it ever allocated */
	const char *doubt;  /* why what stays is not called a leak, or NULL */
};

/* Returns 0 or -ENOMEM. Destroy accepts NULL. A judge takes 4 kB. */
int judge_create(struct judge **ret);
void judge_destroy(struct judge *j);

/* Adds a sample; time rises. Counters that fall below an earlier sample's begin a new history. */
void judge_add(struct judge *j, const struct judge_sample *s);
/* The verdict as of the newest sample. */
void judge_site(const struct judge *j, const struct judge_frame *f, struct judgement *ret);
/* Of the newest sample, which share of what was allocated at least age_seconds ago is still there. Blocks are known by slots of birth: the
 * youngest slot that is so old counts, and those before it. NAN: it is more than three times as old, or too few were allocated. */
double judge_survival(const struct judge *j, const struct judge_frame *f, double age_seconds);

#endif
