/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_TERMINAL_H
#define SEEP_CLI_TERMINAL_H
/* What the reader of text is like. output: the file given by --output, NULL: stdout. */
#include <stdbool.h>

#include "cli/options.h"

/* Columns; 0 when it is no terminal. */
unsigned terminal_width(const char *output);
/* auto: at a terminal, unless NO_COLOR is set. */
bool terminal_color(enum options_color color, const char *output);
/* By the environment, as locale(7) reads it: whether characters are UTF-8. */
bool terminal_utf8(void);

#endif
