/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_COVER_H
#define SEEP_ATTACH_COVER_H
/* Probes in every file of every traced process that defines allocation functions. A file's plan is made once; each process has
 * links of its own. Thread-safe: the launcher's thread and the main thread both come here. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "attach/kernel.h"
#include "base/diag.h"

struct cover;
struct plan;

enum cover_scope {
	COVER_PROCESSES, /* links of each traced process's own: nobody else pays */
	COVER_FILES, /* one link for all processes that map a file: for all of a host, where each hit would pass the links of all */
};

enum cover_parts {
	COVER_FREES = 1,
	COVER_ALLOCATIONS = 2,
	COVER_ALL = 3,
};

struct cover_options {
	enum cover_scope scope;
	const char *object; /* only files whose path ends with this (-O), or NULL */
	const char *prefix; /* only symbols with this prefix (-S), or NULL */
};

/* k is borrowed for the cover's life; NULL: plans only, nothing is attached (seep doctor). */
int cover_create(struct kernel *k, const struct cover_options *options, struct cover **ret,
		 struct diag *d);
/* Removes all probes. */
void cover_destroy(struct cover *c);

/* Looks through the process's executable mappings and probes the files that are new. Returns the number of files newly
 * probed (with COVER_FILES: that nobody else had mapped before), >= 0, or -errno with a diag (-ESRCH: it is gone; -ENOTSUP: a 32-bit program). Trouble with one file does not stop the
 * others; it is kept as a note. */
int cover_update(struct cover *c, pid_t pid, struct diag *d);

/* The thread that the process's probes hang on has ended, others live: they hang on another one from now on. Returns 1 when calls may have
 * been missed meanwhile, also if it was too late as all have ended by now; 0; or -errno with a diag: they may be, from now on. */
int cover_follow(struct cover *c, pid_t pid, struct diag *d);

/* The process has ended: its links are closed in the background. With COVER_FILES those of files that nobody else maps go some seconds
 * later, at one of the next calls of cover_update, cover_forget or cover_trim. */
void cover_forget(struct cover *c, pid_t pid);
/* Removes what nobody has needed for some seconds; to be called now and then. */
void cover_trim(struct cover *c);

/* COVER_PROCESSES: which parts of its probes (enum cover_parts, 0: none) a process wants from now on; all, unless told. They stand, or are
 * being removed in the background, on return. Returns 0, -ESRCH when it is not covered, or -errno with a diag when some could not be placed. */
int cover_set_parts(struct cover *c, pid_t pid, unsigned parts, struct diag *d);
/* COVER_FILES: the same for all files, those to come included. They stand, or are gone, on return. Returns 0 or the first -errno with a
 * diag. */
int cover_set_shared(struct cover *c, unsigned parts, struct diag *d);
/* Whether who forks or maps memory meanwhile has to wait while probes are moved: each perf event link is registered by itself, and
 * uprobe_register() keeps fork out of all processes until it has been through them (dup_mmap_sem), after a grace period each time. */
bool cover_moving_stops(const struct cover *c);
/* CPU time of ours that removing probes took so far. Thread-safe. */
uint64_t cover_closing_cpu_ns(struct cover *c);

/* How many probes a process has, 0 when none or unknown. */
size_t cover_count(struct cover *c, pid_t pid);

/* What is not seen in a process, in sentences: files with corrupt tables, no allocation functions at all. Appends at most max
 * strings, malloc'ed, to ret. Returns their number. */
size_t cover_notes(struct cover *c, pid_t pid, char **ret, size_t max);

/* Visits the files of a process that have probes. Do not call back into the cover. */
void cover_each(struct cover *c, pid_t pid,
		void (*visit)(void *arg, const char *path, const struct plan *plan), void *arg);

#endif
