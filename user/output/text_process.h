/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_TEXT_PROCESS_H
#define SEEP_OUTPUT_TEXT_PROCESS_H
/* The parts of the text format that are about one process, for commands that show one in their own way. */
#include "output/format.h"

struct memory_account;

/* The rows of what resident memory is made of. sampled: what is recorded are samples. */
void text_put_memory(FILE *f, const struct memory_account *m, bool sampled);
/* The same in a screen's few rows, which add up, too. */
void text_put_memory_short(FILE *f, const struct memory_account *m, bool sampled);
void text_put_losses(FILE *f, const struct output_options *o, const char *indent,
		     const struct loss *losses, size_t n);
/* ", exited with code 3" and its like, of one that has ended. */
void text_put_ending(FILE *f, const struct process_report *p);
/* A line for each thing that is not seen of the process. */
void text_put_not_seen(FILE *f, const struct process_report *p);

#endif
