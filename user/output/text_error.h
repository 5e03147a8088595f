/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_TEXT_ERROR_H
#define SEEP_OUTPUT_TEXT_ERROR_H
/* The errors at free of a process, as text. */
#include <stddef.h>
#include <stdio.h>

struct output_options;
struct report;

/* Those of the process of that index: a heading and a few lines each; nothing where there are none. */
void text_put_errors(FILE *f, const struct output_options *o, const struct report *r,
		     size_t process);

#endif
