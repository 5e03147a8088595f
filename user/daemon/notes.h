/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_NOTES_H
#define SEEP_DAEMON_NOTES_H
/* What a report says in sentences of a process: what is not seen of it, and files whose stacks are poor. */
#include <stddef.h>

struct process_report;
struct snapshot_process;
struct tracing;

/* The sentences of all processes of one report. */
struct note_list {
	char **items;
	size_t n, cap;
};

/* Adds a process's notes to its report; they belong to list. Without memory there are none. */
void notes_fill(struct tracing *t, const struct snapshot_process *from, struct process_report *to,
		struct note_list *list);
void notes_done(struct note_list *list);

#endif
