// SPDX-License-Identifier: BSD-2-Clause
/* A third set of programs with known truths, as verdict_zoo.c: committed before what is said of them was known. */
#include "verdict_run.h"
#include "verdict_third_calm.h"
#include "verdict_third_leaks.h"

static const struct scenario scenarios[] = {
	{"timers", timers, "leak_timer=leak"},
	{"watches", watches, "leak_watch=leak"},
	{"documents", documents, "leak_json_node=leak"},
	{"addresses", addresses, "leak_address=leak"},
	{"keyed", keyed, "leak_under_key=leak"},
	{"history", history, "leak_history=leak"},
	{"statements", statements, "leak_statement=leak leak_plan=leak"},
	{"one-of-thousands", one_of_thousands, "leak_one_of_thousands=leak"},
	{"switched-on", switched_on, "leak_since_switch=leak"},
	{"failing", failing, "leak_while_failing=leak"},
	{"swapped", swapped, "leak_swapped=leak"},
	{"weak", weak, "leak_control_block=leak object_of_control_block=calm"},
	{"reconnects", reconnects, "leak_of_reconnect=leak"},
	{"rings", rings, "leak_old_ring=leak"},
	{"duplicates", duplicates, "leak_duplicate=leak"},
	{"logins", logins, "leak_session=leak"},
	{"transcripts", transcripts, "grow_transcript=grows"},
	{"expressions", expressions, "compiled=calm"},
	{"lfu", lfu, "lfu_entry=calm"},
	{"epochs", epochs, "retired_node=calm"},
	{"collected-strings", collected_strings, "string_of_table=calm"},
	{"tasks", tasks, "task=calm"},
	{"backoff", backoff, "attempt=calm"},
	{"rehashed", rehashed, "table_rehashed=calm entry_rehashed=calm"},
	{"sliding", sliding, "sliding_session=calm"},
	{"buffers", buffers, "grown_buffer=calm"},
	{"configurations", configurations, "part_of_configuration=calm"},
	{"memtable", memtable, "node_of_memtable=calm"},
	{"promoted", promoted, "young_or_old=calm"},
	{"long-polls", long_polls, "request_or_poll=calm"},
	{"spans", spans, "counter_of_span=calm"},
	{"visitors", visitors, "visitor=calm"},
	{"index-read", index_read, "piece_of_index=calm"},
	{"any-ttl", any_ttl, "life_of_5_to_60s=calm"},
	{"write-back", write_back, "dirty_page=calm"},
};

int main(int argc, char **argv)
{
	return scenarios_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), NULL, argc, argv);
}
