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
	 .help = "also the plan for these processes: which functions would be probed, and where, "
		 "and how their stacks would be unwound",
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
	 "where the probes would go in process 1234, what a hit of each would cost, and which stacks "
	 "would not be whole"},
};

static const struct manual_section sections[] = {
	{"WHAT IS TRIED",
	 "seep traces a child of its own, with the same programs and probes as any process, and "
	 "measures what each kind of probe adds to a call. When that works, tracing works, "
	 "whatever the other lines say; they tell what is missing when it does not, and what "
	 "would make it better.\n"
	 "\n"
	 "What other commands and options need is set up and taken down once each: a pass of seep "
	 "watch over the memory of all processes, with what it took; the events by which selectors "
	 "(--comm and its like) choose; the counting of hits for --budget, with how much a program may "
	 "allocate and stay exact; page faults for --growth; system calls for --mmap.\n"
	 "\n"
	 "= ok\n"
	 "It is there.\n"
	 "\n"
	 "= -\n"
	 "A fact, neither good nor bad.\n"
	 "\n"
	 "= less\n"
	 "seep traces without it, but something is slower, or not seen.\n"
	 "\n"
	 "= missing\n"
	 "seep cannot trace without it. The line below says how to get it.\n"},
	{"THE PLAN",
	 "With -p, each line names a function that a file of the process defines, the bytes from "
	 "its start to the probe (+9), the probe's offset in the file, the instruction there, "
	 "whether the kernel emulates it or has to step it, how the end of the call is seen "
	 "(return: a return probe; exits: probes on the function's ret instructions, for what "
	 "exceptions pass through), the kind of link, what a call costs, and why the probe is "
	 "there. The cost is measured here and now, not taken from a table; deep stacks cost "
	 "more. Below are further names of the function, and functions that need no probe as all "
	 "that they do passes this one.\n"
	 "\n"
	 "An emulated instruction is worth a factor of ten. seep therefore probes the first "
	 "emulated one that every call passes before the arguments are changed, and says so when "
	 "a function has none.\n"
	 "\n"
	 "What will not be seen in the process is listed before that.\n"},
	{"STACKS",
	 "Below the plan stands how stacks would be unwound, by file: rows of its table, which is "
	 "made from its CFI; their size in the kernel, rounded up to pages, which counts "
	 "against --unwind-memory once however many processes map the file; the share of its code "
	 "that the table describes, where the rest is mostly bytes between functions; and the time "
	 "to build the table, or to read it from the cache (SEEP_CACHE_DIR in seep(1)), where it is "
	 "from then on. What will end stacks early is said below that, and explained in "
	 "seep-trace(1) under STACKS. Files without CFI and code that the program generates go by "
	 "frame pointers.\n"},
	{"RECORDS",
	 "With --format ndjson each line is one JSON object with type and time. Durations are "
	 "seconds, sizes and offsets bytes, and null is unknown or does not apply.\n"
	 "\n"
	 "= doctor\n"
	 "Once, first: version, kernel, machine, hostname, can_trace, problem and hint (when it "
	 "cannot), link (session, multi or perf), checks (an array of name, state, text, hint; "
	 "state is ok, info, less or missing), emulated and stepped. These two hold what a call "
	 "costs by how its instruction is executed: free_seconds, allocate_seconds (entry and "
	 "return), allocate_exits_seconds (entry and ret instruction), skipped_seconds (an "
	 "allocation that sampling or a size option leaves out), empty_seconds and "
	 "empty_with_return_seconds (programs that do nothing).\n"
	 "\n"
	 "= target\n"
	 "One per process: pid, start_time, comm, exe, container, own_mount_namespace, "
	 "own_pid_namespace (whether it is in seep's), probes (how many), notes (what will not "
	 "be seen), generated_code_bytes (mapped as code, of no file).\n"
	 "\n"
	 "= file\n"
	 "One per file with allocation functions: pid, path, allocator, probes.\n"
	 "\n"
	 "= probe\n"
	 "One per function: pid, path, function (the symbol), aliases, kind (what its arguments "
	 "mean), address, size_bytes, offset (of the probe, in the file), site_bytes (from the "
	 "function's start to the probe), instruction, execution (emulated or stepped), end "
	 "(return, exits or null), exits (how many), link, reason, cost_seconds.\n"
	 "\n"
	 "= unwind\n"
	 "One per file mapped as code: pid, path, without (why it has no table and goes by frame "
	 "pointers, or null), rows, table_bytes, text_bytes, covered_bytes (of the text, by rows "
	 "that lead to a caller), unsupported_bytes (by CFI that seep does not follow), functions "
	 "(that CFI describes), corrupt_functions (left out), cached, load_seconds.\n"},
	{"EXIT STATUS",
	 "0 when tracing will work; 3 when the kernel or the privileges do not allow it. With -p, "
	 "what 'seep trace' would exit with for the first process that cannot be traced.\n"},
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
