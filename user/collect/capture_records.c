// SPDX-License-Identifier: BSD-2-Clause
#include "collect/capture_records.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/diag.h"
#include "base/vec.h"
#include "collect/capture_fields.h"
#include "model/memory.h"

/* Bounds on a report, far above what a trace makes, so that a small hostile file cannot take all memory. */
#define PROCESSES_MAX (1 << 22)
#define SITES_MAX (1 << 22)
#define BLOCKS_MAX (1 << 25)
#define ERRORS_MAX (1 << 20)
#define FRAMES_MAX 4096
#define SESSION_STRINGS_MAX 65536

void capture_report_reset(struct capture_report *r)
{
	arena_done(&r->arena);
	r->processes.n = r->sites.n = r->blocks.n = r->errors.n = 0;
	r->report = (struct report){0};
	r->mark = (struct mark){0};
}

void capture_report_done(struct capture_report *r)
{
	arena_done(&r->arena);
	free(r->processes.items);
	free(r->sites.items);
	free(r->blocks.items);
	free(r->errors.items);
	*r = (struct capture_report){0};
}

/* The value of the string member among n names, or fallback when it is missing. */
static int one_of(struct fields *f, const char *name, const char *const *names, int n, int fallback)
{
	const char *text = fields_string(f, name);

	if (!text)
		return fallback;
	for (int i = 0; i < n; i++)
		if (names[i] && !strcmp(names[i], text))
			return i;
	fields_fail(f, name, "has a value that this version does not know");
	return fallback;
}

int records_session(struct fields *f, struct session *ret)
{
	static const char *const sampling[] = {
		[REPORT_SAMPLED_COUNT] = "count",
		[REPORT_SAMPLED_BYTES] = "bytes",
		[REPORT_SAMPLED_PAGES] = "pages",
	};
	struct session s = {
		.schema = fields_u64(f, "schema", 1),
		.version = fields_string(f, "version"),
		.kernel = fields_string(f, "kernel"),
		.hostname = fields_string(f, "hostname"),
		.start_ns = fields_time(f, "time"),
		.mode = one_of(f, "sampling", sampling, ARRAY_SIZE(sampling), REPORT_EXACT),
		.sample_interval = fields_u64_or_0(f, "sample_interval"),
		.min_size_bytes = fields_u64_or_0(f, "min_size_bytes"),
		.max_size_bytes = fields_u64_or_0(f, "max_size_bytes"),
		.min_age_seconds = fields_double(f, "min_age_seconds", 0),
	};

	s.targets = fields_strings(f, "targets", SESSION_STRINGS_MAX, &s.n_targets);
	s.capabilities = fields_strings(f, "capabilities", SESSION_STRINGS_MAX, &s.n_capabilities);
	if (!f->err)
		*ret = s;
	return f->err;
}

static void read_figures(struct fields *f, struct process_report *p)
{
	p->outstanding_bytes = fields_u64(f, "outstanding_bytes", UINT64_MAX);
	p->outstanding_allocations = fields_u64(f, "outstanding_allocations", UINT64_MAX);
	p->interval_bytes = fields_u64_or_0(f, "interval_bytes");
	p->interval_allocations = fields_u64_or_0(f, "interval_allocations");
	p->allocated_bytes = fields_u64(f, "allocated_bytes", UINT64_MAX);
	p->freed_bytes = fields_u64(f, "freed_bytes", UINT64_MAX);
	p->allocations = fields_u64(f, "allocations", UINT64_MAX);
	p->frees = fields_u64(f, "frees", UINT64_MAX);
	p->inherited_frees = fields_u64_or_0(f, "inherited_frees");
	p->unknown_frees = fields_u64_or_0(f, "unknown_frees");
	p->namespace_pid = fields_u64_or_0(f, "namespace_pid");
	p->rss_bytes = fields_u64_or_0(f, "rss_bytes");
	p->limit_bytes = fields_u64_or_0(f, "limit_bytes");
	p->growth_bytes_per_second = fields_double(f, "growth_bytes_per_second", NAN);
	p->seconds_to_limit = fields_double(f, "seconds_to_limit", NAN);
	p->overhead_ratio = fields_double(f, "overhead_ratio", NAN);
	p->confidence = fields_double(f, "confidence", 0);
	p->evidence = fields_string(f, "evidence");
	p->mode = fields_string(f, "mode");
	p->sample_interval_bytes = fields_u64_or_0(f, "sample_interval_bytes");
	p->duty = fields_double(f, "duty", 1);
	p->estimated = fields_bool(f, "estimated");
	p->governed = fields_string(f, "governed");
	p->seen_from_seconds = fields_double(f, "seen_from_seconds", NAN);
}

