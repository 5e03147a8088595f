// SPDX-License-Identifier: BSD-2-Clause
/* A second set of programs with known truths, as verdict_zoo.c: written when the judgement was done, and before what it says of them was
 * known. */
#include "verdict_run.h"
#include "verdict_unseen_calm.h"
#include "verdict_unseen_leaks.h"

static const struct scenario scenarios[] = {
	{"traffic", traffic,
	 "leak_hundred_a_second=leak work_of_traffic=calm request_of_traffic=calm"},
	{"one-in-sixteen", one_in_sixteen, "leak_of_one_in_sixteen=leak work_of_sixteen=calm"},
	{"cut-list", cut_list, "leak_cut_list=leak"},
	{"ring-of-five", ring_of_five, "leak_ring_of_five=leak"},
	{"old-vectors", old_vectors, "leak_old_vector=leak"},
	{"bursts-15s", bursts_15s, "leak_bursts_15s=leak"},
	{"by-load", by_load, "leak_by_load=leak"},
	{"leaky-reload", leaky_reload, "leak_of_reload=leak"},
	{"references", references, "leak_of_references=leak"},
	{"subscriptions", subscriptions, "leak_subscription=leak session_of_subscriber=calm"},
	{"regexes", regexes, "leak_regex=leak"},
	{"ended-threads", ended_threads, "leak_of_ended_thread=leak"},
	{"images", images, "leak_image=leak"},
	{"among-cached", among_cached, "leak_among_cached=leak"},
	{"interned", interned, "leak_interned=leak grow_table_of_interned=grows"},
	{"prefork", prefork, "leak_record_of_child=leak request_in_child=calm"},
	{"plugin", plugin, "leak_in_plugin=leak churn_in_plugin=calm state_of_plugin=calm"},
	{"throws", throws, "leak_over_exception=leak held_by_guard=calm"},
	{"retries", retries, "leak_copy_for_retry=leak"},
	{"vector-by-half", vector_by_half, "grow_by_half=grows"},
	{"backlog", backlog, "grow_backlog=grows"},
	{"lru-zipf", lru_zipf, "lru_by_zipf=calm"},
	{"fifo-30s", fifo_30s, "fifo_fills_in_30s=calm"},
	{"ttl-40s", ttl_40s, "ttl_of_40s=calm"},
	{"lazy-ttl", lazy_ttl, "ttl_swept=calm"},
	{"pareto", pareto, "pareto_life=calm"},
	{"two-kinds", two_kinds, "life_of_two_kinds=calm"},
	{"warm-halves", warm_halves, "warm_by_halves=calm"},
	{"warm-25s", warm_25s, "warm_for_25s=calm"},
	{"slabs", slabs, "slab_of_pool=calm"},
	{"phases", phases, "arena_of_phase=calm"},
	{"holes", holes, "pin_of_holes=calm hole_between_pins=calm"},
	{"sawtooth-13s", sawtooth_13s, "sawtooth_of_13s=calm"},
	{"dict-cache", dict_cache, "table_of_dict=calm entry_of_dict=calm"},
	{"page-cache", page_cache, "page_of_cache=calm statement=calm"},
	{"connection-pool", connection_pool, "connection_of_pool=calm buffer_of_connection=calm"},
	{"ring-of-lines", ring_of_lines, "line_of_ring=calm"},
	{"labels", labels, "series_of_labels=calm"},
	{"standing-queue", standing_queue, "waits_for_8s=calm"},
	{"video", video, "frame_of_video=calm"},
	{"import", import, "row_of_import=calm"},
	{"clients", clients, "slot_of_client=calm"},
	{"refill", refill, "refilled=calm"},
	{"undo", undo, "step_to_undo=calm"},
};

int main(int argc, char **argv)
{
	return scenarios_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), NULL, argc, argv);
}
