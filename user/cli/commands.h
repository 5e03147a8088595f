/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_COMMANDS_H
#define SEEP_CLI_COMMANDS_H
/* The commands and what is written about them. To add one: its options_NAME.c, a declaration here,
 * a line in commands.c. */
#include <stdbool.h>
#include <stddef.h>

#include "base/diag.h"

struct option_spec;
struct trace_options;

struct example {
	const char *line; /* as typed */
	const char *what; /* "what it does", no full stop */
};

/* Prose for the man page. Blank lines part paragraphs; lines that begin with a tab are shown as
 * they are; a line "= TERM" begins a list item that the lines up to the next blank line explain. */
struct manual_section {
	const char *heading;
	const char *text;
	bool losses; /* after the text comes an item for each cause in model/losses.h */
};

struct command {
	const char *name;		   /* "trace"; "seep" for the program itself */
	const char *summary;		   /* a line, lower case, no full stop */
	int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit code */
	const char *const *synopsis; /* what may follow the name, one form a line; ends with NULL */
	const char *description;     /* a paragraph, for help and man page */
	const struct option_spec *options, *operands;
	size_t n_options, n_operands;
	const void *defaults; /* the command's options struct as it is before parsing */
	const struct example *examples;
	size_t n_examples;
	const struct manual_section *sections; /* ends with a NULL heading; may be NULL */
};

extern const struct command command_seep; /* not in commands[] */
extern const struct command command_trace, command_watch, command_triage, command_scan,
	command_report, command_diff, command_mark, command_serve, command_doctor, command_help;

/* All commands in the order of the help, ends with NULL. */
extern const struct command *const commands[];

/* Commands of later versions; ends with a NULL name. */
struct later_command {
	const char *name, *summary;
};
extern const struct later_command later_commands[];

/* By name ("seep" is the program itself). Returns NULL with a diag (exit code EXIT_USAGE) that
 * suggests a name, or says that the command is not in this version. */
const struct command *command_find(const char *name, struct diag *d);

/* "seep" or "seep NAME": what messages and headings begin with. */
#define COMMAND_TITLE_SIZE 32
void command_title(const struct command *command, char out[COMMAND_TITLE_SIZE]);

/* Prints what a parse function's non-zero result calls for: help or version to stdout; "seep trace:
 * TEXT" and where to find help to stderr. Returns the exit code to end with. */
int command_settle(const struct command *command, int result, const struct diag *d);

int cmd_trace(int argc, char **argv);
/* What `seep trace` does with these options, which it frees. Returns the exit code. */
int trace_command(struct trace_options *options);
int cmd_watch(int argc, char **argv);
int cmd_triage(int argc, char **argv);
int cmd_scan(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_mark(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_help(int argc, char **argv);

#endif
