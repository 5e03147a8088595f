/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_DIFFERENCE_H
#define SEEP_MODEL_DIFFERENCE_H
/* What differs between two moments: of one capture, or of two, also of other runs, versions and hosts. Plain data; strings and frames
 * are borrowed from whoever read the captures. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/report.h"

enum difference_change {
	DIFFERENCE_NEW,	 /* only after */
	DIFFERENCE_GREW, /* SHRANK, too, goes by what rows are ranked by */
	DIFFERENCE_SAME,
	DIFFERENCE_SHRANK,
	DIFFERENCE_GONE, /* only before */
};

/* What is outstanding at a site, or in all. interval_*: half the width of the 95% confidence interval, 0 when exact. */
struct held {
	uint64_t bytes, allocations;
	uint64_t interval_bytes, interval_allocations;
};

/* A site of all processes of one name, before or after. */
struct difference_site {
	const char *comm;
	enum site_kind kind;
	uint64_t fingerprint, family;
	struct held held;
	const char *truncated;
	const struct frame *frames;
	size_t n_frames;
};

struct difference {
	enum difference_change change;
	bool by_family; /* the stacks have the same functions, but not the same code: another version of some file */
	bool within_error; /* the intervals of before and after could explain it */
	struct held before, after;
	struct difference_site
		site; /* as it is after, or, if it is gone, was before; held is not filled */
};

/* One of the two moments. */
struct difference_moment {
	const char *path;
	uint64_t sequence; /* of the report; 0: each process's last */
	const char *mark;  /* that the report set, if it was chosen by it; or NULL */
	const char *hostname, *version, *kernel;
	uint64_t time_ns; /* of the last of its reports; CLOCK_REALTIME */
	double elapsed_seconds;
	enum report_mode mode;
	uint64_t min_size_bytes, max_size_bytes;
	double min_age_seconds;
	size_t n_processes;
	struct held held; /* of all sites */
};

struct difference_report {
	struct difference_moment before, after;
	struct difference *items; /* ranked: what grew most first, what shrank most last */
	size_t n;
};

#endif
