// SPDX-License-Identifier: BSD-2-Clause
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/option_spec.h"

static const char bash_head[] =
	"# bash completion for seep, written by: seep help --completion bash\n"
	"\n"
	"_seep_words() { # WORDS CURRENT\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$2\")\n"
	"}\n"
	"_seep_files() { # CURRENT\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\tmapfile -t COMPREPLY < <(compgen -f -- \"$1\")\n"
	"}\n"
	"_seep_pids() { # CURRENT, which may be a list\n"
	"\tlocal before=\n"
	"\t[[ $1 == *,* ]] && before=${1%,*},\n"
	"\tmapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$(cd /proc && echo [0-9]*)\" -- "
	"\"${1##*,}\")\n"
	"}\n"
	"_seep_command() { # CURRENT, INDEX: the INDEXth word of a command to trace\n"
	"\tif (($2 > 0)); then\n"
	"\t\t_seep_files \"$1\"\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -c -- \"$1\")\n"
	"\tfi\n"
	"}\n"
	"_seep() {\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} "
	"command=${COMP_WORDS[1]} i\n"
	"\tCOMPREPLY=()\n"
	"\t# bash splits --option=value at the \"=\"\n"
	"\tif [[ $current == = ]]; then\n"
	"\t\tcurrent=\n"
	"\telif [[ $previous == = ]]; then\n"
	"\t\tprevious=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tfi\n";

static void print_command_names(FILE *f)
{
	size_t i;

	for (i = 0; commands[i]; i++)
		fprintf(f, "%s%s", i ? " " : "", commands[i]->name);
}

/* The words that a choice may be, parted by spaces. */
static void print_choices(FILE *f, const struct option_spec *spec)
{
	const struct option_choice *choice;

	for (choice = spec->choices; choice->name && !choice->refused; choice++)
		fprintf(f, "%s%s", choice == spec->choices ? "" : " ", choice->name);
}

/* What completes the argument of one option, as a branch of: case $command:$previous. */
static void print_bash_argument(FILE *f, const struct command *c, const struct option_spec *spec)
{
	fprintf(f, "\t%s:--%s", c->name, spec->name);
	if (spec->letter)
		fprintf(f, " | %s:-%c", c->name, spec->letter);
	fputs(") ", f);
	if (spec->type == OPTION_CHOICE) {
		fputs("_seep_words '", f);
		print_choices(f, spec);
		fputs("' \"$current\"; ", f);
	} else if (spec->type == OPTION_PATH) {
		fputs("_seep_files \"$current\"; ", f);
	} else if (spec->type == OPTION_PIDS) {
		fputs("_seep_pids \"$current\"; ", f);
	}
	fputs("return ;;\n", f);
}

static void print_bash_options(FILE *f, const struct command *c)
{
	size_t i;

	for (i = 0; i < c->n_options; i++) {
		if (c->options[i].refused)
			continue;
		fprintf(f, " --%s", c->options[i].name);
		if (c->options[i].letter)
			fprintf(f, " -%c", c->options[i].letter);
	}
}

static bool has_operand(const struct command *c, enum option_type type)
{
	return c->n_operands && c->operands[c->n_operands - 1].type == type;
}

/* Words after "--" are a command's, whatever they look like. */
static void print_bash_tail(FILE *f, const struct command *c)
{
	fprintf(f,
		"\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
		"\t\tif [[ $command == %s && ${COMP_WORDS[i]} == -- ]]; then\n"
		"\t\t\t_seep_command \"$current\" $((COMP_CWORD - i - 1))\n"
		"\t\t\treturn\n"
		"\t\tfi\n"
		"\tdone\n",
		c->name);
}

/* What completes a word of the command that is no option's argument, as a branch of: case
 * $command. */
static void print_bash_word(FILE *f, const struct command *c)
{
	fprintf(f, "\t%s)\n", c->name);
	fputs("\t\tif [[ $current == -* ]]; then\n\t\t\t_seep_words '", f);
	print_bash_options(f, c);
	fputs("' \"$current\"\n", f);
	if (has_operand(c, OPTION_PATH))
		fputs("\t\telse\n\t\t\t_seep_files \"$current\"\n", f);
	if (c == &command_help) {
		fputs("\t\telse\n\t\t\t_seep_words '", f);
		print_command_names(f);
		fputs("' \"$current\"\n", f);
	}
	fputs("\t\tfi\n\t\t;;\n", f);
}

void completion_print_bash(FILE *f)
{
	size_t i, j;

	fputs(bash_head, f);
	fputs("\tif ((COMP_CWORD == 1)); then\n\t\t_seep_words '", f);
	print_command_names(f);
	print_bash_options(f, &command_seep);
	fputs("' \"$current\"\n\t\treturn\n\tfi\n", f);
	for (i = 0; commands[i]; i++)
		if (has_operand(commands[i], OPTION_TAIL))
			print_bash_tail(f, commands[i]);
	fputs("\tcase $command:$previous in\n", f);
	for (i = 0; commands[i]; i++)
		for (j = 0; j < commands[i]->n_options; j++)
			if (option_takes_argument(&commands[i]->options[j]) &&
			    !commands[i]->options[j].refused)
				print_bash_argument(f, commands[i], &commands[i]->options[j]);
	fputs("\tesac\n\tcase $command in\n", f);
	for (i = 0; commands[i]; i++)
		print_bash_word(f, commands[i]);
	fputs("\tesac\n}\ncomplete -F _seep seep\n", f);
}

