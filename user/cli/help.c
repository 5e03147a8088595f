// SPDX-License-Identifier: BSD-2-Clause
#include "cli/help.h"

#include <string.h>

#include "cli/commands.h"
#include "cli/option_spec.h"

#define WIDTH 80
#define TEXT_COLUMN 28 /* where explanations begin */

/* Prints text from the current column on, wrapped at WIDTH, further lines indented. Ends the
 * line. */
static void print_wrapped(FILE *f, size_t column, size_t indent, const char *text)
{
	size_t n;

	while (*text) {
		n = strcspn(text, " ");
		if (column > indent && column + 1 + n > WIDTH) {
			fprintf(f, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', f);
			column++;
		}
		fwrite(text, 1, n, f);
		column += n;
		text += n + strspn(text + n, " ");
	}
	fputc('\n', f);
}

/* A term and, from TEXT_COLUMN on or on lines of its own, what it is. */
static void print_term(FILE *f, const char *term, const char *text)
{
	fprintf(f, "  %s", term);
	if (strlen(term) + 4 > TEXT_COLUMN)
		fputc('\n', f);
	fprintf(f, "%*s",
		strlen(term) + 4 > TEXT_COLUMN ? TEXT_COLUMN : TEXT_COLUMN - 2 - (int)strlen(term),
		"");
	print_wrapped(f, TEXT_COLUMN, TEXT_COLUMN, text);
}

static void print_spec(FILE *f, const struct command *c, const struct option_spec *spec)
{
	char name[OPTION_TEXT_SIZE], argument[OPTION_TEXT_SIZE], standard[OPTION_TEXT_SIZE];
	char term[3 * OPTION_TEXT_SIZE], text[512];

	option_spelling(spec, name);
	option_argument(spec, argument);
	option_default(spec, c->defaults, standard);
	if (!spec->name)
		snprintf(term, sizeof(term), "%s", name);
	else
		snprintf(term, sizeof(term), "%c%c%c %s%s%s", spec->letter ? '-' : ' ',
			 spec->letter ? spec->letter : ' ', spec->letter ? ',' : ' ', name,
			 *argument ? " " : "", argument);
	snprintf(text, sizeof(text), *standard ? "%s (default %s)" : "%s", spec->help, standard);
	print_term(f, term, text);
}

static void print_commands(FILE *f)
{
	size_t i;

	fputs("\nCommands:\n", f);
	for (i = 0; commands[i]; i++)
		print_term(f, commands[i]->name, commands[i]->summary);
	fputs("\nNot yet:\n", f);
	for (i = 0; later_commands[i].name; i++)
		print_term(f, later_commands[i].name, later_commands[i].summary);
}

void help_print(FILE *f, const struct command *c)
{
	const char *group = "";
	char title[COMMAND_TITLE_SIZE];
	size_t i;

	command_title(c, title);
	for (i = 0; c->synopsis[i]; i++)
		fprintf(f, "%s %s %s\n", i ? "      " : "Usage:", title, c->synopsis[i]);
	fputc('\n', f);
	print_wrapped(f, 0, 0, c->description);
	if (c == &command_seep)
		print_commands(f);
	if (c->n_operands)
		fputs("\nOperands:\n", f);
	for (i = 0; i < c->n_operands; i++)
		print_spec(f, c, &c->operands[i]);
	for (i = 0; i < c->n_options; i++) {
		if (strcmp(group, c->options[i].group)) {
			group = c->options[i].group;
			fprintf(f, "\n%s:\n", group);
		}
		print_spec(f, c, &c->options[i]);
	}
	fputs("\nExamples:\n", f);
	for (i = 0; i < c->n_examples; i++) {
		fprintf(f, "  %s\n      ", c->examples[i].line);
		print_wrapped(f, 6, 6, c->examples[i].what);
	}
	if (c == &command_seep)
		fputs("\n'seep COMMAND --help' describes a command, seep(1) what all have in "
		      "common.\n",
		      f);
}

void help_print_options(FILE *f, const struct command *c)
{
	static const char *const types[] = {
		[OPTION_FLAG] = "flag",		  [OPTION_STRING] = "string",
		[OPTION_PATH] = "path",		  [OPTION_COUNT] = "count",
		[OPTION_SIZE] = "size",		  [OPTION_DURATION] = "duration",
		[OPTION_CHOICE] = "choice",	  [OPTION_PIDS] = "pids",
		[OPTION_TAIL] = "tail",		  [OPTION_ASK_HELP] = "help",
		[OPTION_ASK_VERSION] = "version",
	};
	char name[OPTION_TEXT_SIZE], argument[OPTION_TEXT_SIZE], standard[OPTION_TEXT_SIZE];
	size_t i;

	for (i = 0; i < c->n_options; i++) {
		const struct option_spec *spec = &c->options[i];

		option_spelling(spec, name);
		option_argument(spec, argument);
		option_default(spec, c->defaults, standard);
		fprintf(f, "%s\t%s%c\t%s\t%s\t%s\t%s\n", name, spec->letter ? "-" : "",
			spec->letter ? spec->letter : '-', *argument ? argument : "-",
			types[spec->type], *standard ? standard : "-",
			spec->refused ? "refused" : "-");
	}
}

int cmd_help(int argc, char **argv)
{
	const struct command *topic = &command_seep;
	struct help_options o;
	struct diag d = {0};
	size_t i;
	int r = help_options_parse(argc, argv, &o, &d);

	if (r)
		return command_settle(&command_help, r, &d);
	if (o.topic)
		topic = command_find(o.topic, &d);
	if (!topic) {
		fprintf(stderr, "%s\n", d.text);
		return d.exit_code;
	}
	if (o.list_commands)
		for (i = 0; commands[i]; i++)
			puts(commands[i]->name);
	else if (o.list_options)
		help_print_options(stdout, topic);
	else if (o.man)
		man_print(stdout, topic);
	else if (o.completion == OPTIONS_SHELL_BASH)
		completion_print_bash(stdout);
	else if (o.completion == OPTIONS_SHELL_ZSH)
		completion_print_zsh(stdout);
	else
		help_print(stdout, topic);
	return EXIT_DONE;
}
