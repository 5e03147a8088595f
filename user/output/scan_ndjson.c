// SPDX-License-Identifier: BSD-2-Clause
#include "output/json.h"
#include "output/record.h"
#include "output/scan.h"
#include "output/stream.h"

static void put_count(struct json_line *j, const char *bytes_key, const char *count_key,
		      const struct scan_count *c)
{
	json_put_u64(j, bytes_key, c->bytes);
	json_put_u64(j, count_key, c->n);
}

static void begin(struct json_line *j, FILE *f, const char *type, const struct scan_report *s)
{
	const struct process_report *p = &s->report->processes[s->process];

	record_begin(j, f, type, s->report->time_ns);
	json_put_bool(j, "final", p->final);
	json_put_u64(j, "process", s->process);
	json_put_u64(j, "pid", p->pid);
}

static void put_kinds(struct json_line *j, const struct scan_count *direct,
		      const struct scan_count *cycle, const struct scan_count *indirect)
{
	put_count(j, "direct_bytes", "direct_blocks", direct);
	put_count(j, "cycle_bytes", "cycle_blocks", cycle);
	put_count(j, "indirect_bytes", "indirect_blocks", indirect);
}

static void put_scan(FILE *f, const struct scan_report *s)
{
	struct json_line j;

	begin(&j, f, "scan", s);
	json_put_bool(&j, "complete", s->complete);
	json_put_u64(&j, "passes", s->n_passes);
	json_put_u64(&j, "unsettled_blocks", s->n_unsettled);
	json_put_string(&j, "pointers", s->interior ? "interior" : "start");
	json_put_bool(&j, "tagged_pointers", s->tagged);
	put_kinds(&j, &s->direct, &s->cycle, &s->indirect);
	put_count(&j, "suppressed_bytes", "suppressed_blocks", &s->suppressed);
	put_count(&j, "reachable_bytes", "reachable_blocks", &s->reachable);
	put_count(&j, "open_bytes", "open_blocks", &s->open);
	json_put_bool(&j, "heap_walk", s->heap_walk);
	put_count(&j, "before_bytes", "before_blocks", &s->before);
	put_count(&j, "before_unreachable_bytes", "before_unreachable_blocks",
		  &s->before_unreachable);
	json_put_u64(&j, "unparsed_bytes", s->unparsed_bytes);
	json_put_u64(&j, "pass_bytes", s->pass_bytes);
	json_put_double(&j, "pass_seconds", s->pass_seconds);
	json_put_double(&j, "stopped_seconds", s->stopped_seconds);
	json_put_u64(&j, "threads", s->n_threads);
	json_put_u64(&j, "running_threads", s->n_running);
	json_line_end(&j);
}

static void put_leak(FILE *f, const struct scan_report *s, const struct scan_leak *leak)
{
	struct json_line j;

	begin(&j, f, "leak", s);
	json_put_id(&j, "site", s->report->sites[leak->site].fingerprint);
	json_put_null(&j, "block_bytes");
	put_kinds(&j, &leak->direct, &leak->cycle, &leak->indirect);
	put_count(&j, "held_bytes", "held_blocks", &leak->held);
	json_put_address(&j, "example", leak->example);
	json_line_end(&j);
}

/* Of blocks from before the trace: by size, without a site. */
static void put_walked(FILE *f, const struct scan_report *s, const struct scan_walked *w)
{
	struct json_line j;

	begin(&j, f, "leak", s);
	json_put_null(&j, "site");
	json_put_u64(&j, "block_bytes", w->size_bytes);
	put_kinds(&j, &w->direct, &w->cycle, &w->indirect);
	put_count(&j, "held_bytes", "held_blocks", &w->held);
	json_put_address(&j, "example", w->example);
	json_line_end(&j);
}

int scan_ndjson_report(FILE *f, const struct scan_report *s)
{
	put_scan(f, s);
	for (size_t i = 0; i < s->n_leaks; i++)
		put_leak(f, s, &s->leaks[i]);
	for (size_t i = 0; i < s->n_walked; i++)
		put_walked(f, s, &s->walked[i]);
	return stream_result(f);
}

int check_ndjson(FILE *f, uint64_t time_ns, const struct check_sums *c)
{
	struct json_line j;

	record_begin(&j, f, "check", time_ns);
	json_put_u64(&j, "processes", c->n_checked);
	json_put_u64(&j, "leaking_processes", c->n_leaking);
	json_put_u64(&j, "unchecked_processes", c->n_unchecked);
	put_count(&j, "direct_bytes", "direct_blocks", &c->direct);
	put_count(&j, "indirect_bytes", "indirect_blocks", &c->indirect);
	put_count(&j, "suppressed_bytes", "suppressed_blocks", &c->suppressed);
	if (c->command_ended)
		json_put_u64(&j, "command_status", (uint16_t)c->command_status);
	else
		json_put_null(&j, "command_status");
	json_line_end(&j);
	return stream_result(f);
}