static struct since_mark read_since_mark(struct fields *f)
{
	return (struct since_mark){
		.outstanding_bytes = fields_i64_or_0(f, "since_mark_outstanding_bytes"),
		.outstanding_allocations = fields_i64_or_0(f, "since_mark_outstanding_allocations"),
		.allocations = fields_u64_or_0(f, "since_mark_allocations"),
	};
}

static const struct memory_account *read_memory(struct fields *f)
{
	struct memory_account *m;
	struct fields of = *f;

	of.object = json_object_get(f->object, "memory");
	if (!json_is_object(of.object))
		return NULL;
	m = arena_alloc(f->arena, 1, sizeof(*m));
	if (!m) {
		f->err = f->err ? f->err : -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < n_memory_fields; i++)
		*(uint64_t *)((char *)m + memory_fields[i].offset) =
			fields_u64_or_0(&of, memory_fields[i].name);
	f->err = of.err;
	return m;
}

int records_process(struct fields *f, struct capture_report *r)
{
	struct process_report p = {
		.pid = fields_u64(f, "pid", UINT32_MAX),
		.start_ns = fields_time(f, "start_time"),
		.age_seconds = fields_double(f, "age_seconds", 0),
		.comm = fields_string(f, "comm"),
		.exe = fields_string(f, "exe"),
		.cgroup = fields_string(f, "cgroup"),
		.container = fields_string(f, "container"),
		.container_name = fields_string(f, "container_name"),
		.namespace_ = fields_string(f, "namespace"),
		.pod = fields_string(f, "pod"),
		.pod_uid = fields_string(f, "pod_uid"),
		.final = fields_bool(f, "final"),
		.ended = fields_string(f, "ended"),
		.exit_status = fields_u64_or_0(f, "exit_status") & 0xffff,
		.oom_killed = fields_bool(f, "oom_killed"),
		.limit_hits = fields_u64_or_0(f, "limit_hits"),
		.limit_hit_age_seconds = fields_double(f, "limit_hit_age_seconds", NAN),
		.verdict = fields_string(f, "verdict"),
	};
	const char *const *notes;

	if (fields_u64(f, "process", PROCESSES_MAX) != r->processes.n)
		fields_fail(f, "process", "is out of order");
	read_figures(f, &p);
	p.memory = read_memory(f);
	p.since_mark = read_since_mark(f);
	notes = fields_strings(f, "notes", ARRAY_SIZE(p.notes), &p.n_notes);
	for (size_t i = 0; i < p.n_notes; i++)
		p.notes[i] = notes[i];
	p.losses = fields_losses(f, "lost", &p.n_losses);
	p.n_stacks = fields_u64_or_0(f, "stacks");
	p.truncated = fields_losses(f, "truncated_stacks", &p.n_truncated);
	if (!f->err && vec_push(&r->processes, p))
		f->err = diag_set(f->d, ENOMEM, "no memory for its processes");
	return f->err;
}

static uint32_t read_process_index(struct fields *f, const struct capture_report *r)
{
	uint64_t index = fields_u64(f, "process", UINT32_MAX);

	if (index >= r->processes.n)
		fields_fail(f, "process", "is no process of this report");
	return index;
}

