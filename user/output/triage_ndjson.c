// SPDX-License-Identifier: BSD-2-Clause
#include "model/scan_report.h"
#include "output/json.h"
#include "output/record.h"
#include "output/scan.h"
#include "output/stream.h"
#include "output/triage.h"

static void put_scan(struct json_line *j, const struct triage_report *t)
{
	const struct scan_report *s = t->scan;

	if (!s) {
		json_put_null(j, "unreachable_bytes");
		json_put_null(j, "unreachable_blocks");
		json_put_string(j, "scan_missing", t->scan_missing);
		return;
	}
	json_put_u64(j, "unreachable_bytes", s->direct.bytes + s->cycle.bytes + s->indirect.bytes);
	json_put_u64(j, "unreachable_blocks", s->direct.n + s->cycle.n + s->indirect.n);
	json_put_null(j, "scan_missing");
}

static void put_triage(FILE *f, const struct triage_report *t)
{
	const struct process_report *p = &t->report->processes[t->process];
	const struct triage_memory *m = &t->memory;
	struct json_line j;

	record_begin(&j, f, "triage", t->report->time_ns);
	json_put_bool(&j, "final", t->final);
	json_put_u64(&j, "process", t->process);
	json_put_u64(&j, "pid", p->pid);
	json_put_string(&j, "comm", p->comm);
	json_put_bool(&j, "ended", t->ended);
	json_put_double(&j, "elapsed_seconds", t->report->elapsed_seconds);
	json_put_string(&j, "verdict", t->verdict);
	json_put_double(&j, "confidence", t->confidence);
	json_put_string(&j, "evidence", t->evidence);
	json_put_u64_or_null(&j, "rss_bytes", p->rss_bytes);
	json_put_u64_or_null(&j, "limit_bytes", p->limit_bytes);
	json_put_double(&j, "growth_bytes_per_second", m->growth_bytes_per_second);
	json_put_double(&j, "growth_low_bytes_per_second", m->growth_low_bytes_per_second);
	json_put_double(&j, "growth_high_bytes_per_second", m->growth_high_bytes_per_second);
	json_put_double(&j, "growing_since_seconds", m->growing_since_seconds);
	json_put_double(&j, "seconds_to_limit", m->seconds_to_limit);
	json_put_u64_or_null(&j, "cgroup_bytes", m->cgroup_bytes);
	json_put_u64_or_null(&j, "cgroup_cache_bytes", m->cgroup_cache_bytes);
	put_scan(&j, t);
	json_open(&j, "sites", '[');
	for (size_t i = 0; i < t->n_top; i++)
		json_put_id(&j, NULL, t->report->sites[t->top[i]].fingerprint);
	json_close(&j, ']');
	json_put_string(&j, "evidence_path", t->evidence_path);
	json_line_end(&j);
}

int triage_ndjson(FILE *f, const struct triage_report *t)
{
	const struct output_options options = {0};
	int err;

	put_triage(f, t);
	err = output_ndjson.report(f, &options, t->session, t->report);
	if (!err && t->scan)
		err = scan_ndjson_report(f, t->scan);
	return err ? err : stream_flush(f);
}
