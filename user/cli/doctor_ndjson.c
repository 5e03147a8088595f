// SPDX-License-Identifier: BSD-2-Clause
/* What seep doctor found, one object a line; options_doctor.c describes the fields. */
#include <string.h>

#include "attach/cover.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "output/json.h"
#include "plan/plan.h"

static void record_begin(struct json_line *j, const struct doctor_view *v, const struct host *h,
			 const char *type)
{
	json_line_begin(j, v->f);
	json_put_string(j, "type", type);
	json_put_time(j, "time", h->time_ns);
}

static void put_hit(struct json_line *j, const char *key, const struct calibration_hit *hit)
{
	const struct {
		const char *key;
		double ns;
	} costs[] = {
		{"free_seconds", hit->free_ns},
		{"allocate_seconds", hit->allocate_ns},
		{"allocate_exits_seconds", hit->allocate_exits_ns},
		{"skipped_seconds", hit->skipped_ns},
		{"empty_seconds", hit->floor_ns},
		{"empty_with_return_seconds", hit->floor_with_return_ns},
	};

	json_open(j, key, '{');
	for (size_t i = 0; i < ARRAY_SIZE(costs); i++)
		json_put_double(j, costs[i].key, costs[i].ns / NS_PER_SECOND);
	json_close(j, '}');
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static void put_checks(struct json_line *j, const struct host *h)
{
	json_open(j, "checks", '[');
	for (size_t i = 0; i < h->n_checks; i++) {
		const struct check *c = &h->checks[i];

		json_open(j, NULL, '{');
		json_put_string(j, "name", c->name);
		json_put_string(j, "state", check_state_name(c->state));
		json_put_string(j, "text", c->text);
		json_put_string(j, "hint", or_null(c->hint));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void ndjson_host(const struct doctor_view *v, const struct host *h)
{
	struct json_line j;

	record_begin(&j, v, h, "doctor");
	json_put_string(&j, "version", SEEP_VERSION);
	json_put_string(&j, "kernel", h->system.release);
	json_put_string(&j, "machine", h->system.machine);
	json_put_string(&j, "hostname", h->system.nodename);
	json_put_bool(&j, "can_trace", h->can_trace);
	json_put_string(&j, "problem", h->can_trace ? NULL : h->refusal.text);
	json_put_string(&j, "hint", h->can_trace ? NULL : or_null(h->refusal.hint));
	json_put_string(&j, "link", h->can_trace ? link_kind_name(h->costs.link) : NULL);
	put_checks(&j, h);
	if (h->can_trace) {
		put_hit(&j, "emulated", &h->costs.emulated);
		put_hit(&j, "stepped", &h->costs.stepped);
	} else {
		json_put_null(&j, "emulated");
		json_put_null(&j, "stepped");
	}
	json_line_end(&j);
}

struct file_writing {
	const struct doctor_view *v;
	const struct host *host;
	pid_t pid;
};

static void put_aliases(struct json_line *j, const char *aliases)
{
	_cleanup_free_ char *copy = strdup(aliases);
	char *rest = copy, *alias;

	json_open(j, "aliases", '[');
	while (rest && (alias = strsep(&rest, " ")))
		if (*alias)
			json_put_string(j, NULL, alias);
	json_close(j, ']');
}

static void put_probe(const struct file_writing *w, const char *path, const struct plan_probe *p)
{
	static const char *const ends[] = {
		[PLAN_END_NONE] = NULL,
		[PLAN_END_RETURN] = "return",
		[PLAN_END_EXITS] = "exits",
	};
	struct json_line j;

	record_begin(&j, w->v, w->host, "probe");
	json_put_u64(&j, "pid", w->pid);
	json_put_string(&j, "path", path);
	json_put_string(&j, "function", p->symbol);
	put_aliases(&j, p->aliases);
	json_put_string(&j, "kind", plan_function_name(p->function));
	json_put_address(&j, "address", p->address);
	json_put_u64_or_null(&j, "size_bytes", p->size_bytes);
	json_put_u64(&j, "offset", p->offset);
	json_put_u64(&j, "site_bytes", p->site);
	json_put_string(&j, "instruction", p->instruction);
	json_put_string(&j, "execution", p->cost == PLAN_STEPPED ? "stepped" : "emulated");
	json_put_string(&j, "end", ends[p->end]);
	json_put_u64(&j, "exits", p->n_exits);
	json_put_string(&j, "link",
			w->host->can_trace ? link_kind_name(host_link_of(w->host, p)) : NULL);
	json_put_string(&j, "reason", p->reason);
	if (w->host->can_trace)
		json_put_double(&j, "cost_seconds",
				calibration_cost_ns(&w->host->costs, p) / NS_PER_SECOND);
	else
		json_put_null(&j, "cost_seconds");
	json_line_end(&j);
}

/* cover_each's visitor. */
static void put_file(void *arg, const char *path, const struct plan *plan)
{
	const struct file_writing *w = arg;
	struct json_line j;

	record_begin(&j, w->v, w->host, "file");
	json_put_u64(&j, "pid", w->pid);
	json_put_string(&j, "path", path);
	json_put_string(&j, "allocator", plan_allocator_name(plan->allocator));
	json_put_u64(&j, "probes", plan->n);
	json_line_end(&j);
	for (size_t i = 0; i < plan->n; i++)
		put_probe(w, path, &plan->items[i]);
}

static void put_stack_file(const struct file_writing *w, const struct stack_file *f)
{
	struct json_line j;

	record_begin(&j, w->v, w->host, "unwind");
	json_put_u64(&j, "pid", w->pid);
	json_put_string(&j, "path", f->path);
	json_put_string(&j, "without", f->without);
	json_put_u64(&j, "rows", f->n_rows);
	json_put_u64(&j, "table_bytes", f->n_bytes);
	json_put_u64(&j, "text_bytes", f->text_bytes);
	json_put_u64(&j, "covered_bytes", f->covered_bytes);
	json_put_u64(&j, "unsupported_bytes", f->unsupported_bytes);
	json_put_u64(&j, "functions", f->n_functions);
	json_put_u64(&j, "corrupt_functions", f->n_corrupt);
	json_put_bool(&j, "cached", f->cached);
	json_put_double(&j, "load_seconds", f->seconds);
	json_line_end(&j);
}

static void ndjson_target(const struct doctor_view *v, const struct host *h, const struct target *t)
{
	struct file_writing w = {v, h, t->id.pid};
	struct json_line j;

	record_begin(&j, v, h, "target");
	json_put_u64(&j, "pid", t->id.pid);
	json_put_time(&j, "start_time", t->id.start_real_ns);
	json_put_string(&j, "comm", t->id.comm);
	json_put_string(&j, "exe", t->id.exe);
	json_put_string(&j, "container", or_null(t->id.container));
	json_put_bool(&j, "own_mount_namespace", t->id.own_mount_ns);
	json_put_bool(&j, "own_pid_namespace", t->id.own_pid_ns);
	json_put_u64(&j, "probes", t->n_probes);
	json_open(&j, "notes", '[');
	for (size_t i = 0; i < t->n_notes; i++)
		json_put_string(&j, NULL, t->notes[i]);
	json_close(&j, ']');
	json_put_u64(&j, "generated_code_bytes", t->stacks.generated_bytes);
	json_line_end(&j);
	cover_each(t->cover, t->id.pid, put_file, &w);
	for (size_t i = 0; i < t->stacks.n; i++)
		put_stack_file(&w, &t->stacks.items[i]);
}

const struct doctor_format doctor_ndjson = {
	.host = ndjson_host,
	.target = ndjson_target,
};
