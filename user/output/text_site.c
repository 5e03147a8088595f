// SPDX-License-Identifier: BSD-2-Clause
#include "output/text_site.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "output/escape.h"

static const char indent[] = "        "; /* of what belongs to a site */

const char *text_paint(const struct output_options *o, enum text_color c)
{
	static const char *const sequences[] = {
		[TEXT_PLAIN] = "\033[0m",
		[TEXT_BOLD] = "\033[1m",
		[TEXT_RED] = "\033[1;31m",
	};

	return o->color ? sequences[c] : "";
}

void text_put_named(FILE *f, const char *label, const char *text)
{
	if (!text)
		return;
	fputs(label, f);
	escape_put(f, text, 0);
}

static void join_amount(bool sampled, const char *value, const char *interval,
			char out[TEXT_AMOUNT_SIZE])
{
	snprintf(out, TEXT_AMOUNT_SIZE, "%s%s%s%s", sampled ? "~" : "", value,
		 interval ? " +-" : "", interval ? interval : "");
}

void text_amount_bytes(bool sampled, uint64_t bytes, uint64_t interval, char out[TEXT_AMOUNT_SIZE])
{
	char value[FORMAT_SIZE], half[FORMAT_SIZE];

	format_bytes(bytes, value);
	format_bytes(interval, half);
	join_amount(sampled, value, sampled && interval ? half : NULL, out);
}

void text_amount_count(bool sampled, uint64_t count, uint64_t interval, char out[TEXT_AMOUNT_SIZE])
{
	char value[FORMAT_SIZE], half[FORMAT_SIZE];

	format_count(count, value);
	format_count(interval, half);
	join_amount(sampled, value, sampled && interval ? half : NULL, out);
}

void text_put_since_mark(FILE *f, bool sampled, const char *noun, const struct since_mark *s)
{
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE];

	format_bytes(fabs((double)s->outstanding_bytes), bytes);
	format_count(s->outstanding_allocations < 0 ? -(uint64_t)s->outstanding_allocations
						    : (uint64_t)s->outstanding_allocations,
		     count);
	fprintf(f, "%s%c%s in %c%s %ss", sampled ? "~" : "", s->outstanding_bytes < 0 ? '-' : '+',
		bytes, s->outstanding_allocations < 0 ? '-' : '+', count, noun);
}

/* How a site changed since a mark. */
static void put_since_mark(FILE *f, bool sampled, const struct mark *mark, const struct site *s)
{
	char count[FORMAT_SIZE];

	if (!mark)
		return;
	fprintf(f, "%ssince %s: ", indent, mark->name);
	text_put_since_mark(f, sampled, text_kind_noun(s->kind), &s->since_mark);
	format_count(s->since_mark.allocations, count);
	fprintf(f, ", of %s%s made\n", sampled ? "~" : "", count);
}

void text_put_growth(FILE *f, const char *prefix, double bytes_per_second)
{
	char rate[FORMAT_SIZE];

	if (!isfinite(bytes_per_second))
		return;
	format_bytes(fabs(bytes_per_second), rate);
	if (fabs(bytes_per_second) < 1)
		fprintf(f, "%snot growing", prefix);
	else
		fprintf(f, "%s%s %s/s", prefix, bytes_per_second > 0 ? "growing" : "shrinking",
			rate);
}

const char *text_kind_noun(enum site_kind kind)
{
	static const char *const nouns[] = {
		[SITE_MALLOC] = "allocation",	     [SITE_MMAP] = "mapping",
		[SITE_BRK] = "heap extension",	     [SITE_FAULT] = "touched page",
		[SITE_KERNEL] = "kernel allocation",
	};

	return nouns[kind];
}

/* Whether a site is part of its process's totals. */
static bool is_counted(enum report_mode mode, const struct site *s)
{
	return mode != REPORT_SAMPLED_PAGES || s->kind == SITE_FAULT;
}

static bool is_outstanding(const struct site *s)
{
	return s->outstanding_bytes || s->outstanding_allocations;
}

static bool is_listed(const struct site *s)
{
	return is_outstanding(s) && !s->suppressed;
}

/* Of mappings all are seen. */
static bool site_is_sampled(enum report_mode mode, const struct site *s)
{
	return mode != REPORT_EXACT && is_counted(mode, s);
}

void text_put_survival(FILE *f, const char *prefix, const struct site *s)
{
	static const char *const ages[SITE_AGES] = {"1 s", "10 s", "1 min", "10 min"};
	bool any = false;

	for (size_t i = 0; i < SITE_AGES; i++) {
		double percent = 100 * s->survival[i];

		if (isnan(percent))
			continue;
		if (!any)
			fprintf(f, "%sstill there of what it allocated longer ago than ", prefix);
		fprintf(f, "%s%s: %.*f%%", any ? ", " : "", ages[i], percent > 0 && percent < 10,
			percent);
		any = true;
	}
	fputs(any ? "\n" : "", f);
}

void text_put_evidence(FILE *f, const char *prefix, const char *evidence)
{
	char part[512];

	while (evidence && *evidence) {
		const char *end = strstr(evidence, "; ");
		size_t n = end ? (size_t)(end - evidence) + 1 : strlen(evidence);

		snprintf(part, sizeof(part), "%.*s", (int)n, evidence);
		fputs(prefix, f);
		escape_put(f, part, 0);
		fputs("\n", f);
		evidence += end ? n + 1 : n;
	}
}

