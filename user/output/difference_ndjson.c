// SPDX-License-Identifier: BSD-2-Clause
#include "output/difference.h"
#include "output/json.h"
#include "output/record.h"
#include "output/stream.h"

static void put_held(struct json_line *j, const char *when, const struct held *h)
{
	json_open(j, when, '{');
	json_put_u64(j, "outstanding_bytes", h->bytes);
	json_put_u64(j, "outstanding_allocations", h->allocations);
	json_put_u64(j, "interval_bytes", h->interval_bytes);
	json_put_u64(j, "interval_allocations", h->interval_allocations);
	json_close(j, '}');
}

static void put_moment(struct json_line *j, const char *key, const struct difference_moment *m)
{
	json_open(j, key, '{');
	json_put_string(j, "file", m->path);
	json_put_u64_or_null(j, "sequence", m->sequence);
	json_put_string(j, "mark", m->mark);
	json_put_time(j, "time", m->time_ns);
	json_put_double(j, "elapsed_seconds", m->elapsed_seconds);
	json_put_string(j, "hostname", m->hostname);
	json_put_string(j, "kernel", m->kernel);
	json_put_string(j, "version", m->version);
	json_put_string(j, "mode", m->mode == REPORT_EXACT ? "exact" : "sampled");
	json_put_u64(j, "processes", m->n_processes);
	put_held(j, "held", &m->held);
	json_close(j, '}');
}

static const char *change_name(enum difference_change change)
{
	static const char *const names[] = {
		[DIFFERENCE_NEW] = "new",   [DIFFERENCE_GREW] = "grew",
		[DIFFERENCE_SAME] = "same", [DIFFERENCE_SHRANK] = "shrank",
		[DIFFERENCE_GONE] = "gone",
	};

	return names[change];
}

static void put_difference(FILE *f, const struct difference_report *r, const struct difference *d)
{
	struct json_line j;

	record_begin(&j, f, "difference", r->after.time_ns);
	json_put_string(&j, "change", change_name(d->change));
	json_put_bool(&j, "within_error", d->within_error);
	json_put_string(&j, "comm", d->site.comm);
	json_put_id(&j, "site", d->site.fingerprint);
	json_put_id(&j, "family", d->site.family);
	json_put_string(&j, "matched_by", d->by_family ? "family" : "site");
	json_put_string(&j, "kind", record_kind(d->site.kind));
	json_put_i64(&j, "bytes", (int64_t)(d->after.bytes - d->before.bytes));
	json_put_i64(&j, "allocations", (int64_t)(d->after.allocations - d->before.allocations));
	put_held(&j, "before", &d->before);
	put_held(&j, "after", &d->after);
	json_put_string(&j, "truncated", d->site.truncated);
	record_put_frames(&j, d->site.frames, d->site.n_frames);
	json_line_end(&j);
}

int difference_ndjson(FILE *f, const struct difference_report *r)
{
	struct json_line j;

	record_begin(&j, f, "diff", r->after.time_ns);
	json_put_u64(&j, "schema", 1);
	put_moment(&j, "before", &r->before);
	put_moment(&j, "after", &r->after);
	json_line_end(&j);
	for (size_t i = 0; i < r->n; i++)
		put_difference(f, r, &r->items[i]);
	return stream_flush(f);
}
