// SPDX-License-Identifier: BSD-2-Clause
/* The records of DESIGN.md. Captures hold the same lines, so what a report carries must all be in here. A pid does not
 * tell two programs apart that follow each other by exec within one report: the field `process`, an index into the
 * report's process records, does. */
#include <math.h>

#include "model/free_error.h"
#include "model/memory.h"
#include "output/json.h"
#include "output/losses.h"
#include "output/output.h"
#include "output/record.h"
#include "output/stream.h"

static void put_strings(struct json_line *j, const char *key, const char *const *texts, size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		json_put_string(j, NULL, texts[i]);
	json_close(j, ']');
}

static int ndjson_session(FILE *f, const struct output_options *o, const struct session *s)
{
	static const char *const sampling[] = {
		[REPORT_SAMPLED_COUNT] = "count",
		[REPORT_SAMPLED_BYTES] = "bytes",
		[REPORT_SAMPLED_PAGES] = "pages",
	};
	struct json_line j;

	(void)o;
	record_begin(&j, f, "session", s->start_ns);
	json_put_u64(&j, "schema", s->schema);
	json_put_string(&j, "version", s->version);
	json_put_string(&j, "kernel", s->kernel);
	json_put_string(&j, "hostname", s->hostname);
	json_put_string(&j, "mode", s->mode == REPORT_EXACT ? "exact" : "sampled");
	json_put_string(&j, "sampling", s->mode == REPORT_EXACT ? NULL : sampling[s->mode]);
	json_put_u64_or_null(&j, "sample_interval", s->sample_interval);
	json_put_u64_or_null(&j, "min_size_bytes", s->min_size_bytes);
	json_put_u64_or_null(&j, "max_size_bytes", s->max_size_bytes);
	json_put_double(&j, "min_age_seconds", s->min_age_seconds);
	put_strings(&j, "targets", s->targets, s->n_targets);
	put_strings(&j, "capabilities", s->capabilities, s->n_capabilities);
	json_line_end(&j);
	return stream_result(f);
}

static void put_identity(struct json_line *j, const struct process_report *p)
{
	json_put_u64(j, "pid", p->pid);
	json_put_time(j, "start_time", p->start_ns);
	json_put_double(j, "age_seconds", p->age_seconds > 0 ? p->age_seconds : NAN);
	json_put_string(j, "comm", p->comm);
	json_put_string(j, "exe", p->exe);
	json_put_string(j, "cgroup", p->cgroup);
	if (p->namespace_pid)
		json_put_u64(j, "namespace_pid", p->namespace_pid);
	else
		json_put_null(j, "namespace_pid");
	json_put_string(j, "container", p->container);
	json_put_string(j, "container_name", p->container_name);
	json_put_string(j, "namespace", p->namespace_);
	json_put_string(j, "pod", p->pod);
	json_put_string(j, "pod_uid", p->pod_uid);
	json_put_string(j, "ended", p->ended);
	if (p->ended)
		json_put_u64(j, "exit_status", (uint16_t)p->exit_status);
	else
		json_put_null(j, "exit_status");
	json_put_bool(j, "oom_killed", p->oom_killed);
	json_put_u64(j, "limit_hits", p->limit_hits);
	json_put_double(j, "limit_hit_age_seconds", p->limit_hit_age_seconds);
}

static void put_memory(struct json_line *j, const struct memory_account *m)
{
	if (!m) {
		json_put_null(j, "memory");
		return;
	}
	json_open(j, "memory", '{');
	for (size_t i = 0; i < n_memory_fields; i++)
		json_put_u64(j, memory_fields[i].name,
			     *(const uint64_t *)((const char *)m + memory_fields[i].offset));
	json_close(j, '}');
}

/* The mark that since_mark figures count from. */
static void put_mark(struct json_line *j, const struct mark *m)
{
	if (!m) {
		json_put_null(j, "mark");
		return;
	}
	json_open(j, "mark", '{');
	json_put_string(j, "name", m->name);
	json_put_time(j, "time", m->time_ns);
	json_close(j, '}');
}

static void put_since_mark(struct json_line *j, const struct report *r, const struct since_mark *s)
{
	if (!r->mark) {
		json_put_null(j, "since_mark_outstanding_bytes");
		json_put_null(j, "since_mark_outstanding_allocations");
		json_put_null(j, "since_mark_allocations");
		return;
	}
	json_put_i64(j, "since_mark_outstanding_bytes", s->outstanding_bytes);
	json_put_i64(j, "since_mark_outstanding_allocations", s->outstanding_allocations);
	json_put_u64(j, "since_mark_allocations", s->allocations);
}

