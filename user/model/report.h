/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_REPORT_H
#define SEEP_MODEL_REPORT_H
/* A report: what is outstanding, at one moment, in all traced processes. Plain data that every room right of collect/
 * shares. Strings are borrowed (interned by whoever built the report) and outlive it; NULL where unknown. Times are
 * CLOCK_REALTIME nanoseconds, ages and durations seconds, sizes bytes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/mark.h"

struct free_error;
struct memory_account;

struct frame {
	const char *function; /* demangled; NULL: no name, show module+offset */
	const char *module; /* path as mapped, "[vdso]", "[jit]", or NULL when no mapping was known */
	const char *build_id; /* hex, or NULL */
	uint64_t offset; /* of the call in the module's virtual addresses; the raw address when module is NULL */
	const char *file; /* source file, or NULL */
	uint32_t line;	  /* 0 unknown */
	bool inlined;	  /* into the next frame that is not inlined */
};

enum site_kind {
	SITE_MALLOC = 1,
	SITE_MMAP = 2,
	SITE_BRK = 3,
	SITE_FAULT = 4,
	SITE_KERNEL = 5,
};

/* Ages of which it is told how many reach them: 1 s, 10 s, 1 min, 10 min. */
#define SITE_AGES 4
extern const double site_age_seconds[SITE_AGES];
extern const char *const site_survival_names[SITE_AGES]; /* of the fields of records */

/* Counted in estimates when sampling: integers after scaling. interval_*: half the width of the 95% confidence interval
 * of the outstanding figure, 0 when exact. */
struct site {
	uint32_t process; /* index into report.processes */
	uint64_t fingerprint, family;
	enum site_kind kind;
	uint64_t outstanding_bytes, outstanding_allocations;
	uint64_t allocated_bytes, allocations;
	uint64_t freed_bytes, frees;
	uint64_t interval_bytes, interval_allocations;
	double oldest_age_seconds,
		median_age_seconds; /* of outstanding blocks; negative: unknown */
	/* By site_age_seconds: the share of what it allocated at least so long ago that is still there, when that was last known to within
	 * three times the age; NAN: never. */
	double survival[SITE_AGES];
	double growth_bytes_per_second; /* NAN: not known yet */
	double confidence;		/* of the verdict, 0 to 1 */
	const char *verdict;		/* DESIGN.md's list */
	const char *evidence;	    /* of the verdict: a sentence without its full stop, or NULL */
	const char *truncated;	    /* why the stack ends early or is not there, or NULL */
	const struct frame *frames; /* leaf first */
	size_t n_frames;
	const char *suppressed; /* the rule by which the user does not want to see it, or NULL */
	struct since_mark since_mark; /* with a mark in the report */
};

struct loss {
	const char *cause; /* "live_map_full", ...; snake_case, a contract once printed */
	uint64_t count;
};

