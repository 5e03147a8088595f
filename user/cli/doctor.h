/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_DOCTOR_H
#define SEEP_CLI_DOCTOR_H
/* What `seep doctor` found out, between those who look (doctor_host.c, doctor_features.c, doctor_target.c) and those
 * who show it (doctor_text.c, doctor_ndjson.c). */
#include <stdbool.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "attach/calibrate.h"
#include "base/diag.h"
#include "process/identity.h"

struct cover;
struct maps;

enum check_state {
	CHECK_GOOD,
	CHECK_FACT,    /* neither good nor bad */
	CHECK_LESS,    /* seep traces, but something is slower or not seen */
	CHECK_MISSING, /* seep cannot trace */
};

struct check {
	const char *name;
	enum check_state state;
	char text[384];
	char hint[384]; /* what that means and how to get it, or "" */
};

#define HOST_MAX_CHECKS 24

struct host {
	uint64_t time_ns; /* CLOCK_REALTIME */
	struct utsname system;
	struct check checks[HOST_MAX_CHECKS];
	size_t n_checks;
	bool can_trace;		  /* all of it was done, on a process of our own */
	struct calibration costs; /* with can_trace */
	struct diag refusal;	  /* without */
};

/* Looks at everything. link: the kind to measure, 0: the best that works. Takes up to a second,
 * three with perf links. */
void host_examine(enum link_kind link, struct host *ret);
/* Appends a check; further ones than there is room for replace the last. hint: NULL for none. */
void host_add_check(struct host *h, const char *name, enum check_state state, const char *hint,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Appends what watch, selectors, --budget, --growth and OOM evidence need, tried once; after the trial. */
void features_examine(enum link_kind link, struct host *h);
/* The word for a check's state: "ok", "", "less", "missing". */
const char *check_state_name(enum check_state state);

/* How one file's code is unwound. */
struct stack_file {
	char *path;		/* "[vdso]" */
	char *without;		/* why there is no table, NULL when there is; then the rest is 0 */
	size_t n_rows, n_bytes; /* of the table, in the kernel */
	uint64_t text_bytes, covered_bytes, unsupported_bytes; /* as in struct unwind_table */
	uint32_t n_functions, n_corrupt; /* described by CFI; left out, as theirs is corrupt */
	bool cached;			 /* else it was built now */
	double seconds;			 /* that this took */
};

struct stacks {
	struct stack_file *items;
	size_t n, cap;
	uint64_t generated_bytes; /* of code that is in no file */
};

/* Makes or loads the tables of all files that a process, which is only read, has mapped as code. ret, zeroed by the caller, is
 * filled as far as that went, and needs stacks_done. Returns 0 or -errno with a diag. */
int stacks_examine(pid_t pid, struct stacks *ret, struct diag *d);
void stacks_done(struct stacks *s);
/* Whether an executable mapping before the i-th shows the same file. */
bool target_seen_before(const struct maps *maps, size_t i);

#define TARGET_MAX_NOTES 24

struct target {
	struct identity id;
	struct cover *cover; /* has the process's files and plans */
	size_t n_probes;
	char *notes[TARGET_MAX_NOTES]; /* what will not be seen, sentences */
	size_t n_notes;
	struct stacks stacks;
};

/* Plans for a process, which is only read. cover is borrowed until target_done. Returns 0, or
 * -errno with the diag that `seep trace` gives for it. ret, zeroed by the caller, is filled as far
 * as it got, identity first (pid 0: nothing), and always needs target_done. */
int target_examine(struct cover *cover, pid_t pid, struct target *ret, struct diag *d);
void target_done(struct target *t);

/* The kind of link that a probe gets; host->can_trace. */
enum link_kind host_link_of(const struct host *host, const struct plan_probe *probe);

/* width: columns of the terminal, 0: no limit. */
struct doctor_view {
	FILE *f;
	unsigned width;
};

struct doctor_format {
	void (*host)(const struct doctor_view *v, const struct host *host);
	void (*target)(const struct doctor_view *v, const struct host *host,
		       const struct target *t);
};

extern const struct doctor_format doctor_text, doctor_ndjson;

#endif
