// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include "attach/kernel_heap.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/option_spec.h"

#define GROWTH_DISTANCE (64 << 10) /* bytes between samples of touched pages */
#define BUDGET_UNSET UINT64_MAX

static const struct trace_options defaults = {
	.top = 10,
	.top_processes = 20,
	.sample_rate = 1,
	.max_outstanding = 1000000,
	.max_sites = 65536,
	.stack_storage_size = 65536,
	.max_stack_depth = 127,
	.unwind_memory_bytes = 64 << 20,
	.escalate_ns = 60 * NS_PER_SECOND,
	.escalate_most = 3,
	.interval_ns = 5 * NS_PER_SECOND,
};

/* Of the kernel's own allocations: room is taken at once, as nothing may be allocated while something is. */
#define KERNEL_OUTSTANDING (1 << 18)
#define KERNEL_SITES (1 << 14)
#define KERNEL_STACKS (1 << 14)

static const struct option_spec operands[] = {
	{.argument = "INTERVAL",
	 OPTION_INTO_DURATION(struct trace_options, interval_ns),
	 .unit_ns = NS_PER_SECOND,
	 .min = 10 * NS_PER_MS,
	 .max = 24 * NS_PER_HOUR,
	 .help = "time between reports; a plain number is seconds"},
	{.argument = "COUNT",
	 OPTION_INTO_COUNT(struct trace_options, count),
	 .min = 1,
	 .max = UINT64_MAX,
	 .help = "end after so many reports; else when the targets have exited, or at Ctrl-C"},
	{.argument = "COMMAND [ARGS...]",
	 OPTION_INTO_TAIL(struct trace_options, argv),
	 .help = "a command to start and trace from its first allocation"},
};

/* In enum options_stack's order. */
static const struct option_choice stacks[] = {{"cfi"}, {"fp"}, {"none"}, {0}};

#define TARGET .group = "What to trace"
#define SHOW .group = "What to show"
#define FILTER .group = "Which allocations count"
#define OUTPUT .group = "Where to"
#define LIMIT .group = "Limits"