void record_put_process(FILE *f, const struct report *r, size_t i)
{
	const struct process_report *p = &r->processes[i];
	struct json_line j;

	record_begin(&j, f, "process", r->time_ns);
	json_put_bool(&j, "final", p->final);
	json_put_u64(&j, "process", i);
	put_identity(&j, p);
	json_put_u64(&j, "outstanding_bytes", p->outstanding_bytes);
	json_put_u64(&j, "outstanding_allocations", p->outstanding_allocations);
	json_put_u64(&j, "interval_bytes", p->interval_bytes);
	json_put_u64(&j, "interval_allocations", p->interval_allocations);
	json_put_u64(&j, "allocated_bytes", p->allocated_bytes);
	json_put_u64(&j, "freed_bytes", p->freed_bytes);
	json_put_u64(&j, "allocations", p->allocations);
	json_put_u64(&j, "frees", p->frees);
	json_put_u64(&j, "inherited_frees", p->inherited_frees);
	json_put_u64(&j, "unknown_frees", p->unknown_frees);
	json_put_u64_or_null(&j, "rss_bytes", p->rss_bytes);
	put_memory(&j, p->memory);
	json_put_u64_or_null(&j, "limit_bytes", p->limit_bytes);
	json_put_double(&j, "growth_bytes_per_second", p->growth_bytes_per_second);
	json_put_double(&j, "seconds_to_limit", p->seconds_to_limit);
	json_put_string(&j, "verdict", p->verdict);
	json_put_double(&j, "confidence", p->confidence);
	json_put_string(&j, "evidence", p->evidence);
	json_put_double(&j, "overhead_ratio", p->overhead_ratio);
	json_put_string(&j, "mode", p->mode);
	json_put_u64_or_null(&j, "sample_interval_bytes", p->sample_interval_bytes);
	json_put_double(&j, "duty", p->mode ? p->duty : NAN);
	json_put_bool(&j, "estimated", p->estimated);
	json_put_string(&j, "governed", p->governed);
	json_put_double(&j, "seen_from_seconds", p->seen_from_seconds);
	put_strings(&j, "notes", p->notes, p->n_notes);
	losses_put_json(&j, "lost", p->losses, p->n_losses);
	json_put_u64_or_null(&j, "stacks", p->n_stacks);
	losses_put_json(&j, "truncated_stacks", p->truncated, p->n_truncated);
	put_mark(&j, r->mark);
	put_since_mark(&j, r, &p->since_mark);
	json_put_u64(&j, "sequence", r->sequence);
	json_put_double(&j, "elapsed_seconds", r->elapsed_seconds);
	json_put_u64(&j, "map_bytes", r->map_bytes);
	json_put_bool(&j, "map_bytes_bound", r->map_bytes_bound);
	losses_put_json(&j, "session_lost", r->losses, r->n_losses);
	json_line_end(&j);
}

static void put_age(struct json_line *j, const char *key, double seconds)
{
	if (seconds < 0)
		json_put_null(j, key);
	else
		json_put_double(j, key, seconds);
}

void record_put_site(FILE *f, const struct report *r, const struct site *s)
{
	const struct process_report *p = &r->processes[s->process];
	struct json_line j;

	record_begin(&j, f, "site", r->time_ns);
	json_put_bool(&j, "final", p->final);
	json_put_u64(&j, "process", s->process);
	json_put_u64(&j, "pid", p->pid);
	json_put_id(&j, "site", s->fingerprint);
	json_put_id(&j, "family", s->family);
	json_put_string(&j, "kind", record_kind(s->kind));
	json_put_u64(&j, "outstanding_bytes", s->outstanding_bytes);
	json_put_u64(&j, "outstanding_allocations", s->outstanding_allocations);
	json_put_u64(&j, "interval_bytes", s->interval_bytes);
	json_put_u64(&j, "interval_allocations", s->interval_allocations);
	json_put_u64(&j, "allocated_bytes", s->allocated_bytes);
	json_put_u64(&j, "allocations", s->allocations);
	json_put_u64(&j, "freed_bytes", s->freed_bytes);
	json_put_u64(&j, "frees", s->frees);
	put_age(&j, "oldest_age_seconds", s->oldest_age_seconds);
	put_age(&j, "median_age_seconds", s->median_age_seconds);
	for (size_t i = 0; i < SITE_AGES; i++)
		json_put_double(&j, site_survival_names[i], s->survival[i]);
	json_put_double(&j, "growth_bytes_per_second", s->growth_bytes_per_second);
	json_put_double(&j, "confidence", s->confidence);
	json_put_string(&j, "verdict", s->verdict);
	json_put_string(&j, "evidence", s->evidence);
	json_put_string(&j, "truncated", s->truncated);
	json_put_string(&j, "suppressed", s->suppressed);
	put_since_mark(&j, r, &s->since_mark);
	record_put_frames(&j, s->frames, s->n_frames);
	json_line_end(&j);
}

