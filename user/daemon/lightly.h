/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_LIGHTLY_H
#define SEEP_DAEMON_LIGHTLY_H
/* How a trace follows a whole host: a process costs nothing until it has something to show. What it is called and has mapped is read
 * when it asks for its stacks to be walked, when it executes a program, or when it has lived for a second; until then it is what its
 * parent is. Part of tracing.c, with t->everything. */
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/tracing.h"

/* Enters the new record p, which it owns from now on. parent: the process it was forked from, or NULL. Caller holds the lock.
 * Returns p, or NULL without memory. */
struct traced *lightly_keep(struct tracing *t, struct traced *p, struct traced *parent);
/* It executes another program, called name. Takes the lock. */
void lightly_renamed(struct tracing *t, struct traced *p, const char *name);
/* It asked: it will be in the report. Takes the lock. */
void lightly_look(struct tracing *t, struct traced *p);
/* Makes its address space on first need. Caller holds the lock. */
void lightly_own_space(struct tracing *t, struct traced *p);
/* Notes for probing those that have lived for a second, or all that were not looked at: they hold on to the files that they
 * map. At most once a second, unless all. Caller holds the lock. */
void lightly_grow_up(struct tracing *t, bool all);
/* Whether the kernel is to know the process's mappings: without t->everything of any process; with it of those that asked, as
 * the tables have no room for a host full of processes. Takes the lock. */
bool lightly_is_walked(struct tracing *t, pid_t pid);

#endif
