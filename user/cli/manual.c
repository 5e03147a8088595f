// SPDX-License-Identifier: BSD-2-Clause
#include "cli/manual.h"

const struct manual_section manual_trace[] = {
	{"WHAT IS COUNTED",
	 "malloc, calloc, realloc, reallocarray, memalign, posix_memalign, aligned_alloc, "
	 "valloc, pvalloc, free and their kin, and operator new and delete where the allocator "
	 "defines them itself: in the C library (glibc, musl), jemalloc, tcmalloc and mimalloc, "
	 "shared or linked into the executable, also in libraries that are loaded later. An "
	 "allocator's calls of itself count once, at the outermost call.\n"
	 "\n"
	 "A block is outstanding from the return of the call that made it to the start of the "
	 "call that frees it. A realloc that fails leaves its block outstanding, with its age.\n"
	 "\n"
	 "Processes are told apart by pid and start time. After a fork the child begins with "
	 "nothing outstanding: when it frees its parent's blocks, these are its inherited "
	 "frees.\n"},
	{"WHAT IS NOT SEEN",
	 "Memory from before the attach: a block of that time that is freed later counts as an "
	 "unknown free. Attached by pid, a child is probed some milliseconds after its fork "
	 "(seen_from_seconds in its record), and what a vfork child does in its parent's memory "
	 "before it executes another program is not seen, which a note says; a command that seep "
	 "starts itself is held at these moments, so that nothing is missed. Programs without a known allocation function (Go programs, static "
	 "executables without symbols) and 32-bit programs cannot be traced; the message says "
	 "so. What one report cannot see, it says.\n"
	 "\n"
	 "Stacks come by frame pointers in this version: of code built without them the caller of "
	 "the allocator is right, and what follows may be missing or wrong. A stack ends where it "
	 "leaves mapped code.\n"
	 "\n"
	 "On kernels without session links (before 6.13) a thread whose signal handler allocates on "
	 "an alternate stack above its own, while it interrupts the allocator, is killed by the "
	 "kernel (SIGILL): return probes do not survive that there. Do not trace such programs on "
	 "them.\n"
	 "\n"
	 "Events that are lost are counted by cause and shown with each report: blocks past "
	 "--max-outstanding, sites or stacks past their limits, missed probes. Without a loss "
	 "the figures are exact, unless a sampling option was given.\n"},
	{"READING A REPORT",
	 "Outstanding is not yet leaked: caches and buffers are outstanding too. A leak is a "
	 "site whose outstanding bytes grow from report to report, and whose blocks grow older. "
	 "Trace for longer than the program's own cycles, and use -o to leave out what is merely "
	 "in flight.\n"
	 "\n"
	 "The last report comes when the target exits, at COUNT, at the end of --for, or at "
	 "Ctrl-C.\n"},
	{"COST",
	 "Each probed call costs the target a trap or two into the kernel, of the order of a "
	 "microsecond each; 'seep doctor -p PID' measures them. An operator new that an allocator "
	 "brings is dearer: exceptions pass through it, so its ret instructions are probed "
	 "instead of its return. Sampling lowers it, most of all "
	 "on kernels with session links (6.13 and later), where calls that are not sampled skip "
	 "the return probe.\n"},
	{"FOR USERS OF MEMLEAK",
	 "The options of bcc's memleak have the same meaning. Other than there, blocks of every "
	 "age are shown unless -o is given; -s samples by count, not by the clock, and scales "
	 "the figures; -t prints to stdout, not to trace_pipe; the kernel's own allocations are "
	 "never what a missing target means.\n"},
	{"EXIT STATUS",
	 "As in seep(1). The exit status of a traced command is part of the report, not seep's "
	 "own: 0 when the trace was complete, 4 when events were lost.\n"},
	{0},
};

