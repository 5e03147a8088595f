// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/manual.h"
#include "cli/option_spec.h"
#include "model/losses.h"

#define MAN_DATE                                                                                   \
	"2026-11-23" /* of the last change to the pages; a build date would make builds differ */

/* Plain text as roff shows it: nothing in it is taken for a macro or an escape. */
static void print_escaped_n(FILE *f, const char *text, size_t n)
{
	const char *p;

	if (n && (*text == '.' || *text == '\''))
		fputs("\\&", f);
	for (p = text; p < text + n; p++)
		switch (*p) {
		case '\\':
			fputs("\\e", f);
			break;
		case '-':
			fputs("\\-", f);
			break;
		case '\'':
			fputs("\\(aq", f);
			break;
		case '"':
			fputs("\\(dq", f);
			break;
		case '`':
			fputs("\\(ga", f);
			break;
		case '^':
			fputs("\\(ha", f);
			break;
		case '~':
			fputs("\\(ti", f);
			break;
		default:
			fputc(*p, f);
		}
}

static void print_escaped(FILE *f, const char *text)
{
	print_escaped_n(f, text, strlen(text));
}

/* The markup of struct manual_section. */
static void print_prose(FILE *f, const char *text)
{
	bool paragraph = false; /* a blank line was read: the next line begins one */
	size_t n;

	for (; *text; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		if (!n) {
			paragraph = true;
			continue;
		}
		if (!strncmp(text, "= ", 2)) {
			fputs(".TP\n.B ", f);
			print_escaped_n(f, text + 2, n - 2);
		} else if (*text == '\t') {
			fputs(".RS 4\n.nf\n", f);
			print_escaped_n(f, text + 1, n - 1);
			fputs("\n.fi\n.RE", f);
		} else {
			if (paragraph)
				fputs(".PP\n", f);
			print_escaped_n(f, text, n);
		}
		paragraph = false;
		fputc('\n', f);
	}
}

static void print_losses(FILE *f)
{
	for (enum loss_cause i = 0; i < LOSS_CAUSES; i++) {
		const struct loss_text *loss = loss_text(i);

		fprintf(f, ".TP\n.B %s\n%c", loss->cause, toupper((unsigned char)*loss->sentence));
		print_escaped(f, loss->sentence + 1);
		fputs(".\n", f);
		print_escaped(f, loss->why);
		fputc('\n', f);
		print_escaped(f, loss->remedy);
		fputc('\n', f);
	}
}

static void print_synopsis(FILE *f, const struct command *c)
{
	char title[COMMAND_TITLE_SIZE];
	size_t i;

	command_title(c, title);
	fputs(".SH SYNOPSIS\n", f);
	for (i = 0; c->synopsis[i]; i++) {
		fprintf(f, "%s.B %s\n", i ? ".br\n" : "", title);
		print_escaped(f, c->synopsis[i]);
		fputc('\n', f);
	}
}

static void print_spec(FILE *f, const struct command *c, const struct option_spec *spec)
{
	char argument[OPTION_TEXT_SIZE], standard[OPTION_TEXT_SIZE];
	const struct option_choice *choice;

	option_argument(spec, argument);
	option_default(spec, c->defaults, standard);
	fputs(".TP\n", f);
	if (spec->letter)
		fprintf(f, "\\fB\\-%c\\fR, ", spec->letter);
	if (spec->name) {
		fputs("\\fB\\-\\-", f);
		print_escaped(f, spec->name);
		fprintf(f, "\\fR%s", *argument ? " " : "");
	}
	fputs("\\fI", f);
	print_escaped(f, argument);
	fputs("\\fR\n", f);
	fputc(toupper((unsigned char)*spec->help), f);
	print_escaped(f, spec->help + 1);
	if (*standard)
		fprintf(f, " (default %s)", standard);
	fputs(".\n", f);
	if (spec->man) {
		print_escaped(f, spec->man);
		fputc('\n', f);
	}
	for (choice = spec->choices; choice && choice->name; choice++)
		if (choice->refused)
			fprintf(f, "\"%s\" %s.\n", choice->name, choice->refused);
	if (spec->refused) {
		fputs("Refused: ", f);
		print_escaped(f, spec->refused);
		fputs(".\n", f);
	}
}

static void print_options(FILE *f, const struct command *c)
{
	const char *group = "";
	size_t i;

	if (c->n_operands)
		fputs(".SH OPERANDS\n", f);
	for (i = 0; i < c->n_operands; i++)
		print_spec(f, c, &c->operands[i]);
	fputs(".SH OPTIONS\n", f);
	for (i = 0; i < c->n_options; i++) {
		if (strcmp(group, c->options[i].group)) {
			group = c->options[i].group;
			fprintf(f, ".SS %s\n", group);
		}
		print_spec(f, c, &c->options[i]);
	}
}

static void print_commands(FILE *f)
{
	size_t i;

	fputs(".SH COMMANDS\n", f);
	for (i = 0; commands[i]; i++) {
		fprintf(f, ".TP\n.BR seep\\-%s (1)\n", commands[i]->name);
		print_escaped(f, commands[i]->summary);
		fputs(".\n", f);
	}
}

static void print_see_also(FILE *f, const struct command *c)
{
	size_t i;

	fputs(".SH SEE ALSO\n", f);
	if (c != &command_seep)
		fputs(".BR seep (1),\n", f);
	for (i = 0; commands[i]; i++)
		if (commands[i] != c)
			fprintf(f, ".BR seep\\-%s (1),\n", commands[i]->name);
	fputs(".BR valgrind (1)\n", f);
}

void man_print(FILE *f, const struct command *c)
{
	const struct manual_section *section;
	char page[COMMAND_TITLE_SIZE], *p;
	size_t i;

	command_title(c, page);
	p = strchr(page, ' ');
	if (p)
		*p = '-';
	fputs(".TH ", f);
	for (p = page; *p; p++)
		fputc(toupper((unsigned char)*p), f);
	fputs(" 1 \"" MAN_DATE "\" \"seep " SEEP_VERSION "\" \"seep\"\n.SH NAME\n", f);
	print_escaped(f, page);
	fputs(" \\- ", f);
	print_escaped(f, c->summary);
	fputc('\n', f);
	print_synopsis(f, c);
	fputs(".SH DESCRIPTION\n", f);
	print_escaped(f, c->description);
	fputc('\n', f);
	if (c == &command_seep)
		print_commands(f);
	print_options(f, c);
	for (section = c->sections; section && section->heading; section++) {
		fprintf(f, ".SH %s\n", section->heading);
		print_prose(f, section->text);
		if (section->losses)
			print_losses(f);
	}
	fputs(".SH EXAMPLES\n", f);
	for (i = 0; i < c->n_examples; i++) {
		fputs(".TP\n.B ", f);
		print_escaped(f, c->examples[i].line);
		fputc('\n', f);
		print_escaped(f, c->examples[i].what);
		fputs(".\n", f);
	}
	print_see_also(f, c);
}
