// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/option_spec.h"
#include "model/mark.h"

static const struct mark_options defaults = {0};

static const struct option_spec operands[] = {
	{.argument = "NAME",
	 OPTION_INTO_STRING(struct mark_options, name),
	 .help = "what the mark is called: " MARK_NAME_RULE},
};

#define WHICH .group = "Which trace, where several run"

static const struct option_spec options[] = {
	{"pid", 'p', "PID", OPTION_INTO_PIDS(struct mark_options, pids), WHICH,
	 .help = "the one that traces process PID"},
	{"trace", 0, "PID", OPTION_INTO_COUNT(struct mark_options, trace), WHICH, .min = 1,
	 .max = INT_MAX, .help = "the one that is process PID itself"},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {"[-p PID | --trace PID] NAME", NULL};

static const struct example examples[] = {
	{"seep mark before-load", "in another terminal, while 'seep trace -w night.seep' runs"},
	{"seep mark -p 1234 deploy-17", "in the trace of process 1234, of several that run"},
	{"seep diff --from before-load --to after-load night.seep", "what grew between two marks"},
};

static const struct manual_section sections[] = {
	{"WHAT A MARK DOES",
	 "The trace takes a report at once, and from then on its reports say of each process and call site "
	 "what has changed since: in text a line 'since NAME', in ndjson the fields mark and since_mark_... of "
	 "seep(1). Another mark takes the place of the one before. A capture (-w) keeps them all, for "
	 "'seep diff --from NAME --to NAME' and 'seep report --mark NAME'. The report of a mark does not count for COUNT.\n"
	 "\n"
	 "A process that began after the mark, and a call site that was not there, began with nothing: all they have is "
	 "since the mark. What is not outstanding any more makes a negative figure. With --format folded or pprof, in which "
	 "there is no time, only a capture shows marks.\n"
	 "\n"
	 "A trace keeps up to 1,000 names, each for one mark. While a report is being written, as "
	 "when nobody reads the trace's output, a mark waits, up to 30 s.\n"},
	{"THE SOCKET",
	 "A trace listens at /run/seep/trace-PID.sock when root runs it, else at $XDG_RUNTIME_DIR/seep/trace-PID.sock "
	 "($SEEP_RUN_DIR instead of either directory, if set). The directory is its user's alone, and who asks must be that "
	 "user or root; so one user's marks do not reach another's traces, and root, too, finds root's traces only. The "
	 "file is gone when the trace ends; one that a killed trace left is removed by the next trace or mark.\n"},
	{"EXIT STATUS",
	 "As in seep(1): 0 the mark is set; 1 no trace runs, or it refused; 2 also when several traces match: they are "
	 "listed with what they trace.\n"},
	{0},
};

const struct command command_mark = {
	.name = "mark",
	.summary = "a baseline in a running trace",
	.run = cmd_mark,
	.synopsis = synopsis,
	.description =
		"Names this moment in a 'seep trace' that runs in another terminal: its reports say from now on what has "
		"grown since, and its capture can be compared from mark to mark. It must be the same user's.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.operands = operands,
	.n_operands = ARRAY_SIZE(operands),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = sections,
};

void mark_options_done(struct mark_options *o)
{
	free(o->pids.items);
	*o = (struct mark_options){0};
}

int mark_options_parse(int argc, char **argv, struct mark_options *ret, struct diag *d)
{
	struct mark_options o = defaults;
	int r = options_parse(&command_mark, argc, argv, &o, d);

	if (!r && !o.name)
		r = options_error(d, "no name given: seep mark NAME");
	if (!r && !mark_name_is_valid(o.name))
		r = options_error(d, "'%s' cannot be a mark's name: give " MARK_NAME_RULE, o.name);
	if (!r && o.pids.n > 1)
		r = options_error(d, "--pid: give one process");
	if (!r && o.pids.n && o.trace)
		r = options_error(d, "--pid and --trace: give one of them");
	if (r) {
		mark_options_done(&o);
		return r;
	}
	*ret = o;
	return 0;
}
