/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_SCAN_PATH_H
#define SEEP_MODEL_SCAN_PATH_H
/* Why a block is reachable: a chain of pointers from a root down to it. Plain data beside a report, as in scan_report.h; strings come
 * from the traced process. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/report.h"

/* Where the first pointer lies. */
struct scan_root {
	const char *
		kind; /* "global", "data", "stack", "register", "heap" (memory of the break in no known block), "mapping" */
	const char *name;   /* of the variable or register, or NULL */
	const char *module; /* the file, or what the mapping is called, or NULL */
	uint64_t offset; /* from the variable's start; of data in the file's virtual addresses; else from the mapping's start */
	uint32_t tid;	 /* of the thread whose stack or register it is, 0: none */
};

struct scan_step {
	uint64_t pointer; /* its address, 0: a register */
	uint64_t offset;  /* of the pointer in the block of the step before */
	uint64_t block, size_bytes;
	double age_seconds;	 /* negative: it was freed meanwhile */
	const struct site *site; /* NULL: not known */
};

struct scan_path {
	const struct report *report;
	uint32_t process; /* index into report.processes */
	uint64_t address; /* that was asked for */
	bool known; /* it is in an outstanding block that was traced; else only pointers to this very word count */
	struct scan_root root;
	const struct scan_step
		*steps; /* the last one's block is the one asked for; none: it is not reachable */
	size_t n_steps;
	uint64_t block, size_bytes; /* the one asked for */
	const struct site *site;
};

#endif
