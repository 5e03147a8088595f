// SPDX-License-Identifier: BSD-2-Clause
#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/option_spec.h"

static const struct option_spec seep_options[] = {OPTION_ASKS};
static const char *const seep_synopsis[] = {"COMMAND [OPTIONS]", "help [COMMAND]", "--version",
					    NULL};

static const struct example seep_examples[] = {
	{"seep trace -p 1234", "what process 1234 allocates and does not free"},
	{"seep triage -p 1234", "in a minute: is it a leak, how fast, until when, whose"},
	{"seep doctor", "what is possible on this host"},
};

const struct command command_seep = {
	.name = "seep",
	.summary = "find memory leaks in running processes",
	.synopsis = seep_synopsis,
	.description =
		"Finds memory leaks in processes that are already running, without a restart and "
		"without injecting anything into them. Probes on the allocation functions keep a "
		"table of outstanding blocks in the kernel; seep turns their stacks into "
		"functions and lines, and reports.",
	.options = seep_options,
	.n_options = ARRAY_SIZE(seep_options),
	.examples = seep_examples,
	.n_examples = ARRAY_SIZE(seep_examples),
	.sections = manual_seep,
};

static const struct help_options defaults = {0};

static const struct option_choice shells[] = {{"none"}, {"bash"}, {"zsh"}, {0}};

static const struct option_spec operands[] = {
	{.argument = "COMMAND",
	 OPTION_INTO_STRING(struct help_options, topic),
	 .help = "the command to describe"},
};

static const struct option_spec options[] = {
	{"man", 0, NULL, OPTION_INTO_FLAG(struct help_options, man), .group = "What to write",
	 .help = "the man page, for man(1), instead of the help text"},
	{"completion", 0, NULL, OPTION_INTO_CHOICE(struct help_options, completion),
	 .choices = shells, .group = "What to write", .help = "the completion script of a shell"},
	{"commands", 0, NULL, OPTION_INTO_FLAG(struct help_options, list_commands),
	 .group = "What to write", .help = "the names of the commands, one a line"},
	{"options", 0, NULL, OPTION_INTO_FLAG(struct help_options, list_options),
	 .group = "What to write", .help = "the options of COMMAND, one a line",
	 .man = "Fields parted by tabs: long name, letter, argument, type, default, and "
		"\"refused\" for those not in this version, else \"-\"; \"-\" stands for none."},
	OPTION_ASKS,
};

static const char *const synopsis[] = {"[OPTIONS] [COMMAND]", NULL};

static const struct example examples[] = {
	{"seep help trace", "the options of trace"},
	{"seep help --man trace | man -l -", "its man page, where none is installed"},
	{". <(seep help --completion bash)", "completion in this shell"},
};

const struct command command_help = {
	.name = "help",
	.summary = "describe a command; write man pages and shell completions",
	.run = cmd_help,
	.synopsis = synopsis,
	.description = "Without COMMAND it describes seep itself.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.operands = operands,
	.n_operands = ARRAY_SIZE(operands),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
};

int help_options_parse(int argc, char **argv, struct help_options *ret, struct diag *d)
{
	struct help_options o = defaults;
	int r = options_parse(&command_help, argc, argv, &o, d);

	if (!r && o.man + o.list_commands + o.list_options + !!o.completion > 1)
		r = options_error(
			d, "--man, --completion, --commands and --options exclude each other");
	if (!r)
		*ret = o;
	return r;
}
