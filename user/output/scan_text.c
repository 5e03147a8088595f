// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "output/escape.h"
#include "output/losses.h"
#include "output/scan.h"
#include "output/stream.h"
#include "output/text_process.h"
#include "output/text_site.h"

static const char indent[] = "        "; /* of what belongs to a leak */

/* "1.2 MiB in 1,234 blocks" */
static void put_count(FILE *f, const struct scan_count *c)
{
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE];

	format_bytes(c->bytes, bytes);
	format_count(c->n, count);
	fprintf(f, "%s in %s block%s", bytes, count, plural(c->n));
}

static void put_line(FILE *f, const char *label, const struct scan_count *c, const char *what)
{
	fprintf(f, "  %-12s ", label);
	put_count(f, c);
	fprintf(f, "%s%s\n", *what ? ", " : "", what);
}

static struct scan_count sum(struct scan_count a, struct scan_count b)
{
	return (struct scan_count){a.n + b.n, a.bytes + b.bytes};
}

static void put_heading(FILE *f, const struct output_options *o, const struct scan_report *s)
{
	const struct process_report *p = &s->report->processes[s->process];
	char time[CLOCK_RFC3339_SIZE], elapsed[FORMAT_SIZE];

	clock_format_rfc3339(s->report->time_ns, time);
	format_seconds(s->report->elapsed_seconds, elapsed);
	fprintf(f, "[%s] scan, %s after the start\n\n%sprocess %u", time, elapsed,
		text_paint(o, TEXT_BOLD), p->pid);
	if (p->comm) {
		fputs(" ", f);
		escape_put(f, p->comm, 0);
	}
	fputs(text_paint(o, TEXT_PLAIN), f);
	if (p->exe) {
		fputs(" (", f);
		escape_put(f, p->exe, 0);
		fputs(")", f);
	}
	if (p->ended)
		text_put_ending(f, p);
	fputs("\n", f);
}

static void put_how(FILE *f, const struct scan_report *s)
{
	char bytes[FORMAT_SIZE], time[FORMAT_SIZE], stopped[FORMAT_SIZE];

	format_bytes(s->pass_bytes, bytes);
	format_seconds(s->pass_seconds, time);
	format_seconds(s->stopped_seconds, stopped);
	fprintf(f, "  scanned      %s in %s, %u pass%s", bytes, time, s->n_passes,
		s->n_passes == 1 ? "" : "es");
	if (s->stopped_seconds > 0)
		fprintf(f, "; the process was stopped for %s\n", stopped);
	else
		fputs("; the process ran on\n", f);
	if (s->n_running && s->stopped_seconds <= 0)
		fprintf(f, "  not exact    registers of %zu of %zu threads, which were running\n",
			s->n_running, s->n_threads);
	if (s->n_unsettled) {
		char count[FORMAT_SIZE];

		format_count(s->n_unsettled, count);
		fprintf(f,
			"  not sure     pointers move fast: the last pass met %s block%s again that those "
			"before had missed\n",
			count, plural(s->n_unsettled));
	}
	if (!s->interior)
		fputs("  not counted  pointers into the middle of blocks\n", f);
}

/* Blocks that malloc's heap has from before the trace. */
static void put_before(FILE *f, const struct output_options *o, const struct scan_report *s)
{
	char bytes[FORMAT_SIZE];

	if (!s->heap_walk)
		return;
	if (!s->n_arenas) {
		fputs("  not judged   what it allocated before: it has no heap of glibc's that can be read\n",
		      f);
		return;
	}
	fputs("  before       ", f);
	put_count(f, &s->before);
	fputs(" from before the trace", f);
	if (s->before_unreachable.n) {
		fprintf(f, ", of them %s", text_paint(o, TEXT_RED));
		put_count(f, &s->before_unreachable);
		fprintf(f, " unreachable%s", text_paint(o, TEXT_PLAIN));
	}
	fputs("\n", f);
	format_bytes(s->unparsed_bytes, bytes);
	if (s->unparsed_bytes)
		fprintf(f,
			"  not judged   %s of malloc's heap, which changed too fast or is damaged\n",
			bytes);
}

static void put_summary(FILE *f, const struct output_options *o, const struct scan_report *s)
{
	const struct process_report *p = &s->report->processes[s->process];
	struct scan_count leaked = sum(sum(s->direct, s->cycle), s->indirect);
	char age[FORMAT_SIZE];

	fprintf(f, "  %sunreachable%s  ", text_paint(o, leaked.n ? TEXT_RED : TEXT_BOLD),
		text_paint(o, TEXT_PLAIN));
	put_count(f, &leaked);
	fputs(s->heap_walk ? " of those traced\n" : "\n", f);
	if (s->direct.n)
		put_line(f, "  direct", &s->direct, "which nothing points to");
	if (s->cycle.n)
		put_line(f, "  cycles", &s->cycle, "one of each cycle that nothing else points to");
	if (s->indirect.n)
		put_line(f, "  indirect", &s->indirect, "which only those lead to");
	if (s->suppressed.n)
		put_line(f, "suppressed", &s->suppressed, "unreachable, too, by --suppressions");
	put_line(f, "reachable", &s->reachable, "");
	if (s->open.n)
		put_line(f, "open", &s->open, "new, or changing while the scan went on");
	put_before(f, o, s);
	put_how(f, s);
	if (p->seen_from_seconds > 0 && !s->heap_walk) {
		format_seconds(p->seen_from_seconds, age);
		fprintf(f, "  not judged   what it allocated in the %s before the trace began\n",
			age);
	}
}

