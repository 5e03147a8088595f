/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_MAPPING_QUEUE_H
#define SEEP_COLLECT_MAPPING_QUEUE_H
/* Between the kernel's rings, which are small and of a fixed size, and a loop that may be busy for longer than they last: a thread of the
 * queue's own moves records into bounded memory as soon as they come, and the loop takes them when it can. What finds no room stays in
 * the rings, and is the kernel's to count when these are full, too.
 *
 * Threads: one consumer, which creates, drains and destroys it; the queue's own thread. fill is called by either of them,
 * never by both at once, nor between mapping_queue_hold and mapping_queue_go_on. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define MAPPING_RECORD_MAX 65535 /* perf_event_header.size has 16 bits */

struct mapping_queue;

/* Moves what waits at the source by mapping_queue_put, oldest first, until nothing does or that refuses. */
typedef void (*mapping_fill_fn)(void *arg, struct mapping_queue *q);
/* record: n bytes, the consumer's until the next one. */
typedef void (*mapping_pass_fn)(void *arg, void *record, size_t n);

/* max_bytes: of records that wait, each with 4 bytes more. source_fd: borrowed, readable when fill has something to move.
 * Starts the thread. Returns 0 or -errno with a diag. */
int mapping_queue_create(size_t max_bytes, int source_fd, mapping_fill_fn fill, void *arg,
			 struct mapping_queue **ret, struct diag *d);
/* Ends the thread; what still waits is dropped. Accepts NULL. */
void mapping_queue_destroy(struct mapping_queue *q);
/* Readable when there is something to drain. */
int mapping_queue_fd(const struct mapping_queue *q);

/* For fill only. n: 1 to MAPPING_RECORD_MAX. Returns false when there is no room for it now. */
bool mapping_queue_put(struct mapping_queue *q, const void *record, size_t n);
/* The consumer's. Passes on what waits, and then what still waits at the source, in the order in which fill moved it; at least all that
 * had come before the call, unless more comes all the time: then the descriptor is readable again. */
void mapping_queue_drain(struct mapping_queue *q, mapping_pass_fn pass, void *arg);

/* The consumer's: no fill runs between these two, so that it may change the source. In between mapping_queue_put is its own. */
void mapping_queue_hold(struct mapping_queue *q);
void mapping_queue_go_on(struct mapping_queue *q);

#endif
