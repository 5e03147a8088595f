/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_TEXT_FOLD_H
#define SEEP_OUTPUT_TEXT_FOLD_H
/* Text made to fit a screen: sentences broken into lines, stacks cut to the frames that say whose code it is. */
#include <stddef.h>
#include <stdio.h>

#include "model/report.h"
#include "output/output.h"

/* Writes text, escaped, broken at spaces so that no line is wider than width columns (0: no limit; a longer word stands alone).
 * column: where it begins; lines that follow begin at indent. No line feed at its end. */
void text_put_wrapped(FILE *f, const char *text, size_t column, size_t indent, size_t width);

#define FOLD_MOST 5
struct text_fold {
	size_t frames[FOLD_MOST]; /* numbers of those to show, ascending */
	size_t n;
};

/* Chooses at most `most` (up to FOLD_MOST) frames: of those of libc and its like at the leaf's end only the function that was called
 * from outside of them, none of those by which a thread begins, each function once in a row; those nearest to the leaf, and two of
 * exe's own where none is near. exe: path of the program, or NULL. */
void text_fold(const struct frame *frames, size_t n, const char *exe, size_t most,
	       struct text_fold *ret);

#endif
