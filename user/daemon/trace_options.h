/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_TRACE_OPTIONS_H
#define SEEP_DAEMON_TRACE_OPTIONS_H
/* What a trace was asked to do. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/select.h"

/* Process ids as given, without duplicates. */
struct pid_list {
	pid_t *items;
	size_t n, cap;
};

enum options_sort {
	OPTIONS_SORT_SIZE,
	OPTIONS_SORT_COUNT,
};

enum options_link {
	OPTIONS_LINK_BEST, /* the first of the following that attaches */
	OPTIONS_LINK_SESSION,
	OPTIONS_LINK_MULTI,
	OPTIONS_LINK_PERF,
};

enum options_stack {
	OPTIONS_STACK_CFI,
	OPTIONS_STACK_FP,
	OPTIONS_STACK_NONE,
};

/* `seep trace`. Strings are the caller's argv. Exactly one of pids, select, command and argv names
 * the target. */
struct trace_options {
	const char *suppressions;	     /* file of rules, or NULL */
	struct selector select;		     /* all of a host: --all */
	bool escalate;			     /* trace who grows only; also without any target */
	uint64_t escalate_ns, escalate_most; /* each for so long, so many at once */
	struct pid_list pids;
	const char *command;	/* -c: one string for the shell, or NULL */
	char **argv;		/* -- COMMAND ARGS: ends with NULL; or NULL */
	bool check;		/* --check: what each process of the command has lost at its end */
	bool errors, no_errors; /* look for errors at free; set by itself for a command */
	bool no_follow;		/* not the children of the target */

	bool trace;		/* -t: each call, to stdout */
	bool show_allocs;	/* -a: each outstanding block */
	bool combined_only;	/* -C: totals without stacks */
	bool wa_missing_free;	/* -F: accepted, changes nothing */
	uint64_t older_ns;	/* -o: only blocks at least so old, 0: all */
	uint64_t top;		/* -T: sites per process, 0: all */
	uint64_t top_processes; /* 0: all */
	int sort;		/* enum options_sort */
	int format;		/* enum options_format */
	int color;		/* enum options_color */
	const char *output;	/* file for the report, NULL: stdout */
	const char *capture;	/* -w: capture file, or NULL */
	bool verbose, quiet;

	uint64_t sample_rate;	    /* one in so many allocations, 1: all */
	uint64_t sample_bytes;	    /* mean distance of samples, 0: off */
	uint64_t min_size_bytes;    /* -z, 0: no bound */
	uint64_t max_size_bytes;    /* -Z, 0: no bound */
	const char *object;	    /* -O: only this file's functions, or NULL */
	const char *symbols_prefix; /* -S: or NULL */
	bool mmap;		    /* mmap and brk as well */
	bool kernel;	/* the kernel's own allocations; pids: only those made by these processes */
	bool percpu;	/* -P: of these only per-CPU memory; kernel is set, too */
	bool all_pages; /* with kernel: pages of processes and of the page cache, too */
	bool growth; /* instead: touched pages, mmap and brk; sample_bytes is set, a power of two */

	uint64_t max_outstanding; /* blocks the kernel map may hold */
	uint64_t max_sites;
	uint64_t stack_storage_size;  /* distinct stacks kept */
	uint64_t max_stack_depth;     /* frames, 1 to 127 */
	int link;		      /* enum options_link */
	int stack;		      /* enum options_stack */
	uint64_t unwind_memory_bytes; /* of unwind tables in the kernel */

	uint64_t budget_percent; /* of the targets' CPU time that probes may cost, 0: no bound */
	double allowed_anyway;	 /* with it: governor_options' */

	uint64_t interval_ns; /* between reports */
	uint64_t count;	      /* reports until the end, 0: no limit */
	uint64_t duration_ns; /* duration of the trace, 0: no limit */
};

#endif
