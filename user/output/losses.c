// SPDX-License-Identifier: BSD-2-Clause
#include "output/losses.h"

#include <string.h>

#include "base/cleanup.h"
#include "model/report.h"
#include "output/json.h"

static const struct {
	const char *cause, *sentence;
} known[] = {
	{"live_map_full",
	 "allocations were not recorded, the table of outstanding blocks was full: "
	 "raise --max-outstanding or sample with --sample-bytes"},
	{"live_map_memory", "allocations were not recorded, the kernel had no memory for them: "
			    "lower --max-outstanding or sample with --sample-bytes"},
	{"sites_full",
	 "allocations are counted under an unknown stack, the table of sites was full: "
	 "raise --max-sites"},
	{"stacks_full",
	 "allocations are counted under an unknown stack, the table of stacks was full: "
	 "raise --stack-storage-size"},
	{"processes_not_probed", "processes could not be probed, as a message said: "
				 "nothing of theirs is counted"},
	{"thread_state", "calls were not seen, the kernel had no memory for a thread's state"},
	{"nesting", "calls were not seen, signal handlers interrupted each other too deeply"},
	{"abandoned_calls", "calls were left by longjmp or an exception: "
			    "whether they allocated is not known"},
	{"missed_frees", "frees were not seen; each was noticed when its address came back, "
			 "and is counted from then on"},
	{"result_read", "allocations were not recorded, the pointer that posix_memalign stored "
			"could not be read"},
	{"site_gone", "frees could not be attributed, their site's outstanding figure is too high"},
	{"trace_ring_full", "events of -t or --mmap were dropped, seep did not read them in time, "
			    "and the figures of mmap and brk are incomplete: "
			    "trace fewer processes or without -t"},
	{"process_ring_full",
	 "forks, execs or exits were noticed late, seep did not read them in time"},
	{"stranger_ring_full",
	 "processes that began were noticed late or not at all, seep did not read of them in time"},
	{"process_table_full", "child processes are not traced, the table of processes was full"},
	{"mapping_ring_full", "new mappings were noticed late, seep did not read them in time: "
			      "frames of libraries loaded then may lack names"},
	{"mapping_gaps",
	 "times a CPU came back, as after a suspend, and what was mapped on it was noticed late: calls "
	 "into libraries loaded then may be missing"},
	{"missed_runs", "probes were hit while the kernel could not run them: "
			"the calls were not seen"},
	{"kernel_busy",
	 "allocations or frees of the kernel were not recorded, as they came while the same table was "
	 "being written on that CPU"},
	{"thread_ended",
	 "times the thread ended that the kernel ties the probes to, usually the first one: "
	 "calls of the process's other threads may be missing until probes stood for one of "
	 "them, a moment later"},
	{"error_ring_full", "errors at free were not told, there were too many at once"},
	{"signal_stack", "calls in signal handlers on a stack of their own were not seen"},
};

const char *loss_sentence(const char *cause)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].cause, cause))
			return known[i].sentence;
	return NULL;
}

void losses_put_json(struct json_line *j, const char *key, const struct loss *losses, size_t n)
{
	json_open(j, key, '{');
	for (size_t i = 0; i < n; i++)
		json_put_u64(j, losses[i].cause, losses[i].count);
	json_close(j, '}');
}
