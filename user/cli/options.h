/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_OPTIONS_H
#define SEEP_CLI_OPTIONS_H
/* What each command was asked to do: plain structs, filled from argv by the tables in
 * options_*.c. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "daemon/trace_options.h"
#include "daemon/watch_view.h"
#include "process/select.h"

enum options_format {
	OPTIONS_FORMAT_TEXT,
	OPTIONS_FORMAT_NDJSON,
	OPTIONS_FORMAT_FOLDED,
	OPTIONS_FORMAT_PPROF,
	OPTIONS_FORMAT_HTML,
};

enum options_color {
	OPTIONS_COLOR_AUTO, /* at a terminal, unless NO_COLOR is set */
	OPTIONS_COLOR_ALWAYS,
	OPTIONS_COLOR_NEVER,
};

/* `seep watch`. Strings are the caller's argv. */
struct watch_options {
	struct watch_view_options show;
	const char *comm; /* these five as in struct selector; NULL: any */
	const char *exe;
	const char *cgroup;
	const char *container;
	const char *user;
	bool escalate;	    /* trace who grows: `seep trace --escalate` */
	int format;	    /* OPTIONS_FORMAT_TEXT or OPTIONS_FORMAT_NDJSON */
	int color;	    /* enum options_color */
	const char *output; /* NULL: stdout */
	bool verbose, quiet;
	uint64_t interval_ns; /* between reports */
	uint64_t count;	      /* reports until the end, 0: no limit */
	uint64_t duration_ns; /* 0: no limit */
};

enum options_pointers {
	OPTIONS_POINTERS_INTERIOR,
	OPTIONS_POINTERS_START,
};

/* `seep scan`. Strings are the caller's argv. */
struct scan_options {
	struct pid_list pids;	/* exactly one */
	uint64_t duration_ns;	/* of the tracing before the scan */
	uint64_t passes;	/* 1 with stop */
	uint64_t pause_ns;	/* between passes */
	bool stop;		/* the process, for one pass */
	bool heap_walk;		/* blocks from before the trace, too */
	int pointers;		/* enum options_pointers */
	bool tagged;		/* pointers with other bits in them count */
	const char *paths;	/* an address as given, NULL: leaks */
	uint64_t paths_address; /* the same */
	bool show_allocs;	/* -a: each outstanding block */
	bool combined_only;	/* -C: totals without stacks */
	uint64_t top;		/* 0: all */
	int format;		/* OPTIONS_FORMAT_TEXT or OPTIONS_FORMAT_NDJSON */
	int color;		/* enum options_color */
	const char *output;	/* NULL: stdout */
	bool verbose, quiet;
	uint64_t threads;	  /* of seep's own, 0: as many as there are CPUs, 4 at most */
	uint64_t max_outstanding; /* as in struct trace_options, as the next */
	int stack;
};

/* `seep triage`. */
struct triage_options {
	struct pid_list pids; /* at most one; else: */
	struct selector select;
	uint64_t duration_ns;
	uint64_t budget_percent; /* 0: no bound */
	const char *evidence;	 /* folder in which one is made */
	bool no_evidence, json, verbose, quiet;
	int color; /* enum options_color */
};

/* `seep report`. */
struct report_options {
	const char *suppressions; /* file of rules, or NULL */
	const char *path;	  /* of the capture, "-": stdin */
	bool all_reports;	  /* text: each report, not only the last of each process */
	const char *mark;	  /* only the report of this mark; NULL: all */
	bool show_allocs;
	bool combined_only;
	uint64_t top;		/* 0: all */
	uint64_t top_processes; /* 0: all */
	int sort;		/* enum options_sort */
	int format;		/* enum options_format */
	int color;		/* enum options_color */
	const char *output;	/* NULL: stdout */
};

/* `seep diff`. */
struct diff_moment {
	const char *path;  /* of the capture, "-": stdin */
	uint64_t sequence; /* of the report, 0: not given */
	const char *mark;  /* or of which mark, "start" or "end"; NULL: not given */
};

