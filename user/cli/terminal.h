/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_TERMINAL_H
#define SEEP_CLI_TERMINAL_H
/* What the reader of text is like. output: the file given by --output, NULL: stdout. */
#include <stdbool.h>

#include "base/diag.h"
#include "cli/options.h"

struct output_format;

/* Columns; 0 when it is no terminal. */
unsigned terminal_width(const char *output);
/* auto: at a terminal, unless NO_COLOR is set. */
bool terminal_color(enum options_color color, const char *output);
/* By the environment, as locale(7) reads it: whether characters are UTF-8. */
bool terminal_utf8(void);
/* A binary format is not for the terminal that stdout is. Returns 0, or -EINVAL with a diag of EXIT_USAGE. */
int terminal_refuses(const struct output_format *format, const char *output, struct diag *d);

#endif
