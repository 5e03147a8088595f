/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_ERROR_LOG_H
#define SEEP_COLLECT_ERROR_LOG_H
/* The errors at free that the kernel side has told so far, alike ones counted as one. Not thread-safe. */
#include <stddef.h>
#include <stdint.h>

#include "model/snapshot.h"

struct error_log;
struct wire_stack;

/* Different ones that are kept; of more only the number is. */
#define ERROR_LOG_MAX 1000

/* free_stacks: bpf/freed.bpf.h's map, borrowed; -1: none. Returns 0 or -ENOMEM. */
int error_log_create(int free_stacks, struct error_log **ret);
/* Accepts NULL. */
void error_log_destroy(struct error_log *log);

/* Takes a struct wire_error; a callback of libbpf's rings: log is the log, the result 0. */
int error_log_take(void *log, void *data, size_t n_bytes);

/* Puts all into s->errors, which is empty. Stacks that came since the last time are passed to keep, which copies them. Returns 0 or
 * -ENOMEM. */
int error_log_read(struct error_log *log, struct snapshot *s,
		   void (*keep)(void *arg, uint64_t id, const struct wire_stack *stack), void *arg);
/* Drops those of an instance, and passes the ids of their stacks to drop. */
void error_log_forget(struct error_log *log, instance_id instance,
		      void (*drop)(void *arg, uint64_t id), void *arg);
/* Errors that found no room. */
uint64_t error_log_lost(const struct error_log *log);

#endif