static void put_leak(FILE *f, const struct output_options *o, const struct scan_report *s,
		     const struct scan_leak *leak)
{
	const struct site *site = &s->report->sites[leak->site];
	struct scan_count roots = sum(leak->direct, leak->cycle);

	fprintf(f, "    %s", text_paint(o, TEXT_BOLD));
	put_count(f, roots.n ? &roots : &leak->indirect);
	fputs(text_paint(o, TEXT_PLAIN), f);
	if (leak->cycle.n)
		fputs(leak->direct.n ? ", some of them in cycles" : ", in a cycle", f);
	if (!roots.n)
		fputs(", held by others", f);
	if (leak->held.n) {
		fputs(", holding ", f);
		put_count(f, &leak->held);
		fputs(" more", f);
	}
	if (roots.n && leak->indirect.n) {
		fputs("; and ", f);
		put_count(f, &leak->indirect);
		fputs(" that others hold", f);
	}
	fprintf(f, "\n%sstack %016" PRIx64 ", such as 0x%" PRIx64 "\n", indent, site->fingerprint,
		leak->example);
	text_put_frames(f, o, site->frames, site->n_frames, site->truncated);
}

static void put_leaks(FILE *f, const struct output_options *o, const struct scan_report *s)
{
	size_t shown = o->top && o->top < s->n_leaks ? o->top : s->n_leaks;
	struct scan_count rest = {0};

	if (!s->n_leaks) {
		fputs(s->n_walked ? "" : "  no unreachable blocks\n", f);
		return;
	}
	fprintf(f, "  Top %zu of %zu stack%s with unreachable blocks:\n", shown, s->n_leaks,
		plural(s->n_leaks));
	for (size_t i = 0; i < s->n_leaks; i++) {
		const struct scan_leak *leak = &s->leaks[i];

		if (i < shown)
			put_leak(f, o, s, leak);
		else
			rest = sum(rest, sum(sum(leak->direct, leak->cycle), leak->indirect));
	}
	if (rest.n) {
		fputs("    and ", f);
		put_count(f, &rest);
		fprintf(f, " from %zu other stack%s\n", s->n_leaks - shown,
			plural(s->n_leaks - shown));
	}
}

static void put_walked(FILE *f, const struct output_options *o, const struct scan_report *s)
{
	size_t shown = o->top && o->top < s->n_walked ? o->top : s->n_walked;
	char size[FORMAT_SIZE];

	if (!s->n_walked)
		return;
	fprintf(f, "  Top %zu of %zu size%s of unreachable blocks from before the trace:\n", shown,
		s->n_walked, plural(s->n_walked));
	for (size_t i = 0; i < shown; i++) {
		const struct scan_walked *w = &s->walked[i];
		struct scan_count roots = sum(w->direct, w->cycle);

		fprintf(f, "    %s", text_paint(o, TEXT_BOLD));
		put_count(f, roots.n ? &roots : &w->indirect);
		fputs(text_paint(o, TEXT_PLAIN), f);
		format_bytes(w->size_bytes, size);
		fprintf(f, " of %s%s, such as 0x%" PRIx64, size, roots.n ? "" : ", held by others",
			w->example);
		if (w->held.n) {
			fputs(", holding ", f);
			put_count(f, &w->held);
			fputs(" more", f);
		}
		fputs("\n", f);
	}
}

int scan_text_report(FILE *f, const struct output_options *o, const struct scan_report *s)
{
	put_heading(f, o, s);
	put_summary(f, o, s);
	if (!o->combined_only)
		put_leaks(f, o, s);
	if (!o->combined_only)
		put_walked(f, o, s);
	fputs("\n", f);
	return stream_result(f);
}

/* "; 1.2 KiB in 3 blocks WHAT" */
static void put_part(FILE *f, const struct scan_count *c, const char *what)
{
	if (!c->n)
		return;
	fputs("; ", f);
	put_count(f, c);
	fprintf(f, " %s", what);
}

static void put_command(FILE *f, const struct check_sums *c)
{
	int status = c->command_status;

	if (!c->command_ended)
		fputs("  the command still runs\n", f);
	else if (WIFSIGNALED(status))
		fprintf(f, "  the command was ended by signal %d (%s)\n", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		fprintf(f, "  the command ended with exit code %d\n", WEXITSTATUS(status));
}

int check_text(FILE *f, const struct output_options *o, const struct check_sums *c)
{
	struct scan_count leaked = sum(c->direct, c->indirect);
	char checked[FORMAT_SIZE], leaking[FORMAT_SIZE], unchecked[FORMAT_SIZE];

	format_count(c->n_checked, checked);
	format_count(c->n_leaking, leaking);
	format_count(c->n_unchecked, unchecked);
	fprintf(f, "check: ");
	if (leaked.n) {
		fprintf(f, "%s", text_paint(o, TEXT_RED));
		put_count(f, &leaked);
		fprintf(f, " unreachable%s, in %s of %s process%s", text_paint(o, TEXT_PLAIN),
			leaking, checked, c->n_checked == 1 ? "" : "es");
	} else {
		fprintf(f, "nothing unreachable in %s process%s", checked,
			c->n_checked == 1 ? "" : "es");
	}
	put_part(f, &c->suppressed, "suppressed");
	fputs("\n", f);
	if (c->n_unchecked)
		fprintf(f,
			"  not checked  %s process%s: still running, or its end could not be looked at\n",
			unchecked, c->n_unchecked == 1 ? "" : "es");
	put_command(f, c);
	fputs("\n", f);
	return stream_result(f);
}
