// SPDX-License-Identifier: BSD-2-Clause
/* For a person who was called out of bed: the verdict first, then why, then what to send to whom. */
#include "output/triage.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/memory.h"
#include "model/scan_report.h"
#include "output/escape.h"
#include "output/scan.h"
#include "output/stream.h"
#include "output/text_fold.h"
#include "output/text_process.h"
#include "output/text_site.h"
#include "output/watch.h"

#define CACHE_GROWTH (1 << 20) /* bytes; less is not worth a word */
#define VALUE_COLUMN 15
#define SITE_COLUMN 8
#define SITE_WIDTH 100 /* where there is no terminal to tell */
#define FIRST_FRAMES 2 /* of a stack in a first look */
#define OTHER_FRAMES 3 /* of one that is not the first */
#define NOTES_SHOWN 1

static const char indent[] = "        "; /* of what belongs to a site */

/* A row's value, behind its label, which is VALUE_COLUMN wide. */
static void put_row(FILE *f, const struct output_options *o, const char *label, const char *text)
{
	fprintf(f, "  %-*s", VALUE_COLUMN - 2, label);
	text_put_wrapped(f, text, VALUE_COLUMN, VALUE_COLUMN, o->width);
	fputs("\n", f);
}

/* "2.9 MiB/min" */
static void format_rate(double bytes_per_second, char out[FORMAT_SIZE])
{
	char bytes[FORMAT_SIZE];

	format_bytes(fabs(bytes_per_second) * 60, bytes);
	snprintf(out, FORMAT_SIZE, "%.*s/min", FORMAT_SIZE - 8, bytes);
}

static void put_heading(FILE *f, const struct output_options *o, const struct triage_report *t,
			const struct process_report *p)
{
	char time[CLOCK_RFC3339_SIZE], elapsed[FORMAT_SIZE];

	clock_format_rfc3339(t->report->time_ns, time);
	format_seconds(t->report->elapsed_seconds, elapsed);
	fprintf(f, "[%s] %s after %s\n\n%sprocess %u", time, t->final ? "triage" : "first look",
		elapsed, text_paint(o, TEXT_BOLD), p->pid);
	text_put_named(f, " ", p->comm);
	fputs(text_paint(o, TEXT_PLAIN), f);
	text_put_named(f, " on ", t->session->hostname);
	text_put_named(f, ", container ", p->container_name ? p->container_name : p->container);
	text_put_named(f, ", pod ", p->pod);
	text_put_named(f, ", namespace ", p->namespace_);
	format_seconds(p->age_seconds, elapsed);
	if (p->age_seconds > 0)
		fprintf(f, ", started %s ago", elapsed);
	fputs(t->ended ? ": it has ended meanwhile\n" : "\n", f);
}

static void put_verdict(FILE *f, const struct output_options *o, const struct triage_report *t)
{
	bool is_bad = !strcmp(t->verdict, "leak") || !strcmp(t->verdict, "growing");
	char sure[32] = "";
	size_t column;

	if (t->confidence > 0)
		snprintf(sure, sizeof(sure), ", %.0f%% sure", 100 * t->confidence);
	fprintf(f, "  %-*s%s", VALUE_COLUMN - 2, "verdict",
		text_paint(o, is_bad ? TEXT_RED : TEXT_BOLD));
	escape_put(f, t->verdict, 0);
	fprintf(f, "%s%s", text_paint(o, TEXT_PLAIN), sure);
	column = VALUE_COLUMN + strlen(t->verdict) + strlen(sure);
	if (t->evidence) {
		fputs(": ", f);
		text_put_wrapped(f, t->evidence, column + 2, VALUE_COLUMN, o->width);
	}
	fputs("\n", f);
}

static void memory_text(const struct triage_report *t, const struct process_report *p, char *ret,
			size_t size)
{
	const struct triage_memory *m = &t->memory;
	char bytes[FORMAT_SIZE], rate[FORMAT_SIZE], time[FORMAT_SIZE], since[FORMAT_SIZE + 16] = "";

	format_bytes(p->rss_bytes, bytes);
	format_rate(m->growth_bytes_per_second, rate);
	format_seconds(m->growing_since_seconds, time);
	if (m->growing_since_seconds > 0)
		snprintf(since, sizeof(since), " for %s at least", time);
	if (isnan(m->growth_bytes_per_second))
		snprintf(ret, size, "%s resident, too early to say how fast it grows", bytes);
	else if (m->growth_bytes_per_second * 60 < 1)
		snprintf(ret, size, "%s resident, not growing", bytes);
	else
		snprintf(ret, size, "%s resident, growing by %s%s", bytes, rate, since);
}