const struct manual_section manual_seep[] = {
	{"NUMBERS",
	 "k, M and G after a number multiply it: sizes by powers of 1024, counts by powers of "
	 "1000. Durations take ms, s, m and h, and decimals: 500ms, 0.5s, 1.5h.\n"},
	{"PRIVILEGES",
	 "Tracing loads BPF programs: run it as root, or with CAP_BPF, CAP_PERFMON, "
	 "CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE; --mmap and kernels "
	 "without uprobe_multi links (before 6.6) want CAP_SYS_ADMIN, too. 'seep doctor' says what "
	 "is missing. 'seep report' needs none.\n"},
	{"RECORDS",
	 "With --format ndjson each line is one JSON object with type and time (RFC 3339, UTC; "
	 "the same for all records of one report). Sizes are bytes, durations seconds, and "
	 "null is unknown. The records of a process's last report carry \"final\": true. "
	 "Fields may be added in later versions; these stay (schema 1).\n"
	 "\n"
	 "= session\n"
	 "Once, first: schema, version, kernel, hostname, mode (exact or sampled), sampling "
	 "(count, bytes or null), sample_interval, min_size_bytes, max_size_bytes, "
	 "min_age_seconds (of -o: outstanding figures leave out younger blocks), targets, "
	 "capabilities.\n"
	 "\n"
	 "= process\n"
	 "One per process and report: process (its number within the report, which sites and "
	 "blocks carry too), pid, start_time, comm, exe, cgroup, container, namespace, pod, "
	 "ended (exit, exec, or null while it lives), exit_status (as of wait(2)), "
	 "outstanding_bytes, outstanding_allocations, interval_bytes, interval_allocations "
	 "(half the width of the 95% confidence interval of the two before, 0 when exact), "
	 "allocated_bytes, freed_bytes, allocations, frees, inherited_frees, unknown_frees, "
	 "rss_bytes, limit_bytes, growth_bytes_per_second, seconds_to_limit (null when not "
	 "growing), verdict, overhead_ratio, seen_from_seconds (the age of the process when "
	 "tracing of it began), notes (what is not seen), lost (an object of cause and count). "
	 "Of the report as a whole: sequence, elapsed_seconds, map_bytes (kernel memory that "
	 "seep takes; with map_bytes_bound true no more than that: kernels before 6.3 tell only "
	 "the bound), session_lost (losses of no one process).\n"
	 "\n"
	 "= site\n"
	 "One per process, stack and report: process, pid, site (a fingerprint that does not "
	 "depend on where files are mapped), family (one by function names, which outlives a "
	 "rebuild), kind (malloc, mmap or brk), outstanding_bytes, outstanding_allocations, "
	 "interval_bytes, interval_allocations, allocated_bytes, allocations, freed_bytes, "
	 "frees, oldest_age_seconds, median_age_seconds (upper bounds: births are known to a "
	 "quarter of the time from the start of the trace; the oldest one exactly with -o and when "
	 "sampling), growth_bytes_per_second, confidence, "
	 "verdict, truncated (why the stack ends early, or null), frames. A frame, leaf first, "
	 "has function, module, build_id, offset, file, line, inlined; where no module is "
	 "known, address in place of offset.\n"
	 "\n"
	 "= block\n"
	 "With -a, one per outstanding block: process, pid, address (a string), size_bytes, "
	 "age_seconds, site, reachable (null in this version).\n"
	 "\n"
	 "= end\n"
	 "Once, last: why, duration_seconds, lost.\n"
	 "\n"
	 "verdict is \"unknown\" in this version: the figures are there, the judgement is "
	 "yours.\n"},
	{"EXIT STATUS",
	 "= 0\n"
	 "Done.\n"
	 "\n"
	 "= 1\n"
	 "It failed while running; also when the report could not be written, or its reader went "
	 "away.\n"
	 "\n"
	 "= 2\n"
	 "The command line is wrong.\n"
	 "\n"
	 "= 3\n"
	 "The kernel or the privileges do not allow it. The message says what is missing and how "
	 "to get it.\n"
	 "\n"
	 "= 4\n"
	 "Done, but events were lost. The report says which and how many.\n"},
	{"ENVIRONMENT",
	 "= NO_COLOR\n"
	 "When set and not empty, text is not coloured unless --color always is given.\n"
	 "\n"
	 "= DEBUGINFOD_URLS\n"
	 "Servers to ask for debug files that are not on this host, as for gdb. Unset: no "
	 "network is used. sudo drops it unless told otherwise: sudo "
	 "--preserve-env=DEBUGINFOD_URLS seep ...\n"},
	{"FILES", "= /usr/lib/debug\n"
		  "Debug files by build-id and by name, as distributions install them.\n"
		  "\n"
		  "= /tmp/perf-PID.map\n"
		  "Names of code that the process generated, if its runtime writes them.\n"
		  "\n"
		  "= /sys/kernel/btf/vmlinux\n"
		  "The running kernel's types, without which no BPF program of seep loads.\n"},
	{"SECURITY",
	 "seep runs as root on programs it does not trust: their files, names and maps are "
	 "parsed with bounds checked, and control characters in them are escaped before they "
	 "reach a terminal. Captures are readable by their owner only; they hold paths, function "
	 "names and addresses, never the contents of memory. seep never writes to the target's "
	 "memory other than by the kernel's own breakpoints, which are gone when it ends, "
	 "however it ends.\n"},
	{0},
};