static void read_frame(struct fields *f, struct frame *ret)
{
	uint64_t line;

	*ret = (struct frame){
		.function = fields_string(f, "function"),
		.module = fields_string(f, "module"),
		.build_id = fields_string(f, "build_id"),
		.file = fields_string(f, "file"),
		.inlined = fields_bool(f, "inlined"),
	};
	line = fields_u64_or_0(f, "line");
	if (line > UINT32_MAX)
		fields_fail(f, "line", "is too large");
	ret->line = line;
	/* Either is there: see put_frame() in output/ndjson.c. */
	if (json_is_integer(json_object_get(f->object, "offset")))
		ret->offset = fields_u64(f, "offset", UINT64_MAX);
	else
		ret->offset = fields_hex(f, "address");
}

static const struct frame *read_frames(struct fields *f, size_t *ret_n)
{
	struct fields inner = *f;
	const json_t *array;
	struct frame *frames;

	array = fields_array(f, "frames", FRAMES_MAX, ret_n);
	frames = arena_alloc(f->arena, *ret_n, sizeof(*frames));
	if (!frames) {
		f->err = diag_set(f->d, ENOMEM, "no memory for its frames");
		return NULL;
	}
	inner.record = "frame";
	for (size_t i = 0; i < *ret_n; i++) {
		inner.object = json_array_get(array, i);
		read_frame(&inner, &frames[i]);
	}
	f->err = f->err ? f->err : inner.err;
	return frames;
}

int records_site(struct fields *f, struct capture_report *r)
{
	static const char *const kinds[] = {
		[SITE_MALLOC] = "malloc", [SITE_MMAP] = "mmap",	    [SITE_BRK] = "brk",
		[SITE_FAULT] = "fault",	  [SITE_KERNEL] = "kernel",
	};
	struct site s = {
		.process = read_process_index(f, r),
		.fingerprint = fields_hex(f, "site"),
		.family = fields_hex(f, "family"),
		.kind = one_of(f, "kind", kinds, ARRAY_SIZE(kinds), SITE_MALLOC),
		.outstanding_bytes = fields_u64(f, "outstanding_bytes", UINT64_MAX),
		.outstanding_allocations = fields_u64(f, "outstanding_allocations", UINT64_MAX),
		.interval_bytes = fields_u64_or_0(f, "interval_bytes"),
		.interval_allocations = fields_u64_or_0(f, "interval_allocations"),
		.allocated_bytes = fields_u64(f, "allocated_bytes", UINT64_MAX),
		.allocations = fields_u64(f, "allocations", UINT64_MAX),
		.freed_bytes = fields_u64(f, "freed_bytes", UINT64_MAX),
		.frees = fields_u64(f, "frees", UINT64_MAX),
		.oldest_age_seconds = fields_double(f, "oldest_age_seconds", -1),
		.median_age_seconds = fields_double(f, "median_age_seconds", -1),
		.growth_bytes_per_second = fields_double(f, "growth_bytes_per_second", NAN),
		.confidence = fields_double(f, "confidence", NAN),
		.verdict = fields_string(f, "verdict"),
		.evidence = fields_string(f, "evidence"),
		.truncated = fields_string(f, "truncated"),
		.suppressed = fields_string(f, "suppressed"),
		.since_mark = read_since_mark(f),
	};

	for (size_t i = 0; i < SITE_AGES; i++)
		s.survival[i] = fields_double(f, site_survival_names[i], NAN);
	s.frames = read_frames(f, &s.n_frames);
	if (r->sites.n >= SITES_MAX)
		fields_fail(f, "site", "is one too many for a report");
	if (!f->err && vec_push(&r->sites, s))
		f->err = diag_set(f->d, ENOMEM, "no memory for its sites");
	return f->err;
}

static struct error_stack read_stack(struct fields *f)
{
	struct error_stack stack = {.truncated = fields_string(f, "truncated")};

	stack.frames = read_frames(f, &stack.n);
	return stack;
}

/* The member of that name, an object or null. */
static struct error_stack read_stack_of(struct fields *f, const char *name)
{
	struct error_stack stack = {0};
	struct fields of = *f;

	of.object = json_object_get(f->object, name);
	if (json_is_object(of.object))
		stack = read_stack(&of);
	f->err = of.err;
	return stack;
}

