// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/option_spec.h"

static const struct watch_options defaults = {
	.show.top = 20,
	.interval_ns = 5 * NS_PER_SECOND,
};

static const struct option_spec operands[] = {
	{.argument = "INTERVAL",
	 OPTION_INTO_DURATION(struct watch_options, interval_ns),
	 .unit_ns = NS_PER_SECOND,
	 .min = 100 * NS_PER_MS,
	 .max = 24 * NS_PER_HOUR,
	 .help = "time between reports; a plain number is seconds"},
	{.argument = "COUNT",
	 OPTION_INTO_COUNT(struct watch_options, count),
	 .min = 1,
	 .max = UINT64_MAX,
	 .help = "end after so many reports; else at Ctrl-C"},
};

static const struct option_choice formats[] = {{"text"}, {"ndjson"}, {0}};

/* In enum options_watch_sort's order. */
static const struct option_choice sorts[] = {{"worst"}, {"growth"}, {"size"}, {"limit"}, {0}};

#define TARGET .group = "Which processes"
#define SHOW .group = "What to show"
#define OUTPUT .group = "Where to"
#define LIMIT .group = "Limits"

static const struct option_spec options[] = {
	{"pid", 'p', "PID,...", OPTION_INTO_PIDS(struct watch_options, show.pids), TARGET,
	 .help = "these, whether they grow or not",
	 .man = "May be given more than once. When all have ended, so does seep."},
	{"comm", 0, "GLOB", OPTION_INTO_STRING(struct watch_options, comm), TARGET,
	 .help = "by name, such as 'nginx*'"},
	{"exe", 0, "GLOB", OPTION_INTO_STRING(struct watch_options, exe), TARGET,
	 .help = "by executable: its path, or, without a slash, the last part of it"},
	{"cgroup", 0, "PATH", OPTION_INTO_PATH(struct watch_options, cgroup), TARGET,
	 .help = "in this cgroup or below it"},
	{"container", 0, "ID|NAME", OPTION_INTO_STRING(struct watch_options, container), TARGET,
	 .help = "in the container with this id, beginning of an id, or name",
	 .man = "As in seep-trace(1): also POD/NAME and NAMESPACE/POD/NAME of Kubernetes."},
	{"user", 0, "USER", OPTION_INTO_STRING(struct watch_options, user), TARGET,
	 .help = "of this user, by name or number",
	 .man = "Several of these options: what matches all of them. They choose what is shown; "
		"watching costs the same."},

	{"escalate", 0, NULL, OPTION_INTO_FLAG(struct watch_options, escalate), TARGET,
	 .help = "trace those that grow, a few at once, for a while: 'seep trace --escalate'",
	 .man = "With its reports below those of the watch; 'seep trace' has options for how long "
		"and how many. Not with -p, -a, --cgroups, --sort and -T."},

	{"all", 'a', NULL, OPTION_INTO_FLAG(struct watch_options, show.all), SHOW,
	 .help = "also processes and cgroups that do not grow",
	 .man = "With ndjson every process, whatever -T says."},
	{"cgroups", 0, NULL, OPTION_INTO_FLAG(struct watch_options, show.cgroups), SHOW,
	 .help = "only cgroups, not their processes"},
	{"top", 'T', "N", OPTION_INTO_COUNT(struct watch_options, show.top), SHOW, .max = 1000000,
	 .help = "besides the suspects only the first N; 0 for all",
	 .man = "N processes and N cgroups. Suspects are always shown."},
	{"sort", 0, NULL, OPTION_INTO_CHOICE(struct watch_options, show.sort), .choices = sorts,
	 SHOW,
	 .help = "order, suspects first in each: what hurts soonest, by growth, by memory, by time "
		 "to the limit"},

	{"format", 0, NULL, OPTION_INTO_CHOICE(struct watch_options, format), .choices = formats,
	 OUTPUT, .help = "text for people, or one JSON object a line"},
	{"output", 0, "FILE", OPTION_INTO_PATH(struct watch_options, output), OUTPUT,
	 .help = "write the report to FILE, not to stdout"},
	{"color", 0, NULL, OPTION_INTO_CHOICE(struct watch_options, color),
	 .choices = options_colors, OUTPUT, .help = "colour in text",
	 .man = "auto: when stdout is a terminal and NO_COLOR is not set."},
	{"verbose", 'v', NULL, OPTION_INTO_FLAG(struct watch_options, verbose), OUTPUT,
	 .help = "say more about each suspect"},
	{"quiet", 'q', NULL, OPTION_INTO_FLAG(struct watch_options, quiet), OUTPUT,
	 .help = "only errors on stderr"},

	{"for", 0, "DURATION", OPTION_INTO_DURATION(struct watch_options, duration_ns), LIMIT,
	 .unit_ns = NS_PER_SECOND, .min = 100 * NS_PER_MS, .max = 8760 * NS_PER_HOUR,
	 .help = "end after this time, such as 90s, 15m or 2h; a plain number is seconds",
	 .man = "With COUNT, whichever comes first."},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {"[OPTIONS] [INTERVAL [COUNT]]", NULL};

static const struct example examples[] = {
	{"seep watch", "who grows on this host; first words after half a minute"},
	{"seep watch 60 --for 8h --output night.txt", "a night, once a minute"},
	{"seep watch --container 3f2a91bc -a", "all processes of a container"},
	{"seep watch --format ndjson 10 | jq 'select(.suspect)'", "for programs"},
};

const struct command command_watch = {
	.name = "watch",
	.summary = "every process on the host, suspects first",
	.run = cmd_watch,
	.synopsis = synopsis,
	.description =
		"Reads the memory of every process once a second, in one pass within the kernel, less often where that "
		"would take more than a thousandth of a CPU, "
		"and every INTERVAL reports which processes and cgroups grow, how fast, since "
		"when, and when they reach their limit. Nothing is attached to any process. What "
		"grows can then be asked for its call sites: seep trace -p PID.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.operands = operands,
	.n_operands = ARRAY_SIZE(operands),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = manual_watch,
};

static int check(const struct watch_options *o, struct diag *d)
{
	if (o->show.cgroups && o->show.pids.n)
		return options_error(d, "--cgroups shows no processes: leave out -p");
	if (o->escalate && (o->show.pids.n || o->show.all || o->show.cgroups || o->show.sort ||
			    o->show.top != defaults.show.top))
		return options_error(
			d,
			"--escalate chooses by itself: not with -p, -a, --cgroups, --sort and -T");
	if (o->verbose && o->quiet)
		return options_error(d, "-v and -q exclude each other");
	return 0;
}

int watch_options_parse(int argc, char **argv, struct watch_options *ret, struct diag *d)
{
	struct watch_options o = defaults;
	int r = options_parse(&command_watch, argc, argv, &o, d);

	if (!r)
		r = check(&o, d);
	if (r)
		watch_options_done(&o);
	else
		*ret = o;
	return r;
}

void watch_options_done(struct watch_options *o)
{
	free(o->show.pids.items);
	o->show.pids = (struct pid_list){0};
}
