/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_FORMAT_H
#define SEEP_OUTPUT_FORMAT_H
/* Pieces of the text format beside those of output.h. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "output/output.h"

/* "1,234,567" */
void format_count(uint64_t count, char out[FORMAT_SIZE]);

/* "s" unless count is 1 */
const char *plural(uint64_t count);

/* Writes what format_frame() returns, with whole paths if asked. max_columns: the function's name is cut in its middle
 * to make the line fit, but never below 24 columns; 0: no limit. */
void frame_put(FILE *f, const struct frame *frame, bool paths, size_t max_columns);

#endif
