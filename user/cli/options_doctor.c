// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/option_spec.h"

static const struct doctor_options defaults = {0};

static const struct option_choice formats[] = {{"text"}, {"ndjson"}, {0}};

static const struct option_spec options[] = {
	{"pid", 'p', "PID,...", OPTION_INTO_PIDS(struct doctor_options, pids),
	 .group = "What to look at",
	 .help = "also the plan for these processes: which functions would be probed, and where",
	 .man = "They are only read: nothing is attached to them."},
	{"link", 0, NULL, OPTION_INTO_CHOICE(struct doctor_options, link), .choices = options_links,
	 .group = "What to look at", .help = "the way of attaching to measure",
	 .man = "best is what 'seep trace' would take; see --link in seep-trace(1)."},
	{"format", 0, NULL, OPTION_INTO_CHOICE(struct doctor_options, format), .choices = formats,
	 .group = "Where to", .help = "text for people, or one JSON object a line"},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {"[OPTIONS] [-p PID,...]", NULL};

static const struct example examples[] = {
	{"seep doctor", "can seep trace on this host, and what is missing if not"},
	{"seep doctor -p 1234",
	 "where the probes would go in process 1234, and what a hit of each would cost"},
};

static const struct manual_section sections[] = {
	{"THE PLAN",
	 "With -p, each line names a file that the process has mapped, a function it defines, "
	 "the instruction to probe, whether the kernel emulates that instruction or has to step "
	 "it, the kind of link, and what one hit costs. The cost is measured on a process of "
	 "seep's own, here and now, not taken from a table.\n"
	 "\n"
	 "An emulated instruction is worth a factor of ten. seep therefore probes the first "
	 "emulated one that every call passes before the arguments are changed, and says so when "
	 "a function has none.\n"},
	{0},
};

const struct command command_doctor = {
	.name = "doctor",
	.summary = "say what this kernel, this user and a target allow, and what it costs",
	.run = cmd_doctor,
	.synopsis = synopsis,
	.description =
		"Tries each kernel feature and privilege that seep uses, and says for those that "
		"are missing what that means and how to get them. Exits with 3 when tracing is "
		"not possible.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = sections,
};

int doctor_options_parse(int argc, char **argv, struct doctor_options *ret, struct diag *d)
{
	struct doctor_options o = defaults;
	int r = options_parse(&command_doctor, argc, argv, &o, d);

	if (r)
		doctor_options_done(&o);
	else
		*ret = o;
	return r;
}

void doctor_options_done(struct doctor_options *o)
{
	free(o->pids.items);
	o->pids = (struct pid_list){0};
}
