/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_OPTION_SPEC_H
#define SEEP_CLI_OPTION_SPEC_H
/* Command lines as data: one table per command, from which parsing, --help, the man page and the
 * shell completions come. To add an option: a field in options.h and an entry in the command's
 * table. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "cli/options.h"

struct command;

enum option_type {
	OPTION_FLAG,	 /* bool */
	OPTION_STRING,	 /* const char *, not empty */
	OPTION_PATH,	 /* the same, of a file */
	OPTION_COUNT,	 /* uint64_t; k, M, G are powers of 1000 */
	OPTION_SIZE,	 /* uint64_t, bytes; k, M, G are powers of 1024 */
	OPTION_DURATION, /* uint64_t, nanoseconds; ms, s, m, h, else unit_ns; decimals allowed */
	OPTION_CHOICE,	 /* int, index into choices */
	OPTION_PIDS,	 /* struct pid_list; repeating the option adds */
	OPTION_TAIL,	 /* char **: all words after "--"; operands only */
	OPTION_ASK_HELP,
	OPTION_ASK_VERSION,
};

/* refused: the word is known but cannot be used yet; says what comes. The list ends with a NULL
 * name; words that can be used come first. */
struct option_choice {
	const char *name;
	const char *refused;
};

/* An option, or an operand (name NULL). */
struct option_spec {
	const char *name;     /* long, without "--" */
	char letter;	      /* or 0 */
	const char *argument; /* its name for people; NULL: none, or the choices */
	enum option_type type;
	size_t offset;	   /* of the field in the command's options */
	uint64_t min, max; /* COUNT, SIZE, DURATION */
	uint64_t unit_ns;  /* DURATION: what a plain number counts */
	const struct option_choice *choices;
	const char *group;   /* heading in help and man page; options of a group stand together */
	const char *help;    /* a line or two, lower case, no full stop */
	const char *man;     /* full sentences that the man page adds, or NULL */
	const char *refused; /* not NULL: known, but not in this version; says what comes */
};

/* Offset of a member, a compile error when the member's type is not what the parser will store
 * there. */
#define OPTION_OFFSET(type_, s, member)                                                            \
	(offsetof(s, member) +                                                                     \
	 0 * sizeof(char[__builtin_types_compatible_p(type_, __typeof__(((s *)0)->member)) ? 1     \
											   : -1]))

#define OPTION_INTO_FLAG(s, m) .type = OPTION_FLAG, .offset = OPTION_OFFSET(bool, s, m)
#define OPTION_INTO_STRING(s, m) .type = OPTION_STRING, .offset = OPTION_OFFSET(const char *, s, m)
#define OPTION_INTO_PATH(s, m) .type = OPTION_PATH, .offset = OPTION_OFFSET(const char *, s, m)
#define OPTION_INTO_COUNT(s, m) .type = OPTION_COUNT, .offset = OPTION_OFFSET(uint64_t, s, m)
#define OPTION_INTO_SIZE(s, m) .type = OPTION_SIZE, .offset = OPTION_OFFSET(uint64_t, s, m)
#define OPTION_INTO_DURATION(s, m) .type = OPTION_DURATION, .offset = OPTION_OFFSET(uint64_t, s, m)
#define OPTION_INTO_CHOICE(s, m) .type = OPTION_CHOICE, .offset = OPTION_OFFSET(int, s, m)
#define OPTION_INTO_PIDS(s, m) .type = OPTION_PIDS, .offset = OPTION_OFFSET(struct pid_list, s, m)
#define OPTION_INTO_TAIL(s, m) .type = OPTION_TAIL, .offset = OPTION_OFFSET(char **, s, m)

/* Choices and options that several commands share. */
extern const struct option_choice options_sorts[], options_formats[], options_colors[],
	options_links[];
/* clang-format off */
#define OPTION_ASKS \
	{"help", 'h', NULL, .type = OPTION_ASK_HELP, .group = "Other", .help = "show this help"}, \
	{"version", 0, NULL, .type = OPTION_ASK_VERSION, .group = "Other", .help = "show seep's version"}
/* clang-format on */

#define OPTIONS_MAX 64 /* per command */

/* A usage error: fills d with exit code EXIT_USAGE and evaluates to -EINVAL. */
#define options_error(d, ...) diag_set_hint(d, EINVAL, EXIT_USAGE, NULL, __VA_ARGS__)

/* Parses by the command's tables into options, the command's own struct already filled with its
 * defaults. Returns as the functions in options.h; on failure options may be partly filled (free
 * its lists). Not thread-safe (getopt). */
int options_parse(const struct command *command, int argc, char **argv, void *options,
		  struct diag *d);

/* Stores text, the argument of spec (NULL without one), in its field of options. label: the option as
 * the user spelled it. Returns 0, an enum options_request, or -EINVAL or -ENOMEM with a diag. */
int option_store(const struct option_spec *spec, const char *label, const char *text, void *options,
		 struct diag *d);

bool option_takes_argument(const struct option_spec *spec);
/* The name of an option as users type it: "--sample-rate", "INTERVAL". */
#define OPTION_TEXT_SIZE 64
void option_spelling(const struct option_spec *spec, char out[OPTION_TEXT_SIZE]);
/* What stands for the argument: "N", "size|count"; "" without one. */
void option_argument(const struct option_spec *spec, char out[OPTION_TEXT_SIZE]);
/* The default value as a user would type it ("10", "5s", "text"), "" when it is off or not a
 * value. */
void option_default(const struct option_spec *spec, const void *defaults,
		    char out[OPTION_TEXT_SIZE]);

/* The nearest of several names to a mistyped word: start with .word set, offer each name, then read
 * best (NULL: nothing near). */
struct suggestion {
	const char *word, *best;
	size_t distance;
};
void suggestion_offer(struct suggestion *s, const char *name);

#endif
