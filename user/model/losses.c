// SPDX-License-Identifier: BSD-2-Clause
#include "model/losses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/report.h"

static const struct loss_text texts[] = {
	[LOSS_LIVE_MAP_FULL] =
		{"live_map_full",
		 "allocations were not recorded, the table of outstanding blocks was full: "
		 "raise --max-outstanding or sample with --sample-bytes",
		 "More blocks were outstanding at once, in all traced processes together, than the table "
		 "has entries; with --mmap and --growth also pieces of mappings and touched pages.",
		 "An entry takes about 100 bytes of kernel memory. Tracing fewer processes helps, too."},
	[LOSS_LIVE_MAP_MEMORY] =
		{"live_map_memory",
		 "allocations were not recorded, the kernel had no memory for them: "
		 "lower --max-outstanding or sample with --sample-bytes",
		 "Entries of the table are allocated where no page can be waited for: the host, or the "
		 "cgroup that seep runs in, was short of memory, or blocks came faster than the kernel "
		 "refills its reserve.",
		 "Or raise the memory limit of seep's own cgroup."},
	[LOSS_SITES_FULL] =
		{"sites_full",
		 "allocations are counted under an unknown stack, the table of sites was full: "
		 "raise --max-sites",
		 "There are more different stacks that allocate than the table has entries, and "
		 "too few of them are idle to be put out. Totals remain exact.",
		 "A site takes 328 bytes of kernel memory. With a lower --perf-max-stack-depth "
		 "fewer stacks are told apart."},
	[LOSS_STACKS_FULL] =
		{"stacks_full",
		 "allocations are counted under an unknown stack, the table of stacks was full: "
		 "raise --stack-storage-size",
		 "More new stacks came between two reports than there is room for: each report takes over "
		 "those that are new. Totals remain exact.",
		 "A stack takes 1 KiB of kernel memory. Reporting more often helps, too."},
	[LOSS_THREAD_STATE] =
		{"thread_state",
		 "calls were not seen, the kernel had no memory for a thread's state",
		 "The state of a thread, 3 KiB, is allocated at its first call, where no page can be "
		 "waited for: the host, or seep's cgroup, was short of memory.",
		 "As with live_map_memory. The thread is tried again at its next call."},
	[LOSS_NESTING] =
		{"nesting",
		 "calls were not seen, signal handlers interrupted each other too deeply",
		 "A signal handler that allocates interrupted the allocator, and was itself "
		 "interrupted so, more than four deep.",
		 "None in seep: malloc is not safe in a signal handler, and such a program may "
		 "deadlock."},
	[LOSS_ABANDONED_CALLS] =
		{"abandoned_calls",
		 "calls were left by longjmp or an exception: "
		 "whether they allocated is not known",
		 "The return of an allocation function was never seen: longjmp or an exception out of a "
		 "signal handler left it; or its return probe went while it was under way, as where the "
		 "process came to be probed, or its program changed, at that moment, or where the kernel could "
		 "not place a return probe for want of memory.",
		 "Few of them, at the beginning of a process: none. If they are many, look for longjmp "
		 "in signal handlers."},
	[LOSS_MISSED_FREES] =
		{"missed_frees",
		 "frees were not seen; each was noticed when its address came back, "
		 "and is counted from then on",
		 "A probe did not run, as the kernel was busy with another program of seep's (missed_runs), or "
		 "memory was freed by a function that is not probed.",
		 "Where there are many, the allocator has functions that seep does not know: 'seep doctor "
		 "-p PID' lists the ones it does. Until its address comes back such a block "
		 "counts as outstanding."},
	[LOSS_RESULT_READ] =
		{"result_read",
		 "allocations were not recorded, the pointer that posix_memalign stored "
		 "could not be read",
		 "The page that the caller's pointer lies in was swapped out again before the call "
		 "returned.",
		 "None; it is rare, and a sign of a host that is out of memory."},
	[LOSS_SITE_GONE] =
		{"site_gone",
		 "frees could not be attributed, their site's outstanding figure is too high",
		 "The site of a freed block was not found: it was put out of a full table meanwhile, or its process's "
		 "last report had been made.",
		 "Raise --max-sites. The process's totals are off by the same amount."},
	[LOSS_TRACE_RING_FULL] =
		{"trace_ring_full",
		 "events of -t or --mmap were dropped, seep did not read them in time, "
		 "and the figures of mmap and brk are incomplete: "
		 "trace fewer processes or without -t",
		 "The kernel hands these events over in a ring; where they come faster than one CPU can "
		 "print or sort them, it fills.",
		 "Sampling helps, too, and CPU time for seep."},
	[LOSS_PROCESS_RING_FULL] =
		{"process_ring_full",
		 "forks, execs or exits were noticed late, seep did not read them in time",
		 "More than 16,000 of them came while seep did not run, or was busy with one thing.",
		 "None is needed for the figures, which the kernel side keeps by itself: seep has looked up "
		 "who lives and who ended. Processes that began then may have been probed late, and names of short-lived "
		 "ones may be missing. Give seep CPU time."},
	[LOSS_STRANGER_RING_FULL] =
		{"stranger_ring_full",
		 "processes that began were noticed late or not at all, seep did not read of them in time",
		 "With --comm and its like, the kernel tells of every process that executes or is "
		 "renamed; more than 4,000 of them came while seep did not run.",
		 "All processes have been looked through since; those that had ended by then are missing. "
		 "Give seep CPU time."},
	[LOSS_PROCESS_TABLE_FULL] =
		{"process_table_full",
		 "child processes are not traced, the table of processes was full",
		 "More than 32,768 traced processes live at once, or 65,536 with those that ended since "
		 "the last report; or the kernel had no memory for an entry.",
		 "Choose fewer processes, or report more often, which frees the entries of those that "
		 "have ended."},
	[LOSS_PROCESSES_NOT_PROBED] =
		{"processes_not_probed",
		 "processes could not be probed, as a message said: "
		 "nothing of theirs is counted",
		 "Their files could not be read, or the kernel refused the probes.",
		 "See the message on stderr, and 'seep doctor -p PID'."},
	[LOSS_MAPPING_RING_FULL] =
		{"mapping_ring_full",
		 "new mappings were noticed late, seep did not read them in time: "
		 "frames of libraries loaded then may lack names",
		 "The kernel tells of each new executable mapping of the host in a ring for each CPU, for "
		 "about 2,000, which a thread of seep's empties into 8 MiB of memory: both were full, as seep did not run, or "
		 "was busy with one thing while very many programs began.",
		 "All traced processes have been looked at since. Programs that both began and ended meanwhile may "
		 "lack names of frames, or were not probed where nobody else maps their allocator. Give "
		 "seep CPU time."},
	[LOSS_MAPPING_GAPS] =
		{"mapping_gaps",
		 "times a CPU came back, as after a suspend, and what was mapped on it was noticed late: "
		 "calls into libraries loaded then may be missing",
		 "The kernel ends what tells of mappings when a CPU goes offline: by a suspend, or by "
		 "hand.",
		 "None: it has been started anew, and all traced processes were looked at."},
	[LOSS_MISSED_RUNS] =
		{"missed_runs",
		 "probes were hit while the kernel could not run them: "
		 "the calls were not seen",
		 "The kernel does not run a BPF program within itself on one CPU: where a probe is hit while "
		 "another one is at work there, as by what interrupts or preempts it, it passes. With "
		 "--kernel also what a program of seep's makes the kernel allocate.",
		 "Allocations among them are missing, frees appear as missed_frees. Fewer hits make fewer of "
		 "them: sample, set a --budget, or trace fewer processes."},
	[LOSS_SIGNAL_STACK] =
		{"signal_stack", "calls in signal handlers on a stack of their own were not seen",
		 "Before Linux 6.13 a return probe there would kill the process, as the kernel takes a call on a higher "
		 "stack for the end of the interrupted one: such calls are left alone.",
		 "Use a kernel with session links (6.13 and later)."},
	[LOSS_THREAD_ENDED] =
		{"thread_ended",
		 "times the thread ended that the kernel ties the probes to, usually the first one: "
		 "calls of the process's other threads may be missing until probes stood for one of "
		 "them, a moment later",
		 "A perf event or an uprobe_multi link belongs to one thread, and ends with it, while other "
		 "threads of the process go on.",
		 "None, but to let the first thread wait for the others; with --all probes belong to nobody, "
		 "and nothing is missed."},
	[LOSS_KERNEL_BUSY] =
		{"kernel_busy",
		 "allocations or frees of the kernel were not recorded, as they came while the same table "
		 "was being written on that CPU",
		 "With --kernel: an interrupt allocated or freed while the very table that notes it was locked, or "
		 "the scratch space of that CPU was in use.",
		 "None; sampling with -s makes them fewer."},
	[LOSS_ERROR_RING_FULL] =
		{"error_ring_full", "errors at free were not told, there were too many at once",
		 "A program makes errors at free faster than seep reads them, or at more than 1,000 places.",
		 "Mend those that are told, and look again."},
};
_Static_assert(ARRAY_SIZE(texts) == LOSS_CAUSES, "each cause has its texts");

const struct loss_text *loss_text(enum loss_cause cause)
{
	return &texts[cause];
}

const struct loss_text *loss_find(const char *cause)
{
	for (size_t i = 0; i < LOSS_CAUSES; i++)
		if (!strcmp(texts[i].cause, cause))
			return &texts[i];
	return NULL;
}

int losses_add(struct loss **list, size_t *n, const char *cause, uint64_t count)
{
	struct loss *grown;

	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*list)[i].cause, cause)) {
			(*list)[i].count += count;
			return 0;
		}
	grown = realloc(*list, (*n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[(*n)++] = (struct loss){cause, count};
	*list = grown;
	return 0;
}

int losses_count(struct loss **list, size_t *n, enum loss_cause cause, uint64_t count)
{
	return count ? losses_add(list, n, texts[cause].cause, count) : 0;
}
