// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/option_spec.h"
#include "model/mark.h"

static const struct diff_options defaults = {.top = 10};

static const struct option_choice formats[] = {{"text"}, {"ndjson"}, {0}};

static const struct option_spec operands[] = {
	{.argument = "FILE_A",
	 OPTION_INTO_PATH(struct diff_options, before.path),
	 .help = "a capture: what was before; alone: its first report is compared with its last"},
	{.argument = "FILE_B",
	 OPTION_INTO_PATH(struct diff_options, after.path),
	 .help = "a capture: what is after"},
};

#define SHOW .group = "What to show"
#define OUTPUT .group = "Where to"

static const struct option_spec options[] = {
	{"before", 0, "N", OPTION_INTO_COUNT(struct diff_options, before.sequence),
	 .group = "What to compare", .min = 1, .max = INT64_MAX,
	 .help = "report N of FILE_A, not each process's last",
	 .man = "'seep report --all-reports FILE' shows the numbers."},
	{"after", 0, "N", OPTION_INTO_COUNT(struct diff_options, after.sequence),
	 .group = "What to compare", .min = 1, .max = INT64_MAX,
	 .help = "report N of FILE_B, not each process's last"},
	{"from", 0, "MARK", OPTION_INTO_STRING(struct diff_options, before.mark),
	 .group = "What to compare",
	 .help = "mark MARK of FILE_A; start: its first report, end: each process's last",
	 .man = "'seep mark' sets them while the capture is taken."},
	{"to", 0, "MARK", OPTION_INTO_STRING(struct diff_options, after.mark),
	 .group = "What to compare", .help = "mark MARK of FILE_B, or start, or end"},
	{"top", 'T', "N", OPTION_INTO_COUNT(struct diff_options, top), SHOW, .max = 1000000,
	 .help = "only the N call sites that grew most, and that shrank most; 0 for all",
	 .man = "For text; ndjson holds all sites."},
	{"sort", 0, NULL, OPTION_INTO_CHOICE(struct diff_options, sort), .choices = options_sorts,
	 SHOW, .help = "what grows: bytes or the number of blocks"},
	{"verbose", 'v', NULL, OPTION_INTO_FLAG(struct diff_options, verbose), SHOW,
	 .help = "whole paths of modules"},
	{"format", 0, NULL, OPTION_INTO_CHOICE(struct diff_options, format), .choices = formats,
	 OUTPUT, .help = "for people, or one JSON object a line"},
	{"output", 0, "FILE", OPTION_INTO_PATH(struct diff_options, output), OUTPUT,
	 .help = "write to FILE, not to stdout"},
	{"color", 0, NULL, OPTION_INTO_CHOICE(struct diff_options, color),
	 .choices = options_colors, OUTPUT, .help = "colour in text",
	 .man = "auto: when stdout is a terminal and NO_COLOR is not set."},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {"[OPTIONS] FILE_A FILE_B",
				       "[OPTIONS] [--before N] [--after N] FILE",
				       "[OPTIONS] [--from MARK] [--to MARK] FILE", NULL};

static const struct example examples[] = {
	{"seep diff monday.seep friday.seep", "what grew between two captures"},
	{"seep diff night.seep", "what grew while it was taken"},
	{"seep diff --before 3 --after 40 night.seep", "the same between two of its reports"},
	{"seep diff --from warm --to loaded night.seep", "between two marks of 'seep mark'"},
	{"seep diff --from warm --to warm monday.seep friday.seep",
	 "the same mark in two captures"},
	{"seep diff --format ndjson old.seep new.seep | jq 'select(.change == \"new\")'",
	 "what is new in another version of a program"},
};

static const struct manual_section sections[] = {
	{"WHAT IS THE SAME",
	 "Processes of one name are added up, so that restarts, workers and other hosts compare. A "
	 "call site is the same when its stack has the same code: the same build-ids and offsets. "
	 "What is left over on both sides is compared by the names of the functions in its stack, "
	 "which survive a rebuild; the report says where that was needed. It counts what is "
	 "outstanding, as of each process's last report or of the report asked for.\n"
	 "\n"
	 "Figures of sampled captures are estimates; a difference that is less than the 95% "
	 "confidence interval of both is marked.\n"},
	{"RECORDS",
	 "One object a line, as in seep(1). The first is of type diff: before and after, each with "
	 "file, sequence (null: the last of each process), mark (that it was chosen by, or null), time, elapsed_seconds, hostname, "
	 "kernel, version, mode, processes and held. Then one of type difference for each site: "
	 "change (new, grew, same, shrank, gone), bytes and allocations (after less before), before "
	 "and after (outstanding_bytes, outstanding_allocations, interval_bytes, "
	 "interval_allocations), within_error, comm, site, family, matched_by (site or family), "
	 "kind, truncated, frames.\n"},
	{0},
};

const struct command command_diff = {
	.name = "diff",
	.summary = "what grew between two captures",
	.run = cmd_diff,
	.synopsis = synopsis,
	.description =
		"Compares what is outstanding at each call site in two captures of 'seep trace -w', or "
		"in two reports or marks of one: what grew, what is new, what shrank, what is gone. Needs no "
		"privileges and neither the traced programs nor their debug files.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.operands = operands,
	.n_operands = ARRAY_SIZE(operands),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = sections,
};

static int check_mark(const char *label, const char *name, struct diag *d)
{
	if (!name || mark_name_is_valid(name) || !strcmp(name, "start") || !strcmp(name, "end"))
		return 0;
	return options_error(d, "%s: '%s' is no name of a mark", label, name);
}

int diff_options_parse(int argc, char **argv, struct diff_options *ret, struct diag *d)
{
	struct diff_options o = defaults;
	int r = options_parse(&command_diff, argc, argv, &o, d);

	if (!r && !o.before.path)
		r = options_error(d, "no capture given: give FILE_A and FILE_B, or one FILE");
	if (!r && o.after.path && !strcmp(o.before.path, "-") && !strcmp(o.after.path, "-"))
		r = options_error(d, "standard input can be one of the two only");
	if (!r && !o.after.path && !strcmp(o.before.path, "-"))
		r = options_error(
			d,
			"one capture is read twice, which standard input cannot be: give a file");
	if (!r && o.before.mark && o.before.sequence)
		r = options_error(d, "--from and --before: give one of them");
	if (!r && o.after.mark && o.after.sequence)
		r = options_error(d, "--to and --after: give one of them");
	if (!r)
		r = check_mark("--from", o.before.mark, d);
	if (!r)
		r = check_mark("--to", o.after.mark, d);
	if (!r)
		*ret = o;
	return r;
}
