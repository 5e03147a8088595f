/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_SCANNING_H
#define SEEP_DAEMON_SCANNING_H
/* The scan of a traced process: its blocks by the kernel's map, its threads, its memory, and which blocks passes did not reach. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "model/threads.h"
#include "reach/blocks.h"
#include "reach/candidates.h"
#include "reach/mark.h"
#include "reach/memory.h"

struct collector;
struct freeze;
struct thread_reader;

struct scanning {
	pid_t pid;
	struct collector *collector; /* borrowed */
	struct reach_options options;
	bool heap_walk; /* what glibc's malloc handed out before the trace are blocks, too, of birth REACH_WALKED */
	uint64_t wanted; /* an address that counts as a block of one word if it lies in no other; 0: none */
	struct thread_reader *threads_reader;
	struct reach_memory memory;
	struct reach_progress progress;
	struct freeze *freeze;
	uint64_t stopped_ns; /* how long the process stood, all in all */
	/* Of the last pass. */
	struct thread_state *threads;
	size_t n_threads;
	struct reach_blocks blocks;
	uint8_t *marks;		 /* by block: 1 reached */
	unsigned n_arenas;	 /* of the heap that was walked; 0: none was */
	uint64_t unparsed_bytes; /* of it */
	uint64_t pass_bytes, pass_ns;
	/* Of all passes. */
	bool settled;
	unsigned n_thorough; /* passes with a second look, as pointers move */
	struct reach_candidates candidates;
	/* By block of the last pass; NULL: not known. */
	uint8_t *leaks, *kinds;
	uint32_t *roots;
};

/* Returns 0 or -errno with a diag. scanning_close accepts one that is zero but for memory.pagemap, which is -1. */
int scanning_open(struct scanning *s, pid_t pid, struct collector *collector,
		  const struct reach_options *options, struct diag *d);
void scanning_close(struct scanning *s);
/* The same for a process that stands for good, whose threads are known: without a reader of threads, for one pass. pid: that of one of
 * its threads that still has its memory. What malloc keeps of freed memory is no root then (reach/heap_chunks.h). */
int scanning_open_stopped(struct scanning *s, pid_t pid, struct collector *collector,
			  const struct reach_options *options, struct diag *d);

/* Before a pass: reads which blocks instance has, and its threads. stop: the process stands from now on, until scanning_resume().
 * Returns 0 or -errno with a diag. */
int scanning_prepare(struct scanning *s, uint32_t instance, bool stop, struct diag *d);
void scanning_resume(struct scanning *s);
/* In place of scanning_prepare, after scanning_open_stopped. threads: malloc'ed, taken over also on error. */
int scanning_prepare_stopped(struct scanning *s, uint32_t instance, struct thread_state *threads,
			     size_t n_threads, struct diag *d);

/* One pass, which may take minutes: any thread. When it ends what n_passes passes have to say, it makes leaks, kinds and roots, too, and
 * sets settled: then no further pass is needed. Once blocks turn up again that passes before had missed, pointers move so fast that
 * each pass looks twice, and there are more passes until one meets nothing again: up to SCANNING_MORE times as many. Returns 0; -ESRCH: the process has ended; -ECANCELED:
 * progress.stop was set; or -errno, with a diag. */
#define SCANNING_MORE 4
int scanning_pass(struct scanning *s, unsigned n_passes, struct diag *d);

#endif
