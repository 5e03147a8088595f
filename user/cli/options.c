// SPDX-License-Identifier: BSD-2-Clause
#include "cli/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/option_spec.h"

/* getopt returns a letter, or CODE_LONG + i for the option at index i by its long name. */
#define CODE_LONG 256

const struct option_choice options_sorts[] = {{"size"}, {"count"}, {0}};
const struct option_choice options_colors[] = {{"auto"}, {"always"}, {"never"}, {0}};
const struct option_choice options_links[] = {{"best"}, {"session"}, {"multi"}, {"perf"}, {0}};
const struct option_choice options_formats[] = {
	{"text"}, {"ndjson"}, {"folded"}, {"pprof"}, {"html"}, {0},
};

const char *options_format_name(enum options_format format)
{
	return options_formats[format].name;
}

/* Fills getopt's two forms of the table. "-": operands come in their place, as code 1; ":": no
 * messages of getopt's own. */
static void make_getopt(const struct command *c, char letters[2 * OPTIONS_MAX + 3],
			struct option longs[OPTIONS_MAX + 1])
{
	char *p = stpcpy(letters, "-:");
	size_t i;

	memset(longs, 0, (OPTIONS_MAX + 1) * sizeof(*longs));
	for (i = 0; i < c->n_options && i < OPTIONS_MAX; i++) {
		bool has_argument = option_takes_argument(&c->options[i]);

		if (c->options[i].letter) {
			*p++ = c->options[i].letter;
			if (has_argument)
				*p++ = ':';
		}
		longs[i].name = c->options[i].name;
		longs[i].has_arg = has_argument ? required_argument : no_argument;
		longs[i].val = CODE_LONG + (int)i;
	}
	*p = '\0';
}

static const struct option_spec *find_spec(const struct command *c, int code)
{
	size_t i;

	for (i = 0; i < c->n_options; i++)
		if (code == CODE_LONG + (int)i || (code && code == c->options[i].letter))
			return &c->options[i];
	return NULL;
}

/* What getopt's '?' was about: code is its optopt; when that is 0, word is the long option as
 * given, "--smaple-rate=5". */
static int unknown_option(const struct command *c, int code, const char *word, struct diag *d)
{
	char name[OPTION_TEXT_SIZE];
	struct suggestion near = {.word = name};
	size_t i, n_prefixed = 0;

	if (code >= CODE_LONG)
		return options_error(d, "--%s: takes no argument",
				     c->options[code - CODE_LONG].name);
	if (code && isgraph((unsigned char)code))
		return options_error(d, "-%c: no such option", code);
	if (code)
		return options_error(d, "-\\x%02x: no such option", (unsigned char)code);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (i = 0; i < c->n_options; i++) {
		suggestion_offer(&near, c->options[i].name);
		n_prefixed += !strncmp(c->options[i].name, name, strlen(name));
	}
	if (n_prefixed > 1)
		return options_error(d, "--%s: stands for more than one option; write it in full",
				     name);
	if (near.best)
		return options_error(d, "--%s: no such option; did you mean --%s?", name,
				     near.best);
	return options_error(d, "--%s: no such option", name);
}

/* One option, of which getopt returned code. */
static int parse_option(const struct command *c, int code, char **argv, void *options,
			struct diag *d)
{
	const struct option_spec *spec;
	char label[OPTION_TEXT_SIZE], argument[OPTION_TEXT_SIZE];
	bool missing = code == ':';

	if (code == '?')
		return unknown_option(c, optopt, argv[optind - 1], d);
	if (missing)
		code = optopt;
	spec = find_spec(c, code);
	if (!spec)
		return options_error(d, "option %d is not in the table", code);
	if (code >= CODE_LONG)
		option_spelling(spec, label);
	else
		snprintf(label, sizeof(label), "-%c", code);
	option_argument(spec, argument);
	if (missing)
		return options_error(d, "%s: needs an argument, %s", label, argument);
	return option_store(spec, label, optarg, options, d);
}

/* The i-th word that is no option. */
static int parse_operand(const struct command *c, size_t i, const char *text, void *options,
			 struct diag *d)
{
	bool has_tail = c->n_operands && c->operands[c->n_operands - 1].type == OPTION_TAIL;
	int r;

	if (i >= c->n_operands - has_tail)
		r = options_error(d, "'%s': one word too many", text);
	else
		r = option_store(&c->operands[i], c->operands[i].argument, text, options, d);
	if (r == -EINVAL && has_tail && d && !isdigit((unsigned char)*text))
		snprintf(d->hint, sizeof(d->hint),
			 "To trace a command, write it after '--': seep %s -- COMMAND", c->name);
	return r;
}

int options_parse(const struct command *c, int argc, char **argv, void *options, struct diag *d)
{
	char letters[2 * OPTIONS_MAX + 3];
	struct option longs[OPTIONS_MAX + 1];
	const struct option_spec *last = c->n_operands ? &c->operands[c->n_operands - 1] : NULL;
	size_t n_operands = 0;
	int code, r;

	make_getopt(c, letters, longs);
	opterr = 0;
	optind = 0; /* glibc: start anew, also after a line that was left half read */
	while ((code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		r = code == 1 ? parse_operand(c, n_operands++, optarg, options, d)
			      : parse_option(c, code, argv, options, d);
		if (r)
			return r;
	}
	if (last && last->type == OPTION_TAIL) {
		if (optind < argc)
			*(char ***)((char *)options + last->offset) = argv + optind;
		return 0;
	}
	for (; optind < argc; optind++) {
		r = parse_operand(c, n_operands++, argv[optind], options, d);
		if (r)
			return r;
	}
	return 0;
}

bool option_takes_argument(const struct option_spec *spec)
{
	return spec->type != OPTION_FLAG && spec->type != OPTION_ASK_HELP &&
	       spec->type != OPTION_ASK_VERSION;
}

void option_spelling(const struct option_spec *spec, char out[OPTION_TEXT_SIZE])
{
	snprintf(out, OPTION_TEXT_SIZE, "%s%s", spec->name ? "--" : "",
		 spec->name ? spec->name : spec->argument);
}

void option_argument(const struct option_spec *spec, char out[OPTION_TEXT_SIZE])
{
	const struct option_choice *choice;
	size_t n = 0;

	snprintf(out, OPTION_TEXT_SIZE, "%s", spec->argument ? spec->argument : "");
	for (choice = spec->choices;
	     choice && choice->name && !choice->refused && n < OPTION_TEXT_SIZE; choice++)
		n += (size_t)snprintf(out + n, OPTION_TEXT_SIZE - n, "%s%s", n ? "|" : "",
				      choice->name);
}