static const char zsh_head[] = "#compdef seep\n"
			       "# zsh completion for seep, written by: seep help --completion zsh\n"
			       "\n"
			       "_seep_pids() {\n"
			       "\tlocal -a pids=(/proc/<->(N:t))\n"
			       "\tcompset -P '*,'\n"
			       "\tcompadd -a pids\n"
			       "}\n";

/* Text within a description of _arguments, itself within single quotes. */
static void print_zsh_escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", f);
		else if (*text == ':' || *text == '[' || *text == ']' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
}

/* ":MESSAGE:ACTION" of an option's argument or an operand. */
static void print_zsh_action(FILE *f, const struct command *c, const struct option_spec *spec)
{
	char argument[OPTION_TEXT_SIZE];

	option_argument(spec, argument);
	fputc(':', f);
	print_zsh_escaped(f, argument);
	fputc(':', f);
	if (spec->type == OPTION_CHOICE) {
		fputc('(', f);
		print_choices(f, spec);
		fputc(')', f);
	} else if (spec->type == OPTION_PATH) {
		fputs("_files", f);
	} else if (spec->type == OPTION_PIDS) {
		fputs("_seep_pids", f);
	} else if (c == &command_help) {
		fputc('(', f);
		print_command_names(f);
		fputc(')', f);
	}
}

static void print_zsh_option(FILE *f, const struct command *c, const struct option_spec *spec)
{
	bool takes_argument = option_takes_argument(spec);

	fputs(" \\\n\t\t", f);
	if (spec->type == OPTION_PIDS) /* may come again */
		fputs("'*'", f);
	else if (spec->letter)
		fprintf(f, "'(-%c --%s)'", spec->letter, spec->name);
	if (spec->letter)
		fprintf(f, "{-%c%s,--%s%s}'[", spec->letter, takes_argument ? "+" : "", spec->name,
			takes_argument ? "=" : "");
	else
		fprintf(f, "'--%s%s[", spec->name, takes_argument ? "=" : "");
	print_zsh_escaped(f, spec->help);
	fputc(']', f);
	if (takes_argument)
		print_zsh_action(f, c, spec);
	fputc('\'', f);
}

static void print_zsh_command(FILE *f, const struct command *c)
{
	size_t i;

	fprintf(f, "_seep_%s() {\n", c->name);
	if (has_operand(c, OPTION_TAIL))
		fputs("\tlocal -i end=${words[(i)--]}\n"
		      "\tif ((end < CURRENT)); then\n"
		      "\t\tshift $end words\n"
		      "\t\t((CURRENT -= end))\n"
		      "\t\t_normal\n"
		      "\t\treturn\n"
		      "\tfi\n",
		      f);
	fputs("\t_arguments -s -S :", f);
	for (i = 0; i < c->n_options; i++)
		if (!c->options[i].refused)
			print_zsh_option(f, c, &c->options[i]);
	for (i = 0; i < c->n_operands; i++)
		if (c->operands[i].type != OPTION_TAIL) {
			fprintf(f, " \\\n\t\t'%zu", i + 1);
			print_zsh_action(f, c, &c->operands[i]);
			fputc('\'', f);
		}
	fputs("\n}\n", f);
}

void completion_print_zsh(FILE *f)
{
	size_t i;

	fputs(zsh_head, f);
	for (i = 0; commands[i]; i++)
		print_zsh_command(f, commands[i]);
	fputs("_seep() {\n\tif ((CURRENT == 2)); then\n\t\tlocal -a names=(", f);
	for (i = 0; commands[i]; i++) {
		fprintf(f, "\n\t\t\t'%s:", commands[i]->name);
		print_zsh_escaped(f, commands[i]->summary);
		fputc('\'', f);
	}
	fputs("\n\t\t)\n"
	      "\t\t_describe command names\n"
	      "\t\t_arguments",
	      f);
	for (i = 0; i < command_seep.n_options; i++)
		print_zsh_option(f, &command_seep, &command_seep.options[i]);
	fputs("\n\t\treturn\n\tfi\n"
	      "\tlocal command=$words[2]\n"
	      "\t(($+functions[_seep_$command])) || return 1\n"
	      "\tshift words\n"
	      "\t((CURRENT--))\n"
	      "\t_seep_$command\n"
	      "}\n"
	      "if [[ $funcstack[1] == _seep ]]; then\n"
	      "\t_seep \"$@\"\n"
	      "else\n"
	      "\tcompdef _seep seep\n"
	      "fi\n",
	      f);
}
