/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_ESCAPE_H
#define SEEP_OUTPUT_ESCAPE_H
/* Text that came from traced programs, made safe to show: their names may hold anything but NUL. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define UTF8_REPLACEMENT 0xfffd

/* Decodes the character at text (RFC 3629), which must not be at its NUL. A byte that begins no valid character counts
 * as U+FFFD. Returns how many bytes it took, 1 to 4. */
size_t utf8_decode(const char *text, uint32_t *ret_character);

/* Shown form of the character at *text, which is moved on: itself, U+FFFD for an invalid byte, "\n", "\x1b" or "\u202e"
 * for what would steer the terminal (C0, DEL, C1, line separators, directional overrides). unit ends with NUL.
 * Returns its width in columns, counting each character as one. */
#define ESCAPE_UNIT_SIZE 8
size_t escape_next(const char **text, char unit[ESCAPE_UNIT_SIZE]);

/* Columns that escape_put() needs for all of text. */
size_t escape_columns(const char *text);

/* Writes text escaped, its middle replaced by "..." when it is wider than max_columns (0: no limit). */
void escape_put(FILE *f, const char *text, size_t max_columns);

#endif
