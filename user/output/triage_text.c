// SPDX-License-Identifier: BSD-2-Clause
/* For a person who was called out of bed: the verdict first, then why, then what to send to whom. */
#include "output/triage.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "model/memory.h"
#include "model/scan_report.h"
#include "output/escape.h"
#include "output/stream.h"
#include "output/text_process.h"
#include "output/text_site.h"
#include "output/watch.h"

#define CACHE_GROWTH (1 << 20) /* bytes; less is not worth a word */

static const char indent[] = "        "; /* of what belongs to a site */

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
	fputs(t->ended ? ": it has ended meanwhile\n" : "\n", f);
}

static void put_verdict(FILE *f, const struct output_options *o, const struct triage_report *t)
{
	bool is_bad = !strcmp(t->verdict, "leak") || !strcmp(t->verdict, "growing");

	fprintf(f, "  verdict      %s", text_paint(o, is_bad ? TEXT_RED : TEXT_BOLD));
	escape_put(f, t->verdict, 0);
	fputs(text_paint(o, TEXT_PLAIN), f);
	if (t->confidence > 0)
		fprintf(f, ", %.0f%% sure", 100 * t->confidence);
	text_put_named(f, ": ", t->evidence);
	fputs("\n", f);
}

static void put_size(FILE *f, bool utf8, const struct triage_report *t,
		     const struct process_report *p)
{
	const struct triage_memory *m = &t->memory;
	char bytes[FORMAT_SIZE], rate[FORMAT_SIZE], time[FORMAT_SIZE];

	format_bytes(p->rss_bytes, bytes);
	fprintf(f, "  memory       %s resident", bytes);
	if (isnan(m->growth_bytes_per_second)) {
		fputs(", too early to say how fast it grows", f);
	} else if (m->growth_bytes_per_second * 60 < 1) {
		fputs(", not growing", f);
	} else {
		format_rate(m->growth_bytes_per_second, rate);
		fprintf(f, ", growing by %s", rate);
		format_seconds(m->growing_since_seconds, time);
		if (m->growing_since_seconds > 0)
			fprintf(f, " for %s at least", time);
	}
	fputs("  ", f);
	watch_put_line(f, utf8, m->line, TRIAGE_LINE_VALUES);
	fputs("\n", f);
	if (!p->limit_bytes)
		return;
	format_bytes(p->limit_bytes, bytes);
	fprintf(f, "  limit        %s", bytes);
	format_seconds(m->seconds_to_limit, time);
	if (isfinite(m->seconds_to_limit))
		fprintf(f, ", reached in %s", time);
	text_put_named(f, ", of cgroup ", p->cgroup);
	fputs("\n", f);
}

/* Whoever looks at a cgroup's figure sees files, too. */
static void put_cgroup(FILE *f, const struct triage_report *t)
{
	const struct triage_memory *m = &t->memory;
	char bytes[FORMAT_SIZE], cache[FORMAT_SIZE], more[FORMAT_SIZE];

	if (!m->cgroup_bytes)
		return;
	format_bytes(m->cgroup_bytes, bytes);
	format_bytes(m->cgroup_cache_bytes, cache);
	fprintf(f, "  cgroup       %s charged, of it %s page cache", bytes, cache);
	if (m->cgroup_cache_bytes > m->cgroup_cache_before_bytes + CACHE_GROWTH) {
		format_bytes(m->cgroup_cache_bytes - m->cgroup_cache_before_bytes, more);
		fprintf(f, ", %s more than at first: files, which give way when room is needed",
			more);
	}
	fputs("\n", f);
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
static void put_all_reachable(FILE *f, const struct scan_report *s, bool sampled)
{
	char count[FORMAT_SIZE];

	fputs("  unreachable  nothing: the program still points to all ", f);
	format_count(s->reachable.n, count);
	if (sampled)
		fprintf(f, "of %s recorded block%s", count, plural(s->reachable.n));
	else
		fputs("that it allocated meanwhile", f);
	format_count(s->open.n, count);
	if (s->open.n)
		fprintf(f, "; open: %s block%s, new or changing", count, plural(s->open.n));
	fputs("\n", f);
}

static void put_scan(FILE *f, const struct triage_report *t, bool sampled)
{
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE];
	struct scan_count lost;

	if (!t->scan) {
		fprintf(f, "  unreachable  not known: ");
		escape_put(f, t->scan_missing ? t->scan_missing : "the scan comes at the end", 0);
		fputs("\n", f);
		return;
	}
	lost = unreachable(t->scan);
	format_bytes(lost.bytes, bytes);
	format_count(lost.n, count);
	if (!lost.n)
		put_all_reachable(f, t->scan, sampled);
	else
		fprintf(f,
			"  unreachable  %s in %s %sblock%s: nothing in the program points to them any more\n",
			bytes, count, sampled ? "recorded " : "", plural(lost.n));
}