int records_error(struct fields *f, struct capture_report *r)
{
	const char *types[FREE_ERROR_TYPES];
	struct free_error e = {
		.process = read_process_index(f, r),
		.count = fields_u64(f, "count", UINT64_MAX),
		.address = fields_hex(f, "address"),
		.block_address = fields_hex(f, "block_address"),
		.size_bytes = fields_u64_or_0(f, "size_bytes"),
		.age_seconds = fields_double(f, "age_seconds", 0),
		.tid = fields_u64_or_0(f, "tid"),
		.freed_tid = fields_u64_or_0(f, "freed_tid"),
		.freed_seconds_before = fields_double(f, "freed_seconds_before", NAN),
		.allocated_with = fields_string(f, "allocated_with"),
		.freed_with = fields_string(f, "freed_with"),
	};

	for (int i = 0; i < FREE_ERROR_TYPES; i++)
		types[i] = free_error_name(i);
	e.type = one_of(f, "error", types, FREE_ERROR_TYPES, FREE_ERROR_INVALID);
	e.stack = read_stack(f);
	e.allocation = read_stack_of(f, "allocation");
	e.freed = read_stack_of(f, "freed");
	if (r->errors.n >= ERRORS_MAX)
		fields_fail(f, "error", "is one too many for a report");
	if (!f->err && vec_push(&r->errors, e))
		f->err = diag_set(f->d, ENOMEM, "no memory for its errors");
	return f->err;
}

int records_block(struct fields *f, struct capture_report *r)
{
	const json_t *reachable = json_object_get(f->object, "reachable");
	struct block b = {
		.process = read_process_index(f, r),
		.address = fields_hex(f, "address"),
		.size_bytes = fields_u64(f, "size_bytes", UINT64_MAX),
		.age_seconds = fields_double(f, "age_seconds", -1),
		.site = fields_hex(f, "site"),
		.reachable = json_is_boolean(reachable) ? json_is_true(reachable) : -1,
	};

	if (r->blocks.n >= BLOCKS_MAX)
		fields_fail(f, "address", "is one too many for a report");
	if (!f->err && vec_push(&r->blocks, b))
		f->err = diag_set(f->d, ENOMEM, "no memory for its blocks");
	return f->err;
}

int records_mark(struct fields *f, struct capture_report *r)
{
	const char *name = fields_string(f, "name");
	struct mark m = {
		.time_ns = fields_time(f, "time"),
		.sequence = fields_u64(f, "sequence", UINT64_MAX),
	};

	if (!mark_name_is_valid(name))
		fields_fail(f, "name", "is no name of a mark");
	if (f->err)
		return f->err;
	strcpy(m.name, name);
	r->mark = m;
	return 0;
}

int records_report_end(struct fields *f, struct capture_report *r)
{
	struct report report = {
		.time_ns = fields_time(f, "time"),
		.elapsed_seconds = fields_double(f, "elapsed_seconds", NAN),
		.sequence = fields_u64(f, "sequence", UINT64_MAX),
		.map_bytes = fields_u64_or_0(f, "map_bytes"),
		.map_bytes_bound = fields_bool(f, "map_bytes_bound"),
		.processes = r->processes.items,
		.n_processes = r->processes.n,
		.sites = r->sites.items,
		.n_sites = r->sites.n,
		.errors = r->errors.items,
		.n_errors = r->errors.n,
		.mark = *r->mark.name ? &r->mark : NULL,
	};

	report.losses = fields_losses(f, "lost", &report.n_losses);
	if (!f->err)
		r->report = report;
	return f->err;
}

int records_end(struct fields *f, struct session_end *ret)
{
	struct session_end e = {
		.time_ns = fields_time(f, "time"),
		.why = fields_string(f, "why"),
		.duration_seconds = fields_double(f, "duration_seconds", NAN),
	};

	e.losses = fields_losses(f, "lost", &e.n_losses);
	if (!f->err)
		*ret = e;
	return f->err;
}