static void put_limit(FILE *f, const struct output_options *o, const struct triage_memory *m,
		      const struct process_report *p)
{
	char text[512], bytes[FORMAT_SIZE], time[FORMAT_SIZE], reached[FORMAT_SIZE + 16] = "";

	format_bytes(p->limit_bytes, bytes);
	format_seconds(m->seconds_to_limit, time);
	if (isfinite(m->seconds_to_limit))
		snprintf(reached, sizeof(reached), ", reached in %s", time);
	snprintf(text, sizeof(text), "%s%s%s%s", bytes, reached, p->cgroup ? ", of cgroup " : "",
		 p->cgroup ? p->cgroup : "");
	put_row(f, o, "limit", text);
}

static void put_size(FILE *f, const struct output_options *o, bool utf8,
		     const struct triage_report *t, const struct process_report *p)
{
	const struct triage_memory *m = &t->memory;
	char text[128];

	memory_text(t, p, text, sizeof(text));
	fprintf(f, "  %-*s%s", VALUE_COLUMN - 2, "memory", text);
	if (o->width && VALUE_COLUMN + strlen(text) + 2 + TRIAGE_LINE_VALUES > o->width)
		fprintf(f, "\n%*s", VALUE_COLUMN, "");
	else
		fputs("  ", f);
	watch_put_line(f, utf8, m->line, TRIAGE_LINE_VALUES);
	fputs("\n", f);
	if (p->limit_bytes)
		put_limit(f, o, m, p);
}

/* Whoever looks at a cgroup's figure sees files, too. */
static void put_cgroup(FILE *f, const struct output_options *o, const struct triage_report *t)
{
	const struct triage_memory *m = &t->memory;
	char bytes[FORMAT_SIZE], cache[FORMAT_SIZE], more[FORMAT_SIZE], text[256];
	int n;

	if (!m->cgroup_bytes)
		return;
	format_bytes(m->cgroup_bytes, bytes);
	format_bytes(m->cgroup_cache_bytes, cache);
	n = snprintf(text, sizeof(text), "%s charged, of it %s page cache", bytes, cache);
	if (m->cgroup_cache_bytes > m->cgroup_cache_before_bytes + CACHE_GROWTH) {
		format_bytes(m->cgroup_cache_bytes - m->cgroup_cache_before_bytes, more);
		snprintf(text + n, sizeof(text) - n,
			 ", %s more than at first: files, which give way when room is needed",
			 more);
	}
	put_row(f, o, "cgroup", text);
}

static struct scan_count unreachable(const struct scan_report *s)
{
	return (struct scan_count){s->direct.n + s->cycle.n + s->indirect.n,
				   s->direct.bytes + s->cycle.bytes + s->indirect.bytes};
}

static bool is_sampled(const struct triage_report *t, const struct process_report *p)
{
	return t->session->mode != REPORT_EXACT || p->estimated;
}

/* What was not recorded is not judged; nor is what came or moved while the scan went on. */
static void all_reachable_text(const struct scan_report *s, bool sampled, char *ret, size_t size)
{
	char count[FORMAT_SIZE], all[64] = "all that it allocated meanwhile is", open[64] = "";

	format_count(s->reachable.n, count);
	if (sampled)
		snprintf(all, sizeof(all), "all of %s recorded block%s", count,
			 s->reachable.n == 1 ? " is" : "s are");
	format_count(s->open.n, count);
	if (s->open.n)
		snprintf(open, sizeof(open), "; open: %s block%s, new or changing", count,
			 plural(s->open.n));
	snprintf(ret, size, "nothing: %s still pointed to%s", all, open);
}

static void put_scan(FILE *f, const struct output_options *o, const struct triage_report *t,
		     bool sampled)
{
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE], text[256];
	struct scan_count lost;

	if (!t->scan) {
		snprintf(text, sizeof(text), "not known: %s",
			 t->scan_missing ? t->scan_missing : "the scan comes at the end");
		put_row(f, o, "unreachable", text);
		return;
	}
	lost = unreachable(t->scan);
	format_bytes(lost.bytes, bytes);
	format_count(lost.n, count);
	if (!lost.n)
		all_reachable_text(t->scan, sampled, text, sizeof(text));
	else
		snprintf(text, sizeof(text),
			 "%s in %s %sblock%s: nothing in the program points to them any more",
			 bytes, count, sampled ? "recorded " : "", plural(lost.n));
	put_row(f, o, "unreachable", text);
}

