// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/option_spec.h"

static const struct triage_options defaults = {
	.duration_ns = 60 * NS_PER_SECOND,
	.budget_percent = 25,
	.evidence = "/var/tmp",
};

#define TARGET .group = "What to look at"
#define OUTPUT .group = "Where to"

static const struct option_spec options[] = {
	{"pid", 'p', "PID", OPTION_INTO_PIDS(struct triage_options, pids), TARGET,
	 .help = "the process"},
	{"comm", 0, "GLOB", OPTION_INTO_STRING(struct triage_options, select.comm_glob), TARGET,
	 .help = "the one that grows most of the processes with this name"},
	{"container", 0, "ID|NAME", OPTION_INTO_STRING(struct triage_options, select.container),
	 TARGET, .help = "the same of this container", .man = "As with 'seep trace'."},
	{"cgroup", 0, "PATH", OPTION_INTO_PATH(struct triage_options, select.cgroup), TARGET,
	 .help = "the same of this cgroup and those below it"},
	{"for", 0, "DURATION", OPTION_INTO_DURATION(struct triage_options, duration_ns), TARGET,
	 .unit_ns = NS_PER_SECOND, .min = NS_PER_SECOND, .max = 24 * NS_PER_HOUR,
	 .help = "time until the verdict; a plain number is seconds",
	 .man = "A longer look is a surer one: slow leaks need minutes. Ctrl-C ends it early and goes on to "
		"the scan and the verdict; a second one ends the scan, too."},
	{"budget", 0, "PERCENT", OPTION_INTO_COUNT(struct triage_options, budget_percent), TARGET,
	 .max = 1000, .help = "of its CPU time that probes may cost; 0 for no bound",
	 .man = "See GOVERNOR in seep-trace(1). Five hundredths of one CPU are always within it, so that small "
		"servers are seen whole. What is not recorded is not scanned."},

	{"json", 0, NULL, OPTION_INTO_FLAG(struct triage_options, json), OUTPUT,
	 .help = "records for programs, one JSON object a line",
	 .man = "Of each look a record of type triage, the process's and its sites', and of the last one those of the "
		"scan: see RECORDS in seep(1)."},
	{"evidence", 0, "DIR", OPTION_INTO_PATH(struct triage_options, evidence), OUTPUT,
	 .help = "where the folder with the evidence is made (default /var/tmp)"},
	{"no-evidence", 0, NULL, OPTION_INTO_FLAG(struct triage_options, no_evidence), OUTPUT,
	 .help = "leave none"},
	{"color", 0, NULL, OPTION_INTO_CHOICE(struct triage_options, color),
	 .choices = options_colors, OUTPUT, .help = "colour in text",
	 .man = "auto: when stdout is a terminal and NO_COLOR is not set."},
	{"verbose", 'v', NULL, OPTION_INTO_FLAG(struct triage_options, verbose), OUTPUT,
	 .help = "whole stacks with whole paths, all rows of its memory: what report.txt has"},
	{"quiet", 'q', NULL, OPTION_INTO_FLAG(struct triage_options, quiet), OUTPUT,
	 .help = "only errors on stderr"},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {
	"[OPTIONS] -p PID", "[OPTIONS] --container ID|NAME | --cgroup PATH | --comm GLOB", NULL};

static const struct example examples[] = {
	{"seep triage -p 1234",
	 "in a minute: is it a leak, how fast, how long until the limit, whose code"},
	{"seep triage --cgroup /system.slice/shop.service --for 5m",
	 "the one that grows most of a service"},
	{"seep triage -p 1234 --for 15s --json", "for programs"},
};

static const struct manual_section sections[] = {
	{"WHAT IT DOES",
	 "The process's memory is measured every second, its allocations are traced from now on, within the "
	 "budget, and at the end its memory is scanned for blocks that nothing points to any more (see "
	 "seep-scan(1)); it is not stopped. A first look comes after four seconds. A program without "
	 "allocation functions (Go, static without symbols) is followed by the pages that it touches.\n"
	 "\n"
	 "The verdict is that of its call sites (see VERDICTS in seep-trace(1)), or, where those do not tell, that of "
	 "its memory: growing while nothing that is traced grows is outside-malloc. What the scan finds "
	 "unreachable makes it leak; where it finds all of what grows reachable, the verdict is growing: nothing "
	 "is lost, but a list or table is never emptied, or a cache is not full yet. Where the pointers to it "
	 "begin is said then. The stacks to look at first are those that leak, then those that grow, the most "
	 "first; of each the frames are shown that say whose code it is.\n"},
	{"EVIDENCE",
	 "The folder has report.txt (the screen and all call sites), capture.seep (for 'seep report' and 'seep "
	 "diff'), stacks.folded (for flame graphs) and heap.pprof (for 'go tool pprof', speedscope, Pyroscope). They are there from the first look on, so that "
	 "they outlive the process. The folder is root's alone: names and stacks of a program may be "
	 "secret.\n"},
	{0},
};

const struct command command_triage = {
	.name = "triage",
	.summary = "one process in one screen: leak or not, with evidence saved",
	.run = cmd_triage,
	.synopsis = synopsis,
	.description =
		"Says of one process, within a minute: whether it leaks and how sure that is, how fast it "
		"grows, how long until its limit, which stacks to send to whom, what its memory is made of. "
		"Saves the evidence.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = sections,
};

int triage_options_parse(int argc, char **argv, struct triage_options *ret, struct diag *d)
{
	struct triage_options o = defaults;
	bool select;
	int r = options_parse(&command_triage, argc, argv, &o, d);

	select = !selector_is_empty(&o.select);
	if (!r && !o.pids.n && !select)
		r = options_error(
			d,
			"which process? -p PID, --container ID|NAME, --cgroup PATH or --comm GLOB");
	if (!r && o.pids.n + select > 1)
		r = options_error(d, "one process at a time: one -p PID, or a selector");
	if (!r && select)
		r = selector_check(&o.select, d);
	if (!r && o.verbose && o.quiet)
		r = options_error(d, "-v and -q exclude each other");
	if (r)
		triage_options_done(&o);
	else
		*ret = o;
	return r;
}

void triage_options_done(struct triage_options *o)
{
	free(o->pids.items);
	o->pids = (struct pid_list){0};
}
