/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_COLLECT_CAPTURE_LINES_H
#define SEEP_COLLECT_CAPTURE_LINES_H
/* The lines of a file that may be gzipped or, as after zcat, plain. Private to the capture reader. */
#include <stddef.h>

struct diag;
struct capture_lines;

/* Bound on a line: longer than what a site of 128 frames with long C++ names takes, and short enough that what jansson
 * makes of it (some 30 bytes of memory for a byte of "[[],[],") stays bearable. */
#define CAPTURE_LINE_MAX (16 << 20)

/* path "-" is standard input. Returns 0 or -errno with a diag. Destroy accepts NULL. */
int capture_lines_create(const char *path, struct capture_lines **ret, struct diag *d);
void capture_lines_destroy(struct capture_lines *l);

/* The next line without its newline; valid until the next call. Returns 1; 0 at a proper end; -ENODATA when the file ends
 * within a line or within the gzip stream; -EBADMSG when it is damaged; -errno. The diag says what is wrong, without
 * the file's name. */
int capture_lines_next(struct capture_lines *l, const char **ret_line, size_t *ret_n,
		       struct diag *d);

#endif