static void put_traced(FILE *f, const struct output_options *o, const struct triage_report *t,
		       const struct process_report *p)
{
	char bytes[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE], text[2 * TEXT_AMOUNT_SIZE + 64];
	bool pages = t->session->mode == REPORT_SAMPLED_PAGES;

	text_amount_bytes(is_sampled(t, p), p->outstanding_bytes, p->interval_bytes, bytes);
	text_amount_count(is_sampled(t, p), p->outstanding_allocations, p->interval_allocations,
			  count);
	snprintf(text, sizeof(text), "%s in %s %s%s since the triage began", bytes, count,
		 pages ? "page" : "allocation", plural(p->outstanding_allocations));
	put_row(f, o, pages ? "touched" : "outstanding", text);
	if (p->governed)
		put_row(f, o, "governor", p->governed);
}

/* What is not in the figures: as much as fits, the rest is in the evidence. */
static void put_not_seen(FILE *f, const struct output_options *o, const struct process_report *p)
{
	char age[FORMAT_SIZE], text[96];

	if (p->seen_from_seconds > 0) {
		format_seconds(p->seen_from_seconds, age);
		snprintf(text, sizeof(text), "what it allocated in the %s before the trace began",
			 age);
		put_row(f, o, "not seen", text);
	}
	for (size_t i = 0; i < p->n_notes; i++) {
		if (i == NOTES_SHOWN && !o->verbose) {
			fprintf(f, "  %-*s%zu more notes, in the evidence\n", VALUE_COLUMN - 2, "",
				p->n_notes - i);
			break;
		}
		put_row(f, o, "not seen", p->notes[i]);
	}
}

static void put_lost(FILE *f, const struct output_options *o, const struct triage_report *t,
		     const struct process_report *p)
{
	text_put_losses(f, o, "  ", p->losses, p->n_losses);
	text_put_losses(f, o, "  ", t->report->losses, t->report->n_losses);
	if (t->final && !p->n_losses && !t->report->n_losses)
		put_row(f, o, "lost", "nothing");
}

static const struct scan_leak *leak_of(const struct triage_report *t, uint32_t site)
{
	for (size_t i = 0; t->scan && i < t->scan->n_leaks; i++)
		if (t->scan->leaks[i].site == site)
			return &t->scan->leaks[i];
	return NULL;
}

/* Memory that the trace did not see come says no more than that. */
static void put_kept_by(FILE *f, const struct scan_root *root)
{
	fprintf(f, "%sone of its blocks is kept by ", indent);
	if (!strcmp(root->kind, "heap") || (!strcmp(root->kind, "mapping") && !root->module))
		fputs("memory that it had before the trace began", f);
	else
		scan_root_put(f, root);
	fputs("\n", f);
}

static void put_unreachable(FILE *f, const struct scan_leak *leak)
{
	const struct scan_count lost = {leak->direct.n + leak->cycle.n + leak->indirect.n,
					leak->direct.bytes + leak->cycle.bytes +
						leak->indirect.bytes};
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE];

	format_bytes(lost.bytes, bytes);
	format_count(lost.n, count);
	fprintf(f, "%s%s in %s block%s unreachable\n", indent, bytes, count, plural(lost.n));
}

/* brief: its first part only; the rate is said already. */
static void put_evidence(FILE *f, const struct output_options *o, const char *evidence, bool brief)
{
	_cleanup_free_ char *text = evidence ? strdup(evidence) : NULL;

	if (!text)
		return;
	if (brief)
		text[strstr(text, "; ") ? (size_t)(strstr(text, "; ") - text) : strlen(text)] =
			'\0';
	fputs(indent, f);
	text_put_wrapped(f, text, SITE_COLUMN, SITE_COLUMN, o->width ? o->width : SITE_WIDTH);
	fputs("\n", f);
}

