/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BASE_DIAG_H
#define SEEP_BASE_DIAG_H
/* What went wrong, for a person: lower floors fill it, the command prints it once. */

/* text: what happened and to what ("libfoo.so: .dynsym: entry size 7 is not 24").
 * hint: what to do about it, or "". exit_code: one of enum exit_code below, 0 when nothing was set. */
struct diag {
	char text[1024];
	char hint[512];
	int exit_code;
};

/* Exit codes of the program, in DESIGN.md's order. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_RUNTIME = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3, /* the kernel or the privileges do not allow it */
	EXIT_LOST = 4,	  /* finished, but events were lost */
	EXIT_LEAKED = 5,  /* --check: unreachable blocks remained */
	EXIT_COMMAND = 6, /* --check: none did, but the command failed */
};

/* Sets the text, exit_code EXIT_RUNTIME, no hint; d may be NULL. Returns -err, so that callers can write
 * `return diag_set(d, EINVAL, ...)`. */
int diag_set(struct diag *d, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with exit code and hint. */
int diag_set_hint(struct diag *d, int err, enum exit_code code, const char *hint, const char *fmt,
		  ...) __attribute__((format(printf, 5, 6)));

#endif