void text_put_frames(FILE *f, const struct output_options *o, const struct frame *frames, size_t n,
		     const char *truncated)
{
	for (size_t i = 0; i < n; i++) {
		fputs(indent, f);
		frame_put(f, &frames[i], o->verbose,
			  o->width > strlen(indent) ? o->width - strlen(indent) : o->width);
		fputs("\n", f);
	}
	if (!n && !truncated)
		fprintf(f, "%s[the stack is not known]\n", indent);
	if (truncated) {
		fprintf(f, n ? "%s[the stack ends early: " : "%s[the stack is not known: ", indent);
		escape_put(f, truncated, 0);
		fputs("]\n", f);
	}
}

static void put_site(FILE *f, const struct output_options *o, enum report_mode mode,
		     const struct text_sites *sites, const struct site *s, int bytes_width)
{
	const bool sampled = site_is_sampled(mode, s);
	uint64_t whole = o->by_count ? sites->process->outstanding_allocations
				     : sites->process->outstanding_bytes;
	uint64_t part = o->by_count ? s->outstanding_allocations : s->outstanding_bytes;
	char bytes[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE], oldest[FORMAT_SIZE],
		median[FORMAT_SIZE];

	text_amount_bytes(sampled, s->outstanding_bytes, s->interval_bytes, bytes);
	text_amount_count(sampled, s->outstanding_allocations, s->interval_allocations, count);
	fprintf(f, "    %s%*s%s in %s %s%s", text_paint(o, TEXT_BOLD), bytes_width, bytes,
		text_paint(o, TEXT_PLAIN), count, text_kind_noun(s->kind),
		plural(s->outstanding_allocations));
	if (whole && is_counted(mode, s))
		fprintf(f, ", %.1f%%", 100.0 * part / whole);
	text_put_growth(f, ", ", s->growth_bytes_per_second);
	if (s->verdict && strcmp(s->verdict, "unknown")) {
		fputs(": ", f);
		escape_put(f, s->verdict, 0);
	}
	/* A line of its own: together they would be wrapped on a terminal of 80 columns. */
	fprintf(f, "\n%sstack %016" PRIx64, indent, s->fingerprint);
	format_seconds(s->oldest_age_seconds, oldest);
	format_seconds(s->median_age_seconds, median);
	if (s->oldest_age_seconds >= 0)
		fprintf(f, ", oldest %s", oldest);
	if (s->median_age_seconds >= 0)
		fprintf(f, ", median %s", median);
	fputs("\n", f);
	put_since_mark(f, sampled, sites->mark, s);
	text_put_evidence(f, indent, s->evidence);
	if (o->verbose)
		text_put_survival(f, indent, s);
	text_put_frames(f, o, s->frames, s->n_frames, s->truncated);
}

/* What the list leaves out, so that the parts add up to the total: n sites among those from `from` on, suppressed ones or the others. */
static void put_rest(FILE *f, enum report_mode mode, const struct text_sites *sites, size_t from,
		     size_t n, bool suppressed)
{
	const bool sampled = mode != REPORT_EXACT;
	char amount[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE], rest[FORMAT_SIZE];
	uint64_t bytes = 0, allocations = 0;

	if (!n)
		return;
	for (size_t i = from; i < sites->n; i++) {
		const struct site *s = &sites->items[i];

		if (!is_counted(mode, s) || !s->suppressed == suppressed)
			continue;
		bytes += s->outstanding_bytes;
		allocations += s->outstanding_allocations;
	}
	text_amount_bytes(sampled, bytes, 0, amount);
	text_amount_count(sampled, allocations, 0, count);
	format_count(n, rest);
	fprintf(f, "    and %s in %s %s%s from %s %s stack%s\n", amount, count,
		mode == REPORT_SAMPLED_PAGES ? "touched page" : "allocation", plural(allocations),
		rest, suppressed ? "suppressed" : "other", plural(n));
}

void text_put_sites(FILE *f, const struct output_options *o, enum report_mode mode,
		    const struct text_sites *sites)
{
	size_t total = 0, shown = 0, n_suppressed = 0, i;
	char amount[TEXT_AMOUNT_SIZE];
	int width = 0;

	for (i = 0; i < sites->n; i++) {
		const struct site *s = &sites->items[i];

		n_suppressed += is_outstanding(s) && s->suppressed;
		if (!is_listed(s) || (total++ >= o->top && o->top))
			continue;
		shown++;
		text_amount_bytes(site_is_sampled(mode, s), s->outstanding_bytes, s->interval_bytes,
				  amount);
		width = strlen(amount) > (size_t)width ? (int)strlen(amount) : width;
	}
	if (!total)
		fprintf(f, "  no outstanding allocations%s\n",
			n_suppressed ? " but suppressed ones:" : "");
	else
		fprintf(f, "  Top %zu of %zu stack%s with outstanding allocations, by %s:\n", shown,
			total, plural(total), o->by_count ? "count" : "size");
	for (i = 0; i < sites->n && shown; i++) {
		if (!is_listed(&sites->items[i]))
			continue;
		put_site(f, o, mode, sites, &sites->items[i], width);
		shown--;
	}
	put_rest(f, mode, sites, i, o->top && total > o->top ? total - o->top : 0, false);
	put_rest(f, mode, sites, 0, n_suppressed, true);
}