/* The frames that tell whose code it is; the evidence has them all. */
static void put_folded(FILE *f, const struct output_options *o, const struct site *s,
		       const char *exe, size_t most)
{
	struct text_fold fold;

	text_fold(s->frames, s->n_frames, exe, most, &fold);
	for (size_t i = 0; i < fold.n; i++) {
		fputs(indent, f);
		frame_put(f, &s->frames[fold.frames[i]], false,
			  o->width > SITE_COLUMN ? o->width - SITE_COLUMN : o->width);
		fputs("\n", f);
	}
	fputs(indent, f);
	if (fold.n < s->n_frames)
		fprintf(f, "... %zu more; ", s->n_frames - fold.n);
	fprintf(f, "stack %016" PRIx64, s->fingerprint);
	text_put_named(f, ", which ends early: ", s->truncated);
	fputs("\n", f);
}

static void put_site(FILE *f, const struct output_options *o, const struct triage_report *t,
		     size_t rank)
{
	const struct process_report *p = &t->report->processes[t->process];
	const struct site *s = &t->report->sites[t->top[rank]];
	const struct scan_leak *leak = leak_of(t, t->top[rank]);
	bool sampled = is_sampled(t, p);
	char bytes[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE];

	text_amount_bytes(sampled, s->outstanding_bytes, s->interval_bytes, bytes);
	text_amount_count(sampled, s->outstanding_allocations, s->interval_allocations, count);
	fprintf(f, "    %s%s%s in %s %s%s", text_paint(o, TEXT_BOLD), bytes,
		text_paint(o, TEXT_PLAIN), count, text_kind_noun(s->kind),
		plural(s->outstanding_allocations));
	text_put_growth(f, ", ", s->growth_bytes_per_second);
	if (s->verdict && strcmp(s->verdict, "unknown"))
		text_put_named(f, ": ", s->verdict);
	fputs("\n", f);
	if (leak)
		put_unreachable(f, leak);
	if (!rank && t->kept_by)
		put_kept_by(f, t->kept_by);
	if (t->final)
		put_evidence(f, o, s->evidence, rank && !o->verbose);
	if (o->verbose)
		text_put_survival(f, indent, s);
	if (o->verbose) {
		text_put_frames(f, o, s->frames, s->n_frames, s->truncated);
		fprintf(f, "%sstack %016" PRIx64 "\n", indent, s->fingerprint);
	} else {
		put_folded(f, o, s, p->exe,
			   !t->final ? FIRST_FRAMES
			   : rank    ? OTHER_FRAMES
				     : FOLD_MOST);
	}
}

static void put_sites(FILE *f, const struct output_options *o, const struct triage_report *t)
{
	if (!t->n_top) {
		fputs("\n  nothing that it allocated meanwhile is outstanding\n", f);
		return;
	}
	fprintf(f, "\n  %zu of %zu stack%s, to look at first:\n", t->n_top, t->n_sites,
		plural(t->n_sites));
	for (size_t i = 0; i < t->n_top; i++)
		put_site(f, o, t, i);
}

static void put_memory(FILE *f, const struct output_options *o, const struct triage_report *t,
		       const struct process_report *p)
{
	char bytes[FORMAT_SIZE];

	if (!p->memory)
		return;
	format_bytes(p->memory->resident_bytes, bytes);
	fprintf(f, "\n  resident     %s, made of\n", bytes);
	if (o->verbose)
		text_put_memory(f, p->memory, is_sampled(t, p));
	else
		text_put_memory_short(f, p->memory, is_sampled(t, p));
}

static void put_evidence_path(FILE *f, const struct triage_report *t)
{
	text_put_named(f, "\n  evidence     ", t->evidence_path);
	if (t->evidence_path)
		fputs("/report.txt, ...\n", f);
	if (!t->final)
		fputs("\n", f);
}

int triage_text(FILE *f, const struct output_options *o, bool utf8, const struct triage_report *t)
{
	const struct process_report *p = &t->report->processes[t->process];

	put_heading(f, o, t, p);
	put_verdict(f, o, t);
	put_size(f, o, utf8, t, p);
	if (t->final) {
		put_cgroup(f, o, t);
		put_scan(f, o, t, is_sampled(t, p));
	}
	put_traced(f, o, t, p);
	put_lost(f, o, t, p);
	if (t->final)
		put_not_seen(f, o, p);
	put_sites(f, o, t);
	if (t->final)
		put_memory(f, o, t, p);
	put_evidence_path(f, t);
	return stream_flush(f);
}
