/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_EVENTS_H
#define SEEP_DAEMON_EVENTS_H
/* What the kernel tells of processes, and what follows from it for those that are traced: tracing_drain's part of tracing.c. */
#include <sys/types.h>

struct collector_event;
struct mapping;

/* A collector_event_fn and a mapping_fn; arg: the struct tracing. */
void events_on_event(void *arg, const struct collector_event *e);
void events_on_mapping(void *arg, pid_t pid, const struct mapping *m);

#endif