static const struct option_spec options[] = {
	{"pid", 'p', "PID,...", OPTION_INTO_PIDS(struct trace_options, pids), TARGET,
	 .help = "running processes",
	 .man = "They are not stopped, restarted or changed. May be given more than once."},
	{"command", 'c', "CMD", OPTION_INTO_STRING(struct trace_options, command), TARGET,
	 .help = "start CMD through /bin/sh and trace it from its first allocation",
	 .man = "As \"-- COMMAND ARGS\", for a command that is one string. It starts to run only "
		"once the probes stand. seep reports its exit status, and ends when it does."},
	{"comm", 0, "GLOB", OPTION_INTO_STRING(struct trace_options, select.comm_glob), TARGET,
	 .help = "processes with this name, such as nginx or 'php*', also those that start later",
	 .man = "The name is the first thread's, as ps shows it. Names that the kernel cut after 15 "
		"characters count as the executable's, if that begins alike. See CHOOSING PROCESSES."},
	{"exe", 0, "GLOB", OPTION_INTO_STRING(struct trace_options, select.exe_glob), TARGET,
	 .help = "processes that run this file; without a slash its last part counts"},
	{"cgroup", 0, "PATH", OPTION_INTO_PATH(struct trace_options, select.cgroup), TARGET,
	 .help = "processes of this cgroup and of those below it",
	 .man = "As /proc/PID/cgroup shows it, or as a path below /sys/fs/cgroup: of version 2, or of "
		"version 1's memory controller."},
	{"container", 0, "ID|NAME", OPTION_INTO_STRING(struct trace_options, select.container),
	 TARGET, .help = "processes of this container, by id, beginning of an id, or name",
	 .man = "The name is what its runtime calls it (Docker, containerd, CRI-O, Podman, LXC, "
		"systemd-nspawn, libvirt); POD/NAME and NAMESPACE/POD/NAME are those of Kubernetes. An id "
		"needs 4 digits at least. What could be both is a whole id, else the name of a "
		"container that runs when seep starts, else the beginning of an id or the name of a "
		"later one."},
	{"user", 0, "USER", OPTION_INTO_STRING(struct trace_options, select.user), TARGET,
	 .help = "processes whose effective user this is, by name or number"},
	{"all", 0, NULL, OPTION_INTO_FLAG(struct trace_options, select.everything), TARGET,
	 .help = "every process of the host, but seep itself",
	 .man = "The allocation functions are probed once per file, for all processes that map it: "
		"every program on the host pays for its calls. See COST."},
	{"escalate", 0, NULL, OPTION_INTO_FLAG(struct trace_options, escalate), TARGET,
	 .help = "watch, and trace those whose memory grows; what seep does without any target",
	 .man = "With --comm and its like: those of the processes that match. A suspect of 'seep "
		"watch' is traced for a while, then left alone. See WATCHING FIRST."},
	{"escalate-for", 0, "DURATION", OPTION_INTO_DURATION(struct trace_options, escalate_ns),
	 TARGET, .unit_ns = NS_PER_SECOND, .min = NS_PER_SECOND, .max = 24 * NS_PER_HOUR,
	 .help = "how long each suspect is traced"},
	{"escalate-most", 0, "N", OPTION_INTO_COUNT(struct trace_options, escalate_most), TARGET,
	 .min = 1, .max = 1000, .help = "suspects traced at once, the worst first"},
	{"check", 0, NULL, OPTION_INTO_FLAG(struct trace_options, check), TARGET,
	 .help = "with a command: report what nothing points to when a process ends; exit code 5 if "
		 "anything",
	 .man = "For tests in CI. Each process of the command stands at its end, its memory still there, "
		"for one exact pass, as with 'seep scan --stop'. See CHECKING in seep-trace(1)."},
	{"errors", 0, NULL, OPTION_INTO_FLAG(struct trace_options, errors), TARGET,
	 .help = "look for errors at free: freed twice, never allocated; with a command that is the default",
	 .man = "Without a further trap, but each free's stack is followed. Only with -p and commands; not with -s, "
		"--sample-bytes, -z, -Z, -O, -S, --growth and --kernel. See ERRORS AT FREE in seep-trace(1)."},
	{"no-errors", 0, NULL, OPTION_INTO_FLAG(struct trace_options, no_errors), TARGET,
	 .help = "do not look for errors at free"},
	{"no-follow", 0, NULL, OPTION_INTO_FLAG(struct trace_options, no_follow), TARGET,
	 .help = "do not trace the processes that the target starts"},

	{"trace", 't', NULL, OPTION_INTO_FLAG(struct trace_options, trace), SHOW,
	 .help = "print each allocation and free as it happens, to stdout",
	 .man = "With a --format other than text this needs --output, so that the two do not mix."},
	{"show-allocs", 'a', NULL, OPTION_INTO_FLAG(struct trace_options, show_allocs), SHOW,
	 .help = "also list every outstanding block with its address, size and age",
	 .man = "The cost of a report then follows the number of blocks, not of call sites."},
	{"older", 'o', "AGE_MS", OPTION_INTO_DURATION(struct trace_options, older_ns), SHOW,
	 .unit_ns = NS_PER_MS, .min = 0, .max = 8760 * NS_PER_HOUR,
	 .help = "only blocks that are at least this old; a plain number is milliseconds",
	 .man = "Without it blocks of every age count (memleak leaves out those younger than 500 "
		"ms). Like -a it makes the cost of a report follow the number of blocks. May be "
		"combined with sampling."},
	{"top", 'T', "N", OPTION_INTO_COUNT(struct trace_options, top), SHOW, .max = 1000000,
	 .help = "only the N largest call sites of each process; 0 for all",
	 .man = "For text, folded and pprof; ndjson and captures hold all sites."},
	{"top-processes", 0, "N", OPTION_INTO_COUNT(struct trace_options, top_processes), SHOW,
	 .max = 1000000, .help = "only the N processes that hold most; 0 for all",
	 .man = "For text; the others are summed up in a line. ndjson and captures hold all."},
	{"sort", 0, NULL, OPTION_INTO_CHOICE(struct trace_options, sort), .choices = options_sorts,
	 SHOW, .help = "order of the call sites: by outstanding bytes or by number of blocks"},
	{"suppressions", 0, "FILE", OPTION_INTO_PATH(struct trace_options, suppressions), SHOW,
	 .help = "leave out call sites by rules, as for LeakSanitizer or valgrind",
	 .man = "Lines leak:PATTERN, or valgrind's blocks of Memcheck:Leak. What is left out is counted: as a "
		"line in text, as [suppressed] in folded and pprof; ndjson has all sites, with the rule as "
		"\"suppressed\"."},
	{"combined-only", 'C', NULL, OPTION_INTO_FLAG(struct trace_options, combined_only), SHOW,
	 .help = "only the totals of each process, no stacks"},

	{"sample-rate", 's', "N", OPTION_INTO_COUNT(struct trace_options, sample_rate), FILTER,
	 .min = 1, .max = 1 << 24,
	 .help = "sample one in N allocations, to lower the cost; 1 counts all",
	 .man = "Figures are then scaled estimates, marked as such, with a 95% confidence "
		"interval."},
	{"sample-bytes", 0, "SIZE", OPTION_INTO_SIZE(struct trace_options, sample_bytes), FILTER,
	 .min = 1, .max = 1 << 28, .help = "sample on average once in SIZE allocated bytes",
	 .man = "A Poisson process over bytes: large blocks are caught almost surely, small ones "
		"rarely. Figures are scaled estimates as with -s. Cannot be combined with -s."},
	{"min-size", 'z', "SIZE", OPTION_INTO_SIZE(struct trace_options, min_size_bytes), FILTER,
	 .max = UINT64_MAX,
	 .help = "only allocations of at least SIZE bytes, such as 512, 64k or 1M"},
	{"max-size", 'Z', "SIZE", OPTION_INTO_SIZE(struct trace_options, max_size_bytes), FILTER,
	 .min = 1, .max = UINT64_MAX, .help = "only allocations of at most SIZE bytes"},
	{"mmap", 0, NULL, OPTION_INTO_FLAG(struct trace_options, mmap), FILTER,
	 .help = "also memory that the program takes with mmap and brk itself",
	 .man = "Shown as kinds of their own. The allocator's own mappings and thread stacks are "
		"not counted twice."},
	{"growth", 0, NULL, OPTION_INTO_FLAG(struct trace_options, growth), FILTER,
	 .help = "not allocations but what grows: pages touched first, mmap, brk; no probes",
	 .man = "For any allocator and language, also where no allocation function is found, at a "
		"cost that follows the growth: see GROWTH. --sample-bytes SIZE sets the mean "
		"distance of the sampled pages, here 64k without it and rounded up to a power of "
		"two; 4k takes every page. Not with -s, -t, -z, -Z, -O, -S, --mmap and --budget."},
	{"kernel", 0, NULL, OPTION_INTO_FLAG(struct trace_options, kernel), FILTER,
	 .help = "the kernel's own allocations: slab objects and pages; with -p those that PID makes",
	 .man = "What memleak does without a PID. They are reported as one process, 0, as who frees "
		"kernel memory is seldom who took it. See THE KERNEL'S MEMORY in seep-trace(1)."},
	{"percpu", 'P', NULL, OPTION_INTO_FLAG(struct trace_options, percpu), FILTER,
	 .help = "of the kernel's own allocations those of per-CPU memory instead; implies --kernel"},
	{"all-pages", 0, NULL, OPTION_INTO_FLAG(struct trace_options, all_pages), FILTER,
	 .help = "with --kernel: pages of processes and of the page cache, too, as memleak counts them"},
	{"obj", 'O', "FILE", OPTION_INTO_PATH(struct trace_options, object), FILTER,
	 .help = "only the allocation functions that FILE defines",
	 .man = "A library or an executable. Without it, those of every file that the target has "
		"mapped."},
	{"symbols-prefix", 'S', "PREFIX", OPTION_INTO_STRING(struct trace_options, symbols_prefix),
	 FILTER, .help = "only allocation functions whose names begin with PREFIX, such as je_",
	 .man = "PREFIX is put before malloc, free and so on. The prefixes je_, tc_ and mi_ are "
		"known without it."},

	{"format", 0, NULL, OPTION_INTO_CHOICE(struct trace_options, format),
	 .choices = options_formats, OUTPUT, .help = "form of the report",
	 .man = "text is for people. ndjson is one JSON object a line, see RECORDS in seep(1). "
		"folded is one line a stack for flame graphs, pprof a profile for 'go tool pprof', "
		"Pyroscope or speedscope (gzip), both of the last report only. "
		"html is a page in one file, which opens anywhere and asks for nothing else; it is complete when the "
		"trace ends."},
	{"output", 0, "FILE", OPTION_INTO_PATH(struct trace_options, output), OUTPUT,
	 .help = "write the report to FILE, not to stdout"},
	{"write", 'w', "FILE", OPTION_INTO_PATH(struct trace_options, capture), OUTPUT,
	 .help = "also save a capture, which 'seep report FILE' shows again",
	 .man = "The file is readable by its owner only. If seep dies, it holds every report "
		"that was complete."},
	{"color", 0, NULL, OPTION_INTO_CHOICE(struct trace_options, color),
	 .choices = options_colors, OUTPUT, .help = "colour in text",
	 .man = "auto: when stdout is a terminal and NO_COLOR is not set."},
	{"verbose", 'v', NULL, OPTION_INTO_FLAG(struct trace_options, verbose), OUTPUT,
	 .help = "say more about what is being done, on stderr"},
	{"quiet", 'q', NULL, OPTION_INTO_FLAG(struct trace_options, quiet), OUTPUT,
	 .help = "only errors on stderr"},

	{"for", 0, "DURATION", OPTION_INTO_DURATION(struct trace_options, duration_ns), LIMIT,
	 .unit_ns = NS_PER_SECOND, .min = 10 * NS_PER_MS, .max = 8760 * NS_PER_HOUR,
	 .help = "end after this time, such as 90s, 15m or 2h; a plain number is seconds",
	 .man = "With COUNT, whichever comes first ends the trace."},
	{"max-outstanding", 0, "N", OPTION_INTO_COUNT(struct trace_options, max_outstanding), LIMIT,
	 .min = 1, .max = 100000000, .help = "outstanding blocks to keep, of all targets together",
	 .man = "Kernel memory is taken as blocks come, and the report says how much. Blocks "
		"past the limit are not kept; the report says how many those were, and the exit "
		"code is 4."},
	{"max-sites", 0, "N", OPTION_INTO_COUNT(struct trace_options, max_sites), LIMIT, .min = 1,
	 .max = 16000000, .help = "call sites to keep, of all targets together"},
	{"stack-storage-size", 0, "N", OPTION_INTO_COUNT(struct trace_options, stack_storage_size),
	 LIMIT, .min = 1, .max = 16000000, .help = "distinct stacks to keep",
	 .man = "More than memleak's 10240, which long traces of large programs fill."},
	{"perf-max-stack-depth", 0, "N", OPTION_INTO_COUNT(struct trace_options, max_stack_depth),
	 LIMIT, .min = 1, .max = 127, .help = "frames of a stack; deeper ones are cut and marked"},
	{"stack", 0, NULL, OPTION_INTO_CHOICE(struct trace_options, stack), .choices = stacks,
	 LIMIT, .help = "how to find the callers of an allocation function",
	 .man = "cfi follows the unwind tables that compilers write for exceptions, so code needs "
		"no frame pointers. fp follows frame pointers only: cheaper, and wrong or short in "
		"code built without them. none keeps the caller alone, which is cheapest."},
	{"unwind-memory", 0, "SIZE", OPTION_INTO_SIZE(struct trace_options, unwind_memory_bytes),
	 LIMIT, .min = 4096, .max = 1ULL << 36,
	 .help = "kernel memory for unwind tables, of all targets together",
	 .man = "Taken as files come; 'seep doctor -p PID' says how much a process needs. When it "
		"is used up, the file whose code is seen least goes by frame pointers, and the "
		"report names it."},
	{"budget", 0, "PERCENT", OPTION_INTO_COUNT(struct trace_options, budget_percent), LIMIT,
	 .max = 100,
	 .help = "CPU time that probes may cost, in percent of each target's own; 0: no bound "
		 "(default 0 with -p and commands, else 5)",
	 .man = "What is named by -p or started is traced exactly without it, whatever that costs, as "
		"is all with --growth, which places no probes, and with -s. With it each process is recorded as well as the budget allows, which its reports "
		"say: exact, sampled by bytes, in windows of time, or not at all until its load "
		"falls. Less than a thousandth of a CPU is always allowed. See GOVERNOR in "
		"seep-trace(1)."},
	{"link", 0, NULL, OPTION_INTO_CHOICE(struct trace_options, link), .choices = options_links,
	 LIMIT, .help = "how to attach the probes",
	 .man = "best takes the cheapest kind that this kernel lets attach; the others force "
		"one, for tests: session (kernel 6.13 and later), multi (6.11 and later), perf "
		"(all)."},

	{"wa-missing-free", 'F', NULL, OPTION_INTO_FLAG(struct trace_options, wa_missing_free),
	 .group = "Other", .help = "accepted for memleak's users; seep always does it",
	 .man = "A block that comes again at an address without a free that was seen replaces "
		"the old record."},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {
	"[OPTIONS] [INTERVAL [COUNT]]",
	"[OPTIONS] -p PID,... [INTERVAL [COUNT]]",
	"[OPTIONS] {--comm GLOB|--user USER|...} [INTERVAL [COUNT]]",
	"[OPTIONS] --all [INTERVAL [COUNT]]",
	"[OPTIONS] -c CMD [INTERVAL [COUNT]]",
	"[OPTIONS] [INTERVAL [COUNT]] -- COMMAND [ARGS...]",
	NULL,
};

static const struct example examples[] = {
	{"seep trace", "the host: watched, and who grows is traced for a minute"},
	{"seep trace -p 1234",
	 "what process 1234 allocates from now on and does not free, every 5 seconds"},
	{"seep trace -p 1234 -o 60000 10 6",
	 "six reports of blocks that have been held for a minute or longer"},
	{"seep trace -w run.seep -- ./server --port 8080",
	 "a command from its first allocation, saved for later"},
	{"seep trace --check --suppressions lsan.supp -- ./run_tests",
	 "in CI: fails with 5 if anything is lost when a process ends"},
	{"seep trace --comm 'php-fpm*' --user www-data 60",
	 "these processes, and those of this name that start later, once a minute"},
	{"seep trace -p 1234 --sample-bytes 512k --for 1h 60",
	 "an hour, once a minute, at a fraction of the cost"},
	{"seep trace -p 1234 --format ndjson | jq 'select(.type == \"site\")'", "for programs"},
	{"seep trace --growth -p 1234",
	 "which stacks touch new memory, in any language: no allocation function is needed"},
	{"seep trace --format folded --output out.folded -p 1234 30 1",
	 "for flamegraph.pl or speedscope"},
};

const struct command command_trace = {
	.name = "trace",
	.summary = "show the memory that processes allocate and do not free, by call site",
	.run = cmd_trace,
	.synopsis = synopsis,
	.description =
		"Counts every allocation and free of the target from the moment of attaching, "
		"and every INTERVAL reports which call sites hold how much memory that was never "
		"freed. The target needs no restart, no debug build and no library loaded into "
		"it.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.operands = operands,
	.n_operands = ARRAY_SIZE(operands),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = manual_trace,
};

/* The kernel is a target of its own, of which -p chooses a part. */
static int check_kernel_target(const struct trace_options *o, int n_targets, struct diag *d)
{
	if (o->escalate || n_targets > !!o->pids.n)
		return options_error(
			d, "--kernel and -P trace the kernel, of all processes or of -p "
			   "PID: they take no command, --all, --escalate, --comm or the like");
	if (o->pids.n > KERNEL_HEAP_PIDS)
		return options_error(d, "-p: --kernel and -P take %d processes at most",
				     KERNEL_HEAP_PIDS);
	if (o->percpu && o->all_pages)
		return options_error(d, "-P traces per-CPU memory only: there are no pages for "
					"--all-pages");
	return 0;
}

/* Exactly one way to say what to trace. */
static int check_target(struct trace_options *o, struct diag *d)
{
	bool select = !selector_is_empty(&o->select);
	int n_targets = !!o->pids.n + !!o->command + !!o->argv + select;
	struct selector others = o->select;

	others.everything = false;
	o->kernel |= o->percpu;
	if (o->kernel)
		return check_kernel_target(o, n_targets, d);
	if (o->all_pages)
		return options_error(d, "--all-pages goes with --kernel");
	if (!n_targets)
		o->escalate = true;
	if (o->escalate && (o->pids.n || o->command || o->argv || o->select.everything))
		return options_error(
			d,
			"--escalate chooses among all processes, or those of --comm and its like: "
			"not with -p PID, -c CMD, -- COMMAND or --all");
	if (n_targets > 1)
		return options_error(d,
				     "more than one target: -p PID, -c CMD, -- COMMAND, --all and "
				     "what selects (--comm and its like) exclude each other");
	if (o->select.everything && !selector_is_empty(&others))
		return options_error(d,
				     "--all is every process: it excludes --comm, --exe, --cgroup, "
				     "--container and --user");
	return select ? selector_check(&o->select, d) : 0;
}

/* --check judges all that a command has allocated, or nothing. */
static int check_check(const struct trace_options *o, struct diag *d)
{
	if (!o->argv && !o->command)
		return options_error(
			d,
			"--check goes with a command, -c CMD or -- COMMAND: of a process that runs, "
			"'seep scan -p PID' says what it has lost");
	if (o->sample_bytes || o->sample_rate > 1 || o->growth || o->older_ns ||
	    o->min_size_bytes || o->max_size_bytes ||
	    (o->budget_percent && o->budget_percent != BUDGET_UNSET))
		return options_error(d, "--check needs every allocation: it takes none of -s, "
					"--sample-bytes, --growth, -o, -z, -Z and --budget");
	if (o->count || o->duration_ns)
		return options_error(
			d, "--check ends with its command: it takes no COUNT and no --for");
	if (o->format != OPTIONS_FORMAT_TEXT && o->format != OPTIONS_FORMAT_NDJSON)
		return options_error(d, "--check is told as text or ndjson, not as %s",
				     options_format_name(o->format));
	if (o->trace || (o->show_allocs && o->format == OPTIONS_FORMAT_TEXT))
		return options_error(d,
				     "--check takes neither -t, nor -a but with --format ndjson");
	return 0;
}

/* There are no files, no probes and no processes of which these could be said. */
static int check_kernel(const struct trace_options *o, struct diag *d)
{
	if (o->trace || o->growth || o->mmap || o->object || o->symbols_prefix || o->no_follow ||
	    o->check)
		return options_error(
			d, "--kernel and -P place no probes in programs: they take none of "
			   "-t, -O, -S, --growth, --mmap, --no-follow and --check");
	if (o->budget_percent && o->budget_percent != BUDGET_UNSET)
		return options_error(d, "--kernel and -P are not governed: sample by -s or "
					"--sample-bytes instead of --budget");
	if (o->link || o->stack)
		return options_error(d,
				     "--link and --stack are of programs' stacks and probes: not "
				     "with --kernel or -P");
	return 0;
}

/* Whether each allocation and free is seen, as long as no budget forbids. */
static bool can_tell_errors(const struct trace_options *o)
{
	bool all_sizes = !o->min_size_bytes && !o->max_size_bytes;
	bool all_calls = o->sample_rate <= 1 && !o->sample_bytes && !o->object &&
			 !o->symbols_prefix;

	return (o->pids.n || o->command || o->argv) && all_sizes && all_calls && !o->growth &&
	       !o->kernel;
}

/* Rules between options. */
static int check(const struct trace_options *o, struct diag *d)
{
	if (!o->escalate &&
	    (o->escalate_ns != defaults.escalate_ns || o->escalate_most != defaults.escalate_most))
		return options_error(d, "--escalate-for and --escalate-most go with --escalate");
	if (o->sample_bytes && o->sample_rate > 1)
		return options_error(
			d, "-s and --sample-bytes exclude each other: sample by count or by bytes");
	if (o->budget_percent && o->budget_percent != BUDGET_UNSET && o->sample_rate > 1)
		return options_error(d,
				     "-s and --budget exclude each other: the governor samples by "
				     "bytes, as --sample-bytes");
	if (o->max_size_bytes && o->min_size_bytes > o->max_size_bytes)
		return options_error(d, "-z %llu is larger than -Z %llu: no allocation would count",
				     (unsigned long long)o->min_size_bytes,
				     (unsigned long long)o->max_size_bytes);
	if (o->trace && o->format != OPTIONS_FORMAT_TEXT && !o->output)
		return options_error(
			d,
			"-t prints to stdout, where it would mix with --format %s: give --output "
			"FILE",
			options_format_name(o->format));
	if (o->growth && (o->sample_rate > 1 || o->trace || o->min_size_bytes ||
			  o->max_size_bytes || o->object || o->symbols_prefix || o->mmap))
		return options_error(d, "--growth follows no allocations: it takes none of -s, -t, "
					"-z, -Z, -O, -S and --mmap");
	if (o->growth && o->budget_percent && o->budget_percent != BUDGET_UNSET)
		return options_error(d, "--growth places no probes: there is nothing for --budget");
	if (o->errors && o->no_errors)
		return options_error(d, "--errors and --no-errors exclude each other");
	if (o->errors && !can_tell_errors(o))
		return options_error(
			d, "--errors needs every call recorded: it goes with -p and commands, "
			   "and with none of -s, --sample-bytes, -z, -Z, -O, -S, --growth "
			   "and --kernel");
	if (o->verbose && o->quiet)
		return options_error(d, "-v and -q exclude each other");
	if (o->kernel)
		return check_kernel(o, d);
	return o->check ? check_check(o, d) : 0;
}

int trace_options_check(struct trace_options *o, struct diag *d)
{
	int err = check_target(o, d);

	return err ? err : check(o, d);
}

/* Pages come in powers of two, 4 KiB at least. */
static uint64_t page_distance(uint64_t sample_bytes)
{
	uint64_t distance = 4096;

	while (distance < sample_bytes)
		distance *= 2;
	return distance;
}

/* Whoever names a process wants it exact. There is nothing to govern where no probe is placed, or sampling is fixed. */
static uint64_t default_budget(const struct trace_options *o)
{
	return o->pids.n || o->command || o->argv || o->growth || o->kernel || o->sample_rate > 1
		       ? 0
		       : 5;
}

/* What was not given, 0 until now. */
static void set_limits(struct trace_options *o)
{
	if (!o->max_outstanding)
		o->max_outstanding = o->kernel ? KERNEL_OUTSTANDING : defaults.max_outstanding;
	if (!o->max_sites)
		o->max_sites = o->kernel ? KERNEL_SITES : defaults.max_sites;
	if (!o->stack_storage_size)
		o->stack_storage_size = o->kernel ? KERNEL_STACKS : defaults.stack_storage_size;
}

int trace_options_parse(int argc, char **argv, struct trace_options *ret, struct diag *d)
{
	struct trace_options o = defaults;
	int r;

	o.budget_percent = BUDGET_UNSET;
	o.max_outstanding = o.max_sites = o.stack_storage_size = 0;
	r = options_parse(&command_trace, argc, argv, &o, d);
	if (!r)
		r = trace_options_check(&o, d);
	if (!r && o.growth)
		o.sample_bytes = page_distance(o.sample_bytes ? o.sample_bytes : GROWTH_DISTANCE);
	o.errors |= (o.command || o.argv) && !o.no_errors && can_tell_errors(&o);
	if (o.budget_percent == BUDGET_UNSET)
		o.budget_percent = default_budget(&o);
	set_limits(&o);
	if (r)
		trace_options_done(&o);
	else
		*ret = o;
	return r;
}

void trace_options_defaults(struct trace_options *ret)
{
	*ret = defaults;
}

int trace_options_escalate(const struct watch_options *w, struct trace_options *ret, struct diag *d)
{
	*ret = defaults;
	ret->escalate = true;
	ret->select = (struct selector){
		.comm_glob = w->comm,
		.exe_glob = w->exe,
		.cgroup = w->cgroup,
		.container = w->container,
		.user = w->user,
	};
	ret->format = w->format;
	ret->color = w->color;
	ret->output = w->output;
	ret->verbose = w->verbose;
	ret->quiet = w->quiet;
	ret->interval_ns = w->interval_ns;
	ret->count = w->count;
	ret->duration_ns = w->duration_ns;
	ret->budget_percent = default_budget(ret);
	return selector_is_empty(&ret->select) ? 0 : selector_check(&ret->select, d);
}

void trace_options_done(struct trace_options *o)
{
	free(o->pids.items);
	o->pids = (struct pid_list){0};
}
