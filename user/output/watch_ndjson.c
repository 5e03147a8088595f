// SPDX-License-Identifier: BSD-2-Clause
/* The records of DESIGN.md that watching can fill. What only tracing knows is null. */
#include "base/cleanup.h"
#include "output/json.h"
#include "output/record.h"
#include "output/stream.h"
#include "output/watch.h"

static int ndjson_session(FILE *f, const struct watch_output_options *o,
			  const struct watch_session *s)
{
	static const char *const of_tracing[] = {"sampling", "sample_interval", "min_size_bytes",
						 "max_size_bytes", "min_age_seconds"};
	struct json_line j;

	(void)o;
	record_begin(&j, f, "session", s->start_ns);
	json_put_u64(&j, "schema", 1);
	json_put_string(&j, "version", s->version);
	json_put_string(&j, "kernel", s->kernel);
	json_put_string(&j, "hostname", s->hostname);
	json_put_string(&j, "mode", "watch");
	for (size_t i = 0; i < ARRAY_SIZE(of_tracing); i++)
		json_put_null(&j, of_tracing[i]);
	json_put_double(&j, "interval_seconds", s->interval_seconds);
	json_open(&j, "targets", '[');
	for (size_t i = 0; i < s->n_targets; i++)
		json_put_string(&j, NULL, s->targets[i]);
	json_close(&j, ']');
	json_open(&j, "capabilities", '[');
	json_put_string(&j, NULL, "watch:task-iterator");
	json_close(&j, ']');
	json_line_end(&j);
	return stream_flush(f);
}

static void put_growth(struct json_line *j, const struct watch_row *row)
{
	json_put_u64_or_null(j, "limit_bytes", row->limit_bytes);
	json_put_double(j, "growth_bytes_per_second", row->growth_bytes_per_second);
	json_put_double(j, "growth_low_bytes_per_second", row->growth_low_bytes_per_second);
	json_put_double(j, "growth_high_bytes_per_second", row->growth_high_bytes_per_second);
	json_put_double(j, "growing_since_seconds", row->growing_since_seconds);
	json_put_double(j, "seconds_to_limit", row->seconds_to_limit);
	json_put_string(j, "verdict", row->verdict);
	json_put_double(j, "confidence", row->confidence);
	json_put_bool(j, "suspect", row->suspect);
}

static void put_memory(struct json_line *j, const struct watch_row *row)
{
	json_put_u64(j, "anon_bytes", row->anon_bytes);
	json_put_u64(j, "file_bytes", row->file_bytes);
	json_put_u64(j, "shmem_bytes", row->shmem_bytes);
	json_put_u64(j, "swap_bytes", row->swap_bytes);
	json_put_u64(j, "page_table_bytes", row->page_table_bytes);
}

static void put_process(FILE *f, const struct watch_report *r, size_t i)
{
	static const char *const of_tracing[] = {"outstanding_bytes", "outstanding_allocations",
						 "allocated_bytes",   "freed_bytes",
						 "allocations",	      "frees",
						 "inherited_frees",   "unknown_frees",
						 "overhead_ratio"};
	const struct watch_row *row = &r->processes[i];
	struct json_line j;

	record_begin(&j, f, "process", r->time_ns);
	json_put_bool(&j, "final", r->final);
	json_put_u64(&j, "process", i);
	json_put_u64(&j, "pid", row->pid);
	json_put_time(&j, "start_time", row->start_ns);
	json_put_string(&j, "comm", row->comm);
	json_put_string(&j, "exe", row->exe);
	json_put_string(&j, "cgroup", row->cgroup);
	json_put_string(&j, "container", row->container);
	json_put_null(&j, "namespace");
	json_put_null(&j, "pod");
	for (size_t k = 0; k < ARRAY_SIZE(of_tracing); k++)
		json_put_null(&j, of_tracing[k]);
	json_put_u64(&j, "rss_bytes", row->anon_bytes + row->file_bytes + row->shmem_bytes);
	put_memory(&j, row);
	put_growth(&j, row);
	json_line_end(&j);
}

static void put_cgroup(FILE *f, const struct watch_report *r, const struct watch_row *row)
{
	struct json_line j;

	record_begin(&j, f, "cgroup", r->time_ns);
	json_put_bool(&j, "final", r->final);
	json_put_string(&j, "cgroup", row->cgroup);
	json_put_string(&j, "container", row->container);
	json_put_u64(&j, "processes", row->n_processes);
	json_put_u64(&j, "current_bytes", row->current_bytes);
	json_put_double(&j, "memory_pressure_ratio", row->memory_pressure_ratio);
	put_memory(&j, row);
	put_growth(&j, row);
	json_line_end(&j);
}

static void put_host(FILE *f, const struct watch_report *r)
{
	const struct watch_host *h = &r->host;
	struct json_line j;

	record_begin(&j, f, "host", r->time_ns);
	json_put_bool(&j, "final", r->final);
	json_put_u64(&j, "sequence", r->sequence);
	json_put_double(&j, "elapsed_seconds", r->elapsed_seconds);
	json_put_u64(&j, "processes", h->n_processes);
	json_put_u64(&j, "suspects", r->n_suspects);
	json_put_u64(&j, "too_early", r->n_early);
	json_put_u64(&j, "memory_bytes", h->memory_bytes);
	json_put_u64(&j, "available_bytes", h->available_bytes);
	json_put_u64(&j, "swap_bytes", h->swap_bytes);
	json_put_u64(&j, "swap_free_bytes", h->swap_free_bytes);
	json_put_double(&j, "memory_pressure_ratio", h->memory_pressure_ratio);
	json_put_double(&j, "pass_period_seconds", r->cost.period_seconds);
	json_put_u64(&j, "passes", r->cost.n_passes);
	json_put_u64(&j, "missed_passes", r->cost.n_missed);
	json_put_double(&j, "pass_cpu_seconds", r->cost.pass_cpu_seconds);
	json_put_double(&j, "overhead_ratio", r->cost.cpu_ratio);
	json_line_end(&j);
}

static int ndjson_report(FILE *f, const struct watch_output_options *o,
			 const struct watch_session *s, const struct watch_report *r)
{
	(void)o;
	(void)s;
	put_host(f, r);
	for (size_t i = 0; i < r->n_processes; i++)
		put_process(f, r, i);
	for (size_t i = 0; i < r->n_cgroups; i++)
		put_cgroup(f, r, &r->cgroups[i]);
	return stream_flush(f);
}

static int ndjson_end(FILE *f, const struct watch_output_options *o, const struct watch_session *s,
		      const struct watch_end *e)
{
	struct json_line j;

	(void)o;
	(void)s;
	record_begin(&j, f, "end", e->time_ns);
	json_put_string(&j, "why", e->why);
	json_put_double(&j, "duration_seconds", e->duration_seconds);
	json_open(&j, "lost", '{');
	json_close(&j, '}');
	json_put_u64(&j, "passes", e->n_passes);
	json_put_u64(&j, "missed_passes", e->n_missed);
	json_put_double(&j, "cpu_seconds", e->cpu_seconds);
	json_line_end(&j);
	return stream_flush(f);
}

const struct watch_format watch_ndjson = {
	.session = ndjson_session,
	.report = ndjson_report,
	.end = ndjson_end,
};
