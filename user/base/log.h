/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BASE_LOG_H
#define SEEP_BASE_LOG_H
/* Messages for people, to stderr. Only cli/ and daemon/ call these; lower floors fill a struct diag. */
#include "base/diag.h"

enum log_level {
	LOG_QUIET,
	LOG_NORMAL,
};

/* The one process-wide setting. Not thread-safe: set once, before threads. */
void log_set_level(enum log_level level);

/* "seep: TEXT\n"; log_info not at LOG_QUIET, log_error always. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints the text and, on a line of its own, the hint. Returns the exit code to use: d's, or EXIT_RUNTIME. */
int log_diag(const struct diag *d);

#endif
