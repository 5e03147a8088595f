// SPDX-License-Identifier: BSD-2-Clause
#include "output/difference.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "output/escape.h"
#include "output/format.h"
#include "output/stream.h"
#include "output/text_site.h"

/* "+1.2 MiB", "-980 B". */
static void format_change(uint64_t before, uint64_t after, bool is_bytes, char out[FORMAT_SIZE])
{
	char value[FORMAT_SIZE];
	uint64_t size = after > before ? after - before : before - after;

	if (is_bytes)
		format_bytes(size, value);
	else
		format_count(size, value);
	snprintf(out, FORMAT_SIZE, "%c%.*s", after < before ? '-' : '+', FORMAT_SIZE - 2, value);
}

/* A budget samples processes of an exact trace, too. */
static bool is_estimate(enum report_mode mode, const struct held *h)
{
	return mode != REPORT_EXACT || h->interval_bytes || h->interval_allocations;
}

static void put_held(FILE *f, enum report_mode mode, const struct held *h)
{
	bool sampled = is_estimate(mode, h);
	char bytes[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE];

	text_amount_bytes(sampled, h->bytes, h->interval_bytes, bytes);
	text_amount_count(sampled, h->allocations, h->interval_allocations, count);
	fprintf(f, "%s in %s", bytes, count);
}

static void put_moment(FILE *f, const char *label, const struct difference_moment *m)
{
	char time[CLOCK_RFC3339_SIZE], elapsed[FORMAT_SIZE];

	clock_format_rfc3339(m->time_ns, time);
	format_seconds(m->elapsed_seconds, elapsed);
	fputs(label, f);
	escape_put(f, m->path, 0);
	text_put_named(f, ", mark ", m->mark);
	if (m->sequence && !m->mark)
		fprintf(f, ", report %" PRIu64, m->sequence);
	text_put_named(f, ": ", m->hostname);
	fprintf(f, ", %s, %s after the start\n        %zu process%s, ", time, elapsed,
		m->n_processes, m->n_processes == 1 ? "" : "es");
	put_held(f, m->mode, &m->held);
	fputs(" allocations\n", f);
}

/* What makes the two figures no measure of each other. */
static void put_warnings(FILE *f, const struct difference_report *r)
{
	const struct difference_moment *a = &r->before, *b = &r->after;

	if (a->min_age_seconds != b->min_age_seconds)
		fputs("They do not quite compare: only blocks of another age are in the one than in the other "
		      "(-o).\n",
		      f);
	if (a->min_size_bytes != b->min_size_bytes || a->max_size_bytes != b->max_size_bytes)
		fputs("They do not quite compare: only blocks of other sizes are in the one than in the other "
		      "(-z, -Z).\n",
		      f);
	if ((a->mode == REPORT_SAMPLED_PAGES) != (b->mode == REPORT_SAMPLED_PAGES))
		fputs("They do not compare: one has allocations, the other touched pages (--growth).\n",
		      f);
}

static void put_summary(FILE *f, const struct output_options *o, const struct difference_report *r)
{
	static const char *const words[] = {
		[DIFFERENCE_NEW] = "new",	 [DIFFERENCE_GREW] = "grew",
		[DIFFERENCE_SAME] = "as before", [DIFFERENCE_SHRANK] = "shrank",
		[DIFFERENCE_GONE] = "gone",
	};
	size_t counts[sizeof(words) / sizeof(*words)] = {0};
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE];
	const char *separator = ": ";

	for (size_t i = 0; i < r->n; i++)
		counts[r->items[i].change]++;
	format_change(r->before.held.bytes, r->after.held.bytes, true, bytes);
	format_change(r->before.held.allocations, r->after.held.allocations, false, count);
	fprintf(f, "\n%s%s%s in %s allocations, %zu stack%s", text_paint(o, TEXT_BOLD), bytes,
		text_paint(o, TEXT_PLAIN), count, r->n, plural(r->n));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!counts[i])
			continue;
		fprintf(f, "%s%zu %s", separator, counts[i], words[i]);
		separator = ", ";
	}
	fputs("\n", f);
}

static void put_item(FILE *f, const struct output_options *o, const struct difference_report *r,
		     const struct difference *d)
{
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE];

	format_change(d->before.bytes, d->after.bytes, true, bytes);
	format_change(d->before.allocations, d->after.allocations, false, count);
	fprintf(f, "    %s%s%s in %s %ss, ", text_paint(o, TEXT_BOLD), bytes,
		text_paint(o, TEXT_PLAIN), count, text_kind_noun(d->site.kind));
	escape_put(f, d->site.comm, 0);
	if (d->change == DIFFERENCE_NEW)
		fputs(": new", f);
	if (d->change == DIFFERENCE_GONE)
		fputs(": gone", f);
	if (d->within_error)
		fputs(": within the error of sampling", f);
	if ((d->change != DIFFERENCE_NEW && d->change != DIFFERENCE_GONE) ||
	    is_estimate(r->before.mode, &d->before) || is_estimate(r->after.mode, &d->after)) {
		fputs("\n        from ", f);
		put_held(f, r->before.mode, &d->before);
		fputs(" to ", f);
		put_held(f, r->after.mode, &d->after);
	}
	fprintf(f, "\n        stack %016" PRIx64 "%s\n", d->site.fingerprint,
		d->by_family ? ", by the names of its functions: the code is another" : "");
	text_put_frames(f, o, d->site.frames, d->site.n_frames, d->site.truncated);
}

static bool is_more(const struct difference *d)
{
	return d->change == DIFFERENCE_NEW || d->change == DIFFERENCE_GREW;
}

static bool is_less(const struct difference *d)
{
	return d->change == DIFFERENCE_GONE || d->change == DIFFERENCE_SHRANK;
}

/* step: 1 from the first on, -1 from the last on. */
static void put_list(FILE *f, const struct output_options *o, const struct difference_report *r,
		     bool (*is_listed)(const struct difference *d), int step, const char *heading)
{
	size_t n = 0, shown = 0;

	for (size_t i = 0; i < r->n; i++)
		n += is_listed(&r->items[i]);
	if (!n)
		return;
	fprintf(f, "\n  %s, by %s:\n", heading, o->by_count ? "count" : "size");
	for (size_t i = 0; i < r->n && (!o->top || shown < o->top); i++) {
		const struct difference *d = &r->items[step > 0 ? i : r->n - 1 - i];

		if (!is_listed(d))
			continue;
		put_item(f, o, r, d);
		shown++;
	}
	if (n > shown)
		fprintf(f, "    and %zu other stack%s\n", n - shown, plural(n - shown));
}

int difference_text(FILE *f, const struct output_options *o, const struct difference_report *r)
{
	put_moment(f, "before  ", &r->before);
	put_moment(f, "after   ", &r->after);
	put_warnings(f, r);
	put_summary(f, o, r);
	put_list(f, o, r, is_more, 1, "What grew");
	put_list(f, o, r, is_less, -1, "What shrank");
	return stream_flush(f);
}