struct process_report {
	uint32_t instance; /* which process of a session, as in model/snapshot.h; 0: not known. Not saved */
	uint32_t pid;
	uint64_t start_ns;  /* CLOCK_REALTIME when it was first seen: the same in all its reports */
	double age_seconds; /* 0: unknown */
	const char *comm, *exe, *cgroup, *container, *namespace_, *pod;
	const char *container_name,
		*pod_uid;	/* what the runtime calls it; from the cgroup's path */
	uint32_t namespace_pid; /* its pid in its own pid namespace; 0: the same as ours */
	bool final;		/* its last report */
	const char *
		ended; /* "exit", "exec", "released" (it lives on, untraced), or NULL while it is traced */
	int exit_status; /* wait(2) status, with ended "exit" */
	bool oom_killed; /* the kernel chose it to die for want of memory */
	uint64_t limit_hits; /* times that its cgroups were at their memory limits, since the trace began */
	double limit_hit_age_seconds; /* of the last of these; NAN: none, or not known */
	uint64_t outstanding_bytes, outstanding_allocations;
	uint64_t allocated_bytes, freed_bytes, allocations, frees;
	uint64_t interval_bytes, interval_allocations;
	uint64_t inherited_frees, unknown_frees;
	uint64_t rss_bytes;		     /* last known */
	uint64_t limit_bytes;		     /* 0: none */
	const struct memory_account *memory; /* what rss is made of; NULL: not known */
	double growth_bytes_per_second;	     /* NAN: not known yet */
	double seconds_to_limit;	     /* NAN: null */
	double overhead_ratio; /* what probes cost, by its own CPU time; NAN: not known */
	const char *
		mode; /* "exact", "sampled", "windows", "detached": what the governor has it at; NULL: no governor */
	uint64_t sample_interval_bytes; /* of mode: mean bytes between samples, 0: all */
	double duty;	/* of mode: share of time in which allocations are recorded */
	bool estimated; /* the governor has not had everything recorded: figures are estimates */
	double joint_error; /* half of the 95% interval that what is estimated shares, by its total: of the windows it was seen in. Not saved */
	const char *governed; /* what a person is to know of the mode, or NULL */
	const char *verdict;
	double confidence;    /* of the verdict, 0 to 1 */
	const char *evidence; /* as a site's */
	double seen_from_seconds; /* age of the process when tracing of it began; 0: from its first instruction */
	const char *notes[8]; /* what is not seen, in full sentences */
	size_t n_notes;
	struct loss *losses; /* non-zero ones only */
	size_t n_losses;
	/* Stacks taken so far: one an allocation, when sampling one a sample; 0: not known. Of those ended early, by reason
	 * ("too_deep"), which loses nothing: */
	uint64_t n_stacks;
	struct loss *truncated; /* non-zero ones only */
	size_t n_truncated;
	struct since_mark since_mark; /* with a mark in the report */
};

struct block {
	uint32_t process; /* index into report.processes */
	uint64_t address, size_bytes;
	double age_seconds;
	uint64_t site;	   /* fingerprint of its site */
	int reachable;	   /* -1 null, 0, 1 */
	uint64_t birth_ns; /* CLOCK_MONOTONIC: with process and address its identity */
	bool walked;	   /* found in malloc's heap, from before the trace: without age and site */
};

enum report_mode {
	REPORT_EXACT,
	REPORT_SAMPLED_COUNT, /* sample_interval: one in that many allocations */
	REPORT_SAMPLED_BYTES, /* sample_interval: mean bytes between samples */
	REPORT_SAMPLED_PAGES, /* the same of touched pages; totals are of them, mappings stand beside */
};

/* What does not change from report to report. */
struct session {
	int schema; /* 1 */
	const char *version, *kernel, *hostname;
	uint64_t start_ns;
	enum report_mode mode;
	uint64_t sample_interval;
	uint64_t min_size_bytes, max_size_bytes; /* -z, -Z; 0: no bound */
	double min_age_seconds; /* -o: outstanding means outstanding for at least so long; 0: all */
	const char *const *targets; /* "pid 123", "command ./a.out" */
	size_t n_targets;
	const char *const *capabilities; /* "link:session", "task_storage", ... */
	size_t n_capabilities;
};

struct report {
	uint64_t time_ns;
	double elapsed_seconds; /* since the session began */
	uint64_t sequence;	/* 1, 2, ... */
	const struct mark
		*mark; /* the last one set until then, maybe by this very report; NULL: none */
	struct process_report *processes;
	size_t n_processes;
	struct site *
		sites; /* by process, within one as the user asked, all of them; outputs cut to top */
	size_t n_sites;
	const struct free_error *errors; /* at free, by process */
	size_t n_errors;
	uint64_t map_bytes;   /* kernel memory that seep's maps take */
	bool map_bytes_bound; /* it is only known that they take no more (kernels before 6.3) */
	struct loss *losses;  /* of no one process */
	size_t n_losses;
};

/* Why and how a session ended. */
struct session_end {
	uint64_t time_ns;
	const char *why; /* "target exited", "interrupted", "count reached", ... */
	double duration_seconds;
	struct loss *losses; /* sums over all processes and causes */
	size_t n_losses;
};

/* Whether a mark was set by it. */
bool report_is_mark(const struct report *r);

/* The number of the living process with that pid, or of what it was last when it has ended; n_processes when there is neither. */
uint32_t report_find(const struct report *r, uint32_t pid);

#endif