static void put_error_stack(struct json_line *j, const char *key, const struct error_stack *stack)
{
	if (!stack->n && !stack->truncated) {
		json_put_null(j, key);
		return;
	}
	json_open(j, key, '{');
	json_put_string(j, "truncated", stack->truncated);
	record_put_frames(j, stack->frames, stack->n);
	json_close(j, '}');
}

static void put_error(FILE *f, const struct report *r, const struct free_error *e)
{
	const struct process_report *p = &r->processes[e->process];
	struct json_line j;

	record_begin(&j, f, "error", r->time_ns);
	json_put_bool(&j, "final", p->final);
	json_put_u64(&j, "process", e->process);
	json_put_u64(&j, "pid", p->pid);
	json_put_string(&j, "error", free_error_name(e->type));
	json_put_u64(&j, "count", e->count);
	json_put_address(&j, "address", e->address);
	json_put_address(&j, "block_address", e->block_address);
	json_put_u64_or_null(&j, "size_bytes", e->size_bytes);
	json_put_double(&j, "age_seconds", e->age_seconds);
	json_put_u64_or_null(&j, "tid", e->tid);
	json_put_u64_or_null(&j, "freed_tid", e->freed_tid);
	json_put_double(&j, "freed_seconds_before", e->freed_seconds_before);
	json_put_string(&j, "allocated_with", e->allocated_with);
	json_put_string(&j, "freed_with", e->freed_with);
	json_put_string(&j, "truncated", e->stack.truncated);
	record_put_frames(&j, e->stack.frames, e->stack.n);
	put_error_stack(&j, "allocation", &e->allocation);
	put_error_stack(&j, "freed", &e->freed);
	json_line_end(&j);
}

/* Before the records of its report. */
static void put_mark_set(FILE *f, const struct report *r)
{
	struct json_line j;

	record_begin(&j, f, "mark", r->time_ns);
	json_put_string(&j, "name", r->mark->name);
	json_put_u64(&j, "sequence", r->sequence);
	json_line_end(&j);
}

static int ndjson_report(FILE *f, const struct output_options *o, const struct session *s,
			 const struct report *r)
{
	(void)o;
	(void)s;
	if (report_is_mark(r))
		put_mark_set(f, r);
	for (size_t i = 0; i < r->n_processes; i++)
		record_put_process(f, r, i);
	for (size_t i = 0; i < r->n_sites; i++)
		record_put_site(f, r, &r->sites[i]);
	for (size_t i = 0; i < r->n_errors; i++)
		put_error(f, r, &r->errors[i]);
	return stream_result(f);
}

static int ndjson_block(FILE *f, const struct output_options *o, const struct report *r,
			const struct block *b)
{
	const struct process_report *p = &r->processes[b->process];
	struct json_line j;

	(void)o;
	record_begin(&j, f, "block", r->time_ns);
	json_put_bool(&j, "final", p->final);
	json_put_u64(&j, "process", b->process);
	json_put_u64(&j, "pid", p->pid);
	json_put_address(&j, "address", b->address);
	json_put_u64(&j, "size_bytes", b->size_bytes);
	put_age(&j, "age_seconds", b->age_seconds);
	if (b->walked)
		json_put_null(&j, "site");
	else
		json_put_id(&j, "site", b->site);
	if (b->reachable < 0)
		json_put_null(&j, "reachable");
	else
		json_put_bool(&j, "reachable", b->reachable);
	json_line_end(&j);
	return stream_result(f);
}

static int ndjson_report_end(FILE *f, const struct output_options *o, const struct session *s,
			     const struct report *r)
{
	(void)o;
	(void)s;
	(void)r;
	/* A reader at the end of a pipe gets whole reports. */
	return stream_flush(f);
}

static int ndjson_end(FILE *f, const struct output_options *o, const struct session *s,
		      const struct session_end *e)
{
	struct json_line j;

	(void)o;
	(void)s;
	record_begin(&j, f, "end", e->time_ns);
	json_put_string(&j, "why", e->why);
	json_put_double(&j, "duration_seconds", e->duration_seconds);
	losses_put_json(&j, "lost", e->losses, e->n_losses);
	json_line_end(&j);
	return stream_flush(f);
}

const struct output_format output_ndjson = {
	.name = "ndjson",
	.session = ndjson_session,
	.report = ndjson_report,
	.block = ndjson_block,
	.report_end = ndjson_report_end,
	.end = ndjson_end,
};
