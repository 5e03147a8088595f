/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_HELP_H
#define SEEP_CLI_HELP_H
/* What is written from the tables of options. Errors of the stream stay in the stream: the caller
 * checks ferror(). */
#include <stdio.h>

struct command;

/* The text of --help, 80 columns wide. */
void help_print(FILE *f, const struct command *command);

/* "--sample-rate\t-s\tN\tcount\t1\t-" for each option: long name, letter, argument, type, default,
 * "refused" when it is not in this version; "-" for none. */
void help_print_options(FILE *f, const struct command *command);

/* The man page, section 1, in roff with man(7) macros. */
void man_print(FILE *f, const struct command *command);

/* Scripts that complete the command lines of all commands; options that are refused are left
 * out. */
void completion_print_bash(FILE *f);
void completion_print_zsh(FILE *f);

#endif
