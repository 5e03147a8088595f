// SPDX-License-Identifier: BSD-2-Clause
/* Which report is the last is known when no other comes, so each is kept, whole and thinned, until then. */
#include "model/report_part.h"
#include "output/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "output/json.h"
#include "output/output.h"
#include "output/record.h"
#include "output/stream.h"

static const unsigned char page_head[] = {
#include <head.inc>
};
static const unsigned char page_tail[] = {
#include <tail.inc>
};

struct text {
	char *bytes;
	size_t n;
};

struct html {
	struct text whole, thin; /* of the last report; or none */
	bool begun, ended;
};

int html_create(struct html **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void forget(struct html *h)
{
	free(h->whole.bytes);
	free(h->thin.bytes);
	h->whole = h->thin = (struct text){0};
}

void html_destroy(struct html *h)
{
	if (h)
		forget(h);
	free(h);
}

void html_put_json(FILE *f, const char *text, size_t n)
{
	const char *end = text + n;

	while (text < end) {
		const char *tag = memchr(text, '<', end - text);

		fwrite(text, 1, (tag ? tag : end) - text, f);
		if (!tag)
			break;
		fputs("\\u003c", f);
		text = tag + 1;
	}
}

/* The sites [from, to) that hold most, most first. Returns how many, at most HTML_MOMENT_SITES. */
static size_t largest(const struct report *r, size_t from, size_t to,
		      const struct site *ret[HTML_MOMENT_SITES])
{
	size_t n = 0;

	for (size_t i = from; i < to; i++) {
		const struct site *s = &r->sites[i];
		size_t at = n;

		while (at && ret[at - 1]->outstanding_bytes < s->outstanding_bytes)
			at--;
		if (at == HTML_MOMENT_SITES)
			continue;
		if (n < HTML_MOMENT_SITES)
			n++;
		memmove(&ret[at + 1], &ret[at], (n - at - 1) * sizeof(*ret));
		ret[at] = s;
	}
	return n;
}

static void put_moment(FILE *f, const struct report *r, const struct process_report *p, size_t from,
		       size_t to)
{
	const struct site *sites[HTML_MOMENT_SITES];
	size_t n = largest(r, from, to, sites);
	struct json_line j;

	record_begin(&j, f, "moment", r->time_ns);
	json_put_u64(&j, "pid", p->pid);
	json_put_time(&j, "start_time", p->start_ns);
	json_put_u64(&j, "outstanding_bytes", p->outstanding_bytes);
	json_open(&j, "sites", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(&j, NULL, '[');
		json_put_id(&j, NULL, sites[i]->fingerprint);
		json_put_u64(&j, NULL, sites[i]->outstanding_bytes);
		json_close(&j, ']');
	}
	json_close(&j, ']');
	json_line_end(&j);
}

static bool is_final(const void *arg, const struct process_report *p)
{
	(void)arg;
	return p->final;
}

/* The processes whose last report it is, whole. */
static int put_ended(FILE *f, const struct session *s, const struct report *r)
{
	const struct output_options options = {0};
	struct report_part ended;
	int err = report_part_take(r, is_final, NULL, &ended);

	if (err)
		return err;
	err = output_ndjson.report(f, &options, s, &ended.report);
	report_part_done(&ended);
	return err;
}

/* Sites are by process, but a process without any is in the report too. */
static int put_thin(FILE *f, const struct session *s, const struct report *r)
{
	size_t from = 0;

	for (size_t i = 0; i < r->n_processes; i++) {
		size_t to = from;

		while (to < r->n_sites && r->sites[to].process == i)
			to++;
		if (!r->processes[i].final)
			put_moment(f, r, &r->processes[i], from, to);
		from = to;
	}
	return put_ended(f, s, r);
}

static int put_whole(FILE *f, const struct session *s, const struct report *r)
{
	const struct output_options options = {0};

	return output_ndjson.report(f, &options, s, r);
}

static int keep(struct text *ret, int (*put)(FILE *, const struct session *, const struct report *),
		const struct session *s, const struct report *r)
{
	FILE *f = open_memstream(&ret->bytes, &ret->n);
	int err;

	if (!f)
		return -ENOMEM;
	err = put(f, s, r);
	return fclose(f) && !err ? -ENOMEM : err;
}

static int html_session(FILE *f, const struct output_options *o, const struct session *s)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	FILE *records = open_memstream(&text, &n);
	int err;

	if (!records)
		return -ENOMEM;
	err = output_ndjson.session(records, o, s);
	if (fclose(records) || err)
		return err ? err : -ENOMEM;
	o->html->begun = true;
	fwrite(page_head, 1, sizeof(page_head), f);
	html_put_json(f, text, n);
	return stream_result(f);
}

static int html_report(FILE *f, const struct output_options *o, const struct session *s,
		       const struct report *r)
{
	struct html *h = o->html;
	int err;

	if (h->thin.bytes)
		html_put_json(f, h->thin.bytes, h->thin.n);
	forget(h);
	err = keep(&h->whole, put_whole, s, r);
	if (!err)
		err = keep(&h->thin, put_thin, s, r);
	return err ? err : stream_result(f);
}

int html_end(struct html *h, FILE *f)
{
	if (!h->begun || h->ended)
		return 0;
	h->ended = true;
	if (h->whole.bytes)
		html_put_json(f, h->whole.bytes, h->whole.n);
	forget(h);
	fwrite(page_tail, 1, sizeof(page_tail), f);
	return stream_flush(f);
}

/* The end's record comes after the last report, so that is written before. */
static int html_end_record(FILE *f, const struct output_options *o, const struct session *s,
			   const struct session_end *e)
{
	_cleanup_free_ char *text = NULL;
	struct html *h = o->html;
	size_t n = 0;
	FILE *records = open_memstream(&text, &n);
	int err;

	if (!records)
		return -ENOMEM;
	err = output_ndjson.end(records, o, s, e);
	if (fclose(records) || err)
		return err ? err : -ENOMEM;
	if (h->whole.bytes)
		html_put_json(f, h->whole.bytes, h->whole.n);
	forget(h);
	html_put_json(f, text, n);
	return html_end(h, f);
}

const struct output_format output_html = {
	.name = "html",
	.session = html_session,
	.report = html_report,
	.end = html_end_record,
};
