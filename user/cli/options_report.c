// SPDX-License-Identifier: BSD-2-Clause
#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/option_spec.h"

static const struct report_options defaults = {.top = 10, .top_processes = 20};

static const struct option_spec operands[] = {
	{.argument = "FILE",
	 OPTION_INTO_PATH(struct report_options, path),
	 .help = "a capture that 'seep trace -w FILE' saved; - for standard input"},
};

#define SHOW .group = "What to show"
#define OUTPUT .group = "Where to"

static const struct option_spec options[] = {
	{"all-reports", 0, NULL, OPTION_INTO_FLAG(struct report_options, all_reports), SHOW,
	 .help = "every report of the capture, not only each process's last",
	 .man = "ndjson always holds every report; folded and pprof always hold the last. html plots them all, and has each process's last whole."},
	{"mark", 0, "NAME", OPTION_INTO_STRING(struct report_options, mark), SHOW,
	 .help = "only the report of this mark, in any format",
	 .man = "'seep mark' sets marks while the capture is taken."},
	{"show-allocs", 'a', NULL, OPTION_INTO_FLAG(struct report_options, show_allocs), SHOW,
	 .help = "also list every outstanding block, if the capture was taken with -a"},
	{"top", 'T', "N", OPTION_INTO_COUNT(struct report_options, top), SHOW, .max = 1000000,
	 .help = "only the N largest call sites of each process; 0 for all",
	 .man = "For text, folded and pprof; ndjson and html hold all sites."},
	{"top-processes", 0, "N", OPTION_INTO_COUNT(struct report_options, top_processes), SHOW,
	 .max = 1000000, .help = "only the N processes that hold most; 0 for all",
	 .man = "For text; ndjson and html hold all."},
	{"sort", 0, NULL, OPTION_INTO_CHOICE(struct report_options, sort), .choices = options_sorts,
	 SHOW, .help = "order of the call sites: by outstanding bytes or by number of blocks"},
	{"suppressions", 0, "FILE", OPTION_INTO_PATH(struct report_options, suppressions), SHOW,
	 .help = "leave out call sites by rules, as for LeakSanitizer or valgrind",
	 .man = "Lines leak:PATTERN, or valgrind's blocks of Memcheck:Leak. What is left out is counted: as a "
		"line in text, as [suppressed] in folded and pprof; ndjson has all sites, with the rule as "
		"\"suppressed\"; html leaves them out of its flame graph only."},
	{"combined-only", 'C', NULL, OPTION_INTO_FLAG(struct report_options, combined_only), SHOW,
	 .help = "only the totals of each process, no stacks"},
	{"format", 0, NULL, OPTION_INTO_CHOICE(struct report_options, format),
	 .choices = options_formats, OUTPUT, .help = "form of the report",
	 .man = "As in seep-trace(1)."},
	{"output", 0, "FILE", OPTION_INTO_PATH(struct report_options, output), OUTPUT,
	 .help = "write the report to FILE, not to stdout"},
	{"color", 0, NULL, OPTION_INTO_CHOICE(struct report_options, color),
	 .choices = options_colors, OUTPUT, .help = "colour in text",
	 .man = "auto: when stdout is a terminal and NO_COLOR is not set."},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {"[OPTIONS] FILE", NULL};

static const struct example examples[] = {
	{"seep report run.seep", "what was outstanding at the end"},
	{"seep report -T 0 --sort count run.seep", "every call site, most blocks first"},
	{"seep report --format folded run.seep > run.folded", "for flamegraph.pl or speedscope"},
	{"seep report --format pprof run.seep > heap.pprof", "for 'go tool pprof' or Pyroscope"},
	{"seep report --format html --output run.html run.seep",
	 "a page for a browser, in one file"},
	{"seep report --format ndjson run.seep | jq .type", "for programs"},
};

static const struct manual_section sections[] = {
	{"DAMAGED FILES",
	 "A capture that was cut short, as by a crash or a full disk, is shown as far as its "
	 "reports are complete; then seep says what is missing, and exits with 1. So it does "
	 "with a damaged file. A file that a later version of seep wrote in a format that this "
	 "one does not know is refused.\n"
	 "\n"
	 "A capture is a gzip file of the records that seep(1) describes: zcat FILE | jq . reads "
	 "it too.\n"},
	{0},
};

const struct command command_report = {
	.name = "report",
	.summary = "show a saved capture again, in any format",
	.run = cmd_report,
	.synopsis = synopsis,
	.description =
		"Renders a capture as 'seep trace' would have shown it. Needs no privileges and "
		"no BPF, and neither the traced programs nor their debug files: names and lines "
		"are in the capture.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.operands = operands,
	.n_operands = ARRAY_SIZE(operands),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = sections,
};

int report_options_parse(int argc, char **argv, struct report_options *ret, struct diag *d)
{
	struct report_options o = defaults;
	int r = options_parse(&command_report, argc, argv, &o, d);

	if (!r && !o.path)
		r = options_error(d, "no capture given: give FILE, or - for standard input");
	if (!r && o.mark && o.all_reports)
		r = options_error(d, "--mark and --all-reports: give one of them");
	if (!r)
		*ret = o;
	return r;
}
