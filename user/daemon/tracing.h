/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_TRACING_H
#define SEEP_DAEMON_TRACING_H
/* A live trace: the kernel side, the probes, and what is known of each traced process. The launcher's thread and the main thread
 * share it: `lock` guards `traced`, `symbolizer` and the address spaces; cover has a lock of its own. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "base/hashmap.h"
#include "base/strings.h"
#include "daemon/tables.h"
#include "model/snapshot.h"
#include "process/container.h"
#include "process/identity.h"

struct address_space;
struct calibration;
struct checking;
struct collector;
struct collector_event;
struct cover;
struct governor;
struct kernel;
struct kernel_symbols;
struct mapping;
struct mapping_watch;
struct symbolizer;
struct trace_options;
struct traced;
struct unwinder;

struct tracing {
	struct kernel *kernel;
	struct cover *cover;
	struct unwinder *unwinder; /* NULL: stacks by frame pointers, or none */
	struct tables tables;	   /* with an unwinder */
	struct calibration *costs; /* with a budget: governing_prepare()'s; else NULL */
	struct governor *governor; /* NULL: no budget */
	struct checking *checking; /* --check, or NULL; borrowed */
	unsigned budget_percent;
	struct collector *collector;
	struct mapping_watch *mappings;
	struct symbolizer *symbolizer;
	struct strings strings;
	struct containers containers; /* under lock */
	pthread_mutex_t lock;
	struct hashmap traced; /* instance -> struct traced */
	struct hashmap
		by_pid; /* pid -> struct traced that it is now, its own or the one whose memory it borrows */
	bool launched; /* the launcher stops processes for us: no need to hurry after them */
	bool everything; /* every process is traced: looked at when it has something to show, and not before */
	bool selecting; /* processes come to be traced while others are */
	bool quiet;
	bool restricted; /* by -O or -S */
	struct kernel_symbols
		*kernel_symbols; /* --kernel: its own allocations are traced; else NULL */
	size_t max_frames;	 /* of a stack */
	bool growth;		 /* touched pages and mappings, without probes */
	bool urgent; /* something happened that wants a report at once: whoever makes it resets this */
	struct hashmap touched;	   /* pids with new mappings since the last drain */
	struct hashmap generating; /* those with code of no file */
	struct hashmap
		leaving; /* pid -> struct traced: ended since the last drain, whose mappings may be told only now */
	struct hashmap asking; /* instances whose mappings the kernel asked for */
	struct hashmap strays; /* instances that were nobody at the last report */
	uint64_t grown_ns;   /* when it was last seen who has lived for a while, CLOCK_MONOTONIC */
	uint64_t drained_ns; /* CLOCK_MONOTONIC: what happened until then has been seen */
	uint64_t n_lost_events, n_lost_mappings; /* as of the last drain */
	_Atomic uint64_t n_unprobed;		 /* times a process could not be probed */
	uint64_t n_lost_calls;			 /* of -t, as on_call said */
	/* Processes that are not traced, and whether one still is after it executed another program; NULL: nobody asks. */
	void (*on_stranger)(void *arg, const struct collector_event *event);
	bool (*is_wanted)(void *arg, pid_t pid, const char *name);
	void *select_arg;
	/* -t events; returns false when one is lost. */
	bool (*on_call)(void *arg, const struct collector_event *event);
	void *on_call_arg;
};

/* Loads the kernel side and readies all else. Returns 0 or -errno with a diag. */
int tracing_open(const struct trace_options *options, struct tracing *t, struct diag *d);
/* Removes everything; accepts a half-open one. */
void tracing_close(struct tracing *t);

/* Begins to trace a running process. Returns 0 or -errno with a diag (-ENOENT: it has no allocation function). */
int tracing_attach(struct tracing *t, pid_t pid, struct diag *d);
/* The same; one without an allocation function may map one later. since_ns: CLOCK_MONOTONIC when it began to run its program, 0:
 * as it was started. Returns 0; -EEXIST: it is traced already; -ESRCH: it has ended meanwhile; or -errno with a diag. Nothing of
 * it is left then. */
int tracing_begin(struct tracing *t, const struct identity *id, uint64_t since_ns, struct diag *d);
/* It turns out not to be wanted: its tracing ends, and no report names it. */
void tracing_dismiss(struct tracing *t, pid_t pid);
bool tracing_is_traced(struct tracing *t, pid_t pid);
/* Whether any process is. */
bool tracing_has_any(struct tracing *t);
/* Whether an instance turned out not to be wanted. Any thread. */
bool tracing_is_dismissed(struct tracing *t, instance_id instance);
/* Ends the tracing of a process that lives on: its next report is its last. */
void tracing_release(struct tracing *t, pid_t pid);
/* Begins to trace our launcher's child before it executes the command. */
int tracing_adopt(struct tracing *t, pid_t pid, struct diag *d);

/* A stopped process has new executable mappings: probes them. Any thread. */
void tracing_mapped(struct tracing *t, pid_t pid);
/* A stopped child, before its first instruction. Any thread. */
void tracing_forked(struct tracing *t, pid_t pid, bool shares_memory);
/* A process of the launcher's has ended: removes its probes. Any thread. */
void tracing_ended(struct tracing *t, pid_t pid);

/* Handles all events that wait. */
void tracing_drain(struct tracing *t);
/* Reads /proc/PID/maps and RSS of all that live: for the report that comes. */
void tracing_refresh(struct tracing *t);

/* After a report: who was in it as alive, and was nobody then and at the report before, ends now, so that its next report is its last. The
 * kernel side tells of all ends; this is for what it could not note, as of one that came while it was being attached to. */
void tracing_end_strays(struct tracing *t, const struct snapshot *s);

/* What is known of an instance, or NULL; valid until it is forgotten. */
struct traced *tracing_find(struct tracing *t, instance_id instance);
/* After its last report: frees what is known of an instance, and what the kernel keeps of it. */
void tracing_forget(struct tracing *t, const struct snapshot *s, instance_id instance);

#endif
