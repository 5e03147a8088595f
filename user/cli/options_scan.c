// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/option_spec.h"

static const struct scan_options defaults = {
	.duration_ns = 15 * NS_PER_SECOND,
	.passes = 3,
	.pause_ns = 500 * NS_PER_MS,
	.top = 10,
	.max_outstanding = 1000000,
};

static const struct option_choice formats[] = {{"text"}, {"ndjson"}, {0}};

/* In enum options_pointers' and enum options_stack's order. */
static const struct option_choice pointers[] = {{"interior"}, {"start"}, {0}};
static const struct option_choice stacks[] = {{"cfi"}, {"fp"}, {"none"}, {0}};

#define TARGET .group = "What to scan"
#define SHOW .group = "What to show"
#define OUTPUT .group = "Where to"
#define LIMIT .group = "Limits"

static const struct option_spec options[] = {
	{"pid", 'p', "PID", OPTION_INTO_PIDS(struct scan_options, pids), TARGET,
	 .help = "the process; it runs on, unless --stop is given"},
	{"for", 0, "DURATION", OPTION_INTO_DURATION(struct scan_options, duration_ns), TARGET,
	 .unit_ns = NS_PER_SECOND, .min = 10 * NS_PER_MS, .max = 8760 * NS_PER_HOUR,
	 .help = "trace so long before the scan; a plain number is seconds",
	 .man = "Only blocks that are allocated meanwhile are judged. Ctrl-C ends it early and goes "
		"on to the scan; a second one ends the scan, too."},
	{"passes", 0, "N", OPTION_INTO_COUNT(struct scan_options, passes), TARGET, .min = 1,
	 .max = 100, .help = "a block counts when so many passes in a row found no pointer to it",
	 .man = "Once a pass meets blocks that those before had missed, passes look at all memory twice, and "
		"there are more until one meets nothing again, up to four times as many."},
	{"pause", 0, "DURATION", OPTION_INTO_DURATION(struct scan_options, pause_ns), TARGET,
	 .unit_ns = NS_PER_SECOND, .min = 0, .max = NS_PER_HOUR, .help = "time between passes"},
	{"stop", 0, NULL, OPTION_INTO_FLAG(struct scan_options, stop), TARGET,
	 .help = "stop the process for one exact pass, and say for how long",
	 .man = "All its threads stand meanwhile, by ptrace(2), as under a debugger. What glibc's malloc has back, and the "
		"stacks of threads that ended, are then known and left out, so that pointers left there hide no leak."},
	{"heap-walk", 0, NULL, OPTION_INTO_FLAG(struct scan_options, heap_walk), TARGET,
	 .help = "also judge what glibc's malloc handed out before the trace, by its heap",
	 .man = "The heap is read from outside, chunk by chunk. Such blocks have a size, but no stack, and are told by size; "
		"what they point to is reachable only if they are. Without it they are roots, all of them. With --for 10ms "
		"nothing else is judged."},
	{"pointers", 0, NULL, OPTION_INTO_CHOICE(struct scan_options, pointers),
	 .choices = pointers, TARGET,
	 .help = "which count: those to any byte of a block, or to its start only",
	 .man = "start finds more leaks, and false ones where programs keep pointers into blocks "
		"alone: C++ arrays and base classes, intrusive lists, libc's thread tables."},

	{"tagged", 0, NULL, OPTION_INTO_FLAG(struct scan_options, tagged), TARGET,
	 .help = "also count pointers that have tags in their upper 16 or lowest 3 bits",
	 .man = "As JavaScript engines box them in NaNs, lock-free lists keep counters beside them, and memory tagging does. "
		"What numbers look like by these bits then counts, too, so more leaks may be missed. Pointers that are "
		"shifted, compressed to 32 bits or encrypted are not found by it."},
	{"paths", 0, "ADDRESS", OPTION_INTO_STRING(struct scan_options, paths), SHOW,
	 .help = "instead: why the block at ADDRESS is still reachable",
	 .man = "A shortest chain of pointers from a global variable, a stack, a register or other "
		"memory to the block. Addresses of blocks are in the reports, and listed by -a."},
	{"show-allocs", 'a', NULL, OPTION_INTO_FLAG(struct scan_options, show_allocs), SHOW,
	 .help = "also list every outstanding block, and whether it is reachable"},
	{"combined-only", 'C', NULL, OPTION_INTO_FLAG(struct scan_options, combined_only), SHOW,
	 .help = "only the totals, no stacks"},
	{"top", 'T', "N", OPTION_INTO_COUNT(struct scan_options, top), SHOW, .max = 1000000,
	 .help = "only the N call sites that leak most; 0 for all",
	 .man = "For text; ndjson holds all."},

	{"format", 0, NULL, OPTION_INTO_CHOICE(struct scan_options, format), .choices = formats,
	 OUTPUT, .help = "text for people, or one JSON object a line",
	 .man = "See RECORDS in seep(1)."},
	{"output", 0, "FILE", OPTION_INTO_PATH(struct scan_options, output), OUTPUT,
	 .help = "write the report to FILE, not to stdout"},
	{"color", 0, NULL, OPTION_INTO_CHOICE(struct scan_options, color),
	 .choices = options_colors, OUTPUT, .help = "colour in text",
	 .man = "auto: when stdout is a terminal and NO_COLOR is not set."},
	{"verbose", 'v', NULL, OPTION_INTO_FLAG(struct scan_options, verbose), OUTPUT,
	 .help = "whole paths in stacks"},
	{"quiet", 'q', NULL, OPTION_INTO_FLAG(struct scan_options, quiet), OUTPUT,
	 .help = "only errors on stderr"},

	{"threads", 0, "N", OPTION_INTO_COUNT(struct scan_options, threads), LIMIT, .max = 256,
	 .help = "threads that scan; 0: one for each CPU, 4 at most"},
	{"max-outstanding", 0, "N", OPTION_INTO_COUNT(struct scan_options, max_outstanding), LIMIT,
	 .min = 1, .max = 100000000, .help = "outstanding blocks to keep",
	 .man = "Blocks past the limit are not judged, and all that they point to is reachable; the "
		"report says how many those were, and the exit code is 4."},
	{"stack", 0, NULL, OPTION_INTO_CHOICE(struct scan_options, stack), .choices = stacks, LIMIT,
	 .help = "how to find the callers of an allocation function, as with 'seep trace'"},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {"[OPTIONS] -p PID", NULL};

static const struct example examples[] = {
	{"seep scan -p 1234", "what process 1234 allocates within 15 seconds and loses"},
	{"seep scan -p 1234 --for 10m -T 3", "slow leaks: ten minutes, the three worst"},
	{"seep scan -p 1234 --stop", "one exact pass, with the process stopped meanwhile"},
	{"seep scan -p 1234 --for 10ms --heap-walk --stop",
	 "what it has lost since it began, by size, without a trace"},
	{"seep scan -p 1234 --paths 0x55d0c0ffee10", "who still points to this block"},
};

static const struct manual_section sections[] = {
	{"WHAT IS REACHABLE",
	 "seep reads all memory of the process that is in no block it knows: data of all files, stacks "
	 "from the stack pointers upward, thread-local storage, registers, mappings of any kind that "
	 "were ever touched, and what was allocated before the trace began. Each aligned word there "
	 "that is an address in a block makes that block reachable, and so do the words within "
	 "reachable blocks. What is left, the program cannot free any more.\n"
	 "\n"
	 "A number may look like a pointer, and what is out of use may still hold one: memory that was "
	 "freed, a stack that a thread left behind. So a leak may be missed. The other way round, a "
	 "program that hides its pointers (compressed, encrypted, tagged without --tagged, kept in a file or in another "
	 "process, or unaligned) loses blocks in seep's eyes that it still has.\n"},
	{"WITHOUT STOPPING",
	 "Memory is read while the program goes on, so a pointer may move from what is yet to be read to "
	 "what was read. A block therefore counts only when no pass of --passes met a pointer to it, "
	 "and it was not freed; and where pointers move so fast that "
	 "passes meet what others missed, there are more passes, and more thorough ones. Registers of threads that wait are exact; of a thread that runs they "
	 "are those of its last entry into the kernel, as a rule a few milliseconds ago.\n"},
	{"READING A REPORT",
	 "= direct\n"
	 "Blocks to which nothing points at all: the roots of what was lost, as with LeakSanitizer.\n"
	 "\n"
	 "= cycles\n"
	 "Blocks that point to one another in a circle, with nothing from outside: one of each circle "
	 "stands for it. LeakSanitizer counts them as indirect.\n"
	 "\n"
	 "= indirect\n"
	 "Blocks to which only unreachable ones point: they go with those.\n"
	 "\n"
	 "= holding\n"
	 "The indirect blocks, whoever allocated them, that a site's lost roots lead to. The list begins "
	 "with the sites that hold most, their own blocks included.\n"
	 "\n"
	 "= open\n"
	 "Neither: allocated after the first pass or reached by some passes and not by others.\n"},
	{"COST",
	 "The process pays for its traced allocations as with 'seep trace', and nothing for the scan but "
	 "the memory bandwidth that it takes. Swapped pages are read back in. seep itself takes about "
	 "60 bytes for each block.\n"},
	{0},
};

const struct command command_scan = {
	.name = "scan",
	.summary = "the blocks of a live process that nothing points to any more",
	.run = cmd_scan,
	.synopsis = synopsis,
	.description =
		"Traces a process for a while, then reads its memory and looks which of the blocks "
		"that it allocated meanwhile can still be reached by pointers. What cannot is lost: "
		"a proof of a leak, not a suspicion. The process is neither restarted nor stopped.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = sections,
};

static int read_address(struct scan_options *o, struct diag *d)
{
	char *end;

	errno = 0;
	o->paths_address = strtoull(o->paths, &end, 16);
	if (*end || errno || !o->paths_address)
		return options_error(d, "--paths: '%s' is not an address, such as 0x55d0c0ffee10",
				     o->paths);
	return 0;
}

static int check(struct scan_options *o, struct diag *d)
{
	if (!o->pids.n)
		return options_error(d, "which process? -p PID");
	if (o->pids.n > 1)
		return options_error(d, "-p: one process at a time");
	if (o->verbose && o->quiet)
		return options_error(d, "-v and -q exclude each other");
	if (o->stop && o->passes != defaults.passes && o->passes != 1)
		return options_error(d, "--stop makes one pass: leave out --passes");
	if (o->paths && (o->show_allocs || o->combined_only))
		return options_error(d, "--paths is about one block: leave out -a and -C");
	if (o->stop || o->paths)
		o->passes = 1;
	return o->paths ? read_address(o, d) : 0;
}

int scan_options_parse(int argc, char **argv, struct scan_options *ret, struct diag *d)
{
	struct scan_options o = defaults;
	int r = options_parse(&command_scan, argc, argv, &o, d);

	if (!r)
		r = check(&o, d);
	if (r)
		scan_options_done(&o);
	else
		*ret = o;
	return r;
}

void scan_options_done(struct scan_options *o)
{
	free(o->pids.items);
	o->pids = (struct pid_list){0};
}