static void put_traced(FILE *f, const struct triage_report *t, const struct process_report *p)
{
	char bytes[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE];
	bool pages = t->session->mode == REPORT_SAMPLED_PAGES;

	text_amount_bytes(is_sampled(t, p), p->outstanding_bytes, p->interval_bytes, bytes);
	text_amount_count(is_sampled(t, p), p->outstanding_allocations, p->interval_allocations,
			  count);
	fprintf(f, "  %s %s in %s %s%s since the triage began\n",
		pages ? "touched     " : "outstanding ", bytes, count,
		pages ? "page" : "allocation", plural(p->outstanding_allocations));
	text_put_named(f, "  governor     ", p->governed);
	if (p->governed)
		fputs("\n", f);
	text_put_not_seen(f, p);
}

static const struct scan_leak *leak_of(const struct triage_report *t, uint32_t site)
{
	for (size_t i = 0; t->scan && i < t->scan->n_leaks; i++)
		if (t->scan->leaks[i].site == site)
			return &t->scan->leaks[i];
	return NULL;
}

static void put_site(FILE *f, const struct output_options *o, const struct triage_report *t,
		     uint32_t index)
{
	const struct site *s = &t->report->sites[index];
	const struct scan_leak *leak = leak_of(t, index);
	bool sampled = is_sampled(t, &t->report->processes[t->process]);
	char bytes[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE];

	text_amount_bytes(sampled, s->outstanding_bytes, s->interval_bytes, bytes);
	text_amount_count(sampled, s->outstanding_allocations, s->interval_allocations, count);
	fprintf(f, "    %s%s%s in %s %s%s", text_paint(o, TEXT_BOLD), bytes,
		text_paint(o, TEXT_PLAIN), count, text_kind_noun(s->kind),
		plural(s->outstanding_allocations));
	text_put_growth(f, ", ", s->growth_bytes_per_second);
	if (s->verdict && strcmp(s->verdict, "unknown"))
		text_put_named(f, ": ", s->verdict);
	fprintf(f, "\n%sstack %016" PRIx64, indent, s->fingerprint);
	if (leak) {
		format_bytes(leak->direct.bytes + leak->cycle.bytes + leak->indirect.bytes, bytes);
		format_count(leak->direct.n + leak->cycle.n + leak->indirect.n, count);
		fprintf(f, ", %s in %s block%s unreachable", bytes, count,
			plural(leak->direct.n + leak->cycle.n + leak->indirect.n));
	}
	fputs("\n", f);
	text_put_evidence(f, indent, s->evidence);
	text_put_survival(f, indent, s);
	text_put_frames(f, o, s->frames, s->n_frames, s->truncated);
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
		put_site(f, o, t, t->top[i]);
}

int triage_text(FILE *f, const struct output_options *o, bool utf8, const struct triage_report *t)
{
	const struct process_report *p = &t->report->processes[t->process];
	char bytes[FORMAT_SIZE];

	put_heading(f, o, t, p);
	put_verdict(f, o, t);
	put_size(f, utf8, t, p);
	put_cgroup(f, t);
	put_scan(f, t, is_sampled(t, p));
	put_traced(f, t, p);
	text_put_losses(f, o, "  ", p->losses, p->n_losses);
	text_put_losses(f, o, "  ", t->report->losses, t->report->n_losses);
	put_sites(f, o, t);
	if (p->memory) {
		format_bytes(p->memory->resident_bytes, bytes);
		fprintf(f, "\n  resident     %s, made of\n", bytes);
		text_put_memory(f, p->memory, is_sampled(t, p));
	}
	text_put_named(f, "\n  evidence     ", t->evidence_path);
	fputs(t->evidence_path ? ": report.txt, capture.seep, stacks.folded, heap.pprof\n\n" : "\n",
	      f);
	return stream_flush(f);
}