struct diff_options {
	struct diff_moment before, after; /* after.path NULL: the same file */
	bool verbose;
	uint64_t top;	    /* 0: all */
	int sort;	    /* enum options_sort */
	int format;	    /* OPTIONS_FORMAT_TEXT or OPTIONS_FORMAT_NDJSON */
	int color;	    /* enum options_color */
	const char *output; /* NULL: stdout */
};

/* `seep mark`. Strings are the caller's argv. */
struct mark_options {
	const char *name;
	struct pid_list pids; /* the trace of this process; empty, or one */
	uint64_t trace;	      /* the trace that is this process; 0: any */
};

/* `seep serve`. Strings are the caller's argv. */
struct serve_options {
	struct trace_options trace;
	const char *listen; /* an address as given, NULL: none */
	const char *socket; /* path, NULL: the usual one */
	bool insecure;	    /* any address, open to all */
};

/* `seep doctor`. */
struct doctor_options {
	struct pid_list pids; /* may be empty: the host only */
	int format;	      /* OPTIONS_FORMAT_TEXT or OPTIONS_FORMAT_NDJSON */
	int link;	      /* enum options_link */
};

/* `seep help`. */
struct help_options {
	const char *topic; /* a command, NULL: seep itself */
	bool man, list_commands, list_options;
	int completion; /* enum options_shell */
};

enum options_shell {
	OPTIONS_SHELL_NONE,
	OPTIONS_SHELL_BASH,
	OPTIONS_SHELL_ZSH,
};

/* What the parse functions below return when the user asked for words instead of work. */
enum options_request {
	OPTIONS_HELP = 1,
	OPTIONS_VERSION = 2,
};

/* argv[0] is the command's name. Each returns 0; an enum options_request; -EINVAL (bad usage: exit
 * code 2) or -ENOMEM, with a diag. ret is filled only on 0 and then needs its _done. Not
 * thread-safe (getopt). In the caller:
 *	r = trace_options_parse(argc, argv, &o, &d);
 *	if (r)
 *		return command_settle(&command_trace, r, &d);
 */
int trace_options_parse(int argc, char **argv, struct trace_options *ret, struct diag *d);
/* What --escalate makes of a watch. Strings are borrowed. Returns 0, or -EINVAL with a diag. */
int trace_options_escalate(const struct watch_options *w, struct trace_options *ret,
			   struct diag *d);
/* The rules between options, and what follows of no target being given. Returns 0, or -EINVAL with a diag. */
int trace_options_check(struct trace_options *o, struct diag *d);
/* As without any option. */
void trace_options_defaults(struct trace_options *ret);
int triage_options_parse(int argc, char **argv, struct triage_options *ret, struct diag *d);
int scan_options_parse(int argc, char **argv, struct scan_options *ret, struct diag *d);
int watch_options_parse(int argc, char **argv, struct watch_options *ret, struct diag *d);
int report_options_parse(int argc, char **argv, struct report_options *ret, struct diag *d);
int diff_options_parse(int argc, char **argv, struct diff_options *ret, struct diag *d);
int mark_options_parse(int argc, char **argv, struct mark_options *ret, struct diag *d);
int serve_options_parse(int argc, char **argv, struct serve_options *ret, struct diag *d);
int doctor_options_parse(int argc, char **argv, struct doctor_options *ret, struct diag *d);
int help_options_parse(int argc, char **argv, struct help_options *ret, struct diag *d);
void trace_options_done(struct trace_options *o);
void watch_options_done(struct watch_options *o);
void triage_options_done(struct triage_options *o);
void scan_options_done(struct scan_options *o);
void mark_options_done(struct mark_options *o);
void serve_options_done(struct serve_options *o);
void doctor_options_done(struct doctor_options *o);

/* The name that output_find() knows. */
const char *options_format_name(enum options_format format);

#endif
