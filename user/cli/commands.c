// SPDX-License-Identifier: BSD-2-Clause
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "cli/option_spec.h"

const struct command *const commands[] = {
	&command_trace, &command_watch, &command_triage, &command_scan,	  &command_report,
	&command_diff,	&command_mark,	&command_serve,	 &command_doctor, &command_help,
	NULL,
};

const struct later_command later_commands[] = {
	{"top", "interactive, like top(1)"},
	{0},
};

const struct command *command_find(const char *name, struct diag *d)
{
	struct suggestion near = {.word = name};
	size_t i;

	if (!strcmp(name, command_seep.name))
		return &command_seep;
	for (i = 0; commands[i]; i++) {
		if (!strcmp(name, commands[i]->name))
			return commands[i];
		suggestion_offer(&near, commands[i]->name);
	}
	for (i = 0; later_commands[i].name; i++)
		if (!strcmp(name, later_commands[i].name)) {
			options_error(d,
				      "seep %s: not in this version (see README, 'What is there')",
				      name);
			return NULL;
		}
	if (near.best)
		options_error(d, "seep: '%s' is not a command; did you mean '%s'?", name,
			      near.best);
	else
		options_error(d, "seep: '%s' is not a command; 'seep --help' lists them", name);
	return NULL;
}

void command_title(const struct command *c, char out[COMMAND_TITLE_SIZE])
{
	snprintf(out, COMMAND_TITLE_SIZE, "seep%s%s", c == &command_seep ? "" : " ",
		 c == &command_seep ? "" : c->name);
}

int command_settle(const struct command *c, int result, const struct diag *d)
{
	char title[COMMAND_TITLE_SIZE];

	command_title(c, title);
	if (result == OPTIONS_HELP) {
		help_print(stdout, c);
		return EXIT_DONE;
	}
	if (result == OPTIONS_VERSION) {
		puts("seep " SEEP_VERSION);
		return EXIT_DONE;
	}
	fprintf(stderr, "%s: %s\n", title, d->text);
	if (d->hint[0])
		fprintf(stderr, "%s\n", d->hint);
	else if (d->exit_code == EXIT_USAGE)
		fprintf(stderr, "'%s --help' shows what can be given.\n", title);
	return d->exit_code ? d->exit_code : EXIT_RUNTIME;
}
