// SPDX-License-Identifier: BSD-2-Clause
/* Reports for people, who may be tired: the largest first, readable sizes, and below the figures what they leave out. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "model/memory.h"
#include "output/escape.h"
#include "output/format.h"
#include "output/losses.h"
#include "output/output.h"
#include "output/stream.h"
#include "output/text_process.h"
#include "output/text_error.h"
#include "output/text_site.h"
#include "output/truncated.h"

#define EXE_MIN_COLUMNS 20

static void put_time(FILE *f, uint64_t time_ns)
{
	char time[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(time_ns, time);
	fprintf(f, "[%s] ", time);
}

void text_put_losses(FILE *f, const struct output_options *o, const char *indent,
		     const struct loss *losses, size_t n)
{
	char count[FORMAT_SIZE];

	for (size_t i = 0; i < n; i++) {
		const char *sentence = loss_sentence(losses[i].cause);

		format_count(losses[i].count, count);
		fprintf(f, "%s%slost%s %s ", indent, text_paint(o, TEXT_RED),
			text_paint(o, TEXT_PLAIN), count);
		escape_put(f, losses[i].cause, 0);
		fprintf(f, "%s%s\n", sentence ? ": " : "", sentence ? sentence : "");
	}
}

static void put_filter(FILE *f, const struct session *s)
{
	char min[FORMAT_SIZE], max[FORMAT_SIZE];

	if (!s->min_size_bytes && !s->max_size_bytes)
		return;
	format_bytes(s->min_size_bytes, min);
	format_bytes(s->max_size_bytes, max);
	if (!s->max_size_bytes)
		fprintf(f, "Only allocations of at least %s.\n", min);
	else
		fprintf(f, "Only allocations of %s to %s.\n", min, max);
}

/* What stacks lack from the start. */
static void put_stack_kind(FILE *f, const struct session *s)
{
	for (size_t i = 0; i < s->n_capabilities; i++)
		if (!strcmp(s->capabilities[i], "stack:frame-pointers"))
			fputs("Stacks come by frame pointers: in code built without them, callers above "
			      "the first may be\nmissing or wrong.\n",
			      f);
		else if (!strcmp(s->capabilities[i], "stack:none"))
			fputs("Stacks are the caller of the allocation function, and no more.\n",
			      f);
}

static int text_session(FILE *f, const struct output_options *o, const struct session *s)
{
	char amount[FORMAT_SIZE];

	fputs(s->mode == REPORT_EXACT ? "Tracing" : "Sampling", f);
	for (size_t i = 0; i < s->n_targets; i++)
		text_put_named(f, i ? ", " : " ", s->targets[i]);
	text_put_named(f, " on ", s->hostname);
	text_put_named(f, ", Linux ", s->kernel);
	text_put_named(f, ", seep ", s->version);
	fputs("\n", f);
	if (s->mode == REPORT_SAMPLED_COUNT) {
		format_count(s->sample_interval, amount);
		fprintf(f, "One allocation in %s is sampled: ", amount);
	} else if (s->mode == REPORT_SAMPLED_BYTES) {
		format_bytes(s->sample_interval, amount);
		fprintf(f, "One sample is taken every %s on average: ", amount);
	} else if (s->mode == REPORT_SAMPLED_PAGES) {
		format_bytes(s->sample_interval, amount);
		fprintf(f, "Pages that are touched first, one in %s on average: ", amount);
	}
	if (s->mode != REPORT_EXACT)
		fputs("figures with ~ are estimates,\n+- is their 95% confidence interval.\n", f);
	put_filter(f, s);
	if (o->verbose)
		for (size_t i = 0; i < s->n_capabilities; i++)
			text_put_named(f, i ? ", " : "Found: ", s->capabilities[i]);
	if (o->verbose && s->n_capabilities)
		fputs("\n", f);
	put_stack_kind(f, s);
	fputs("\n", f);
	return stream_flush(f);
}

void text_put_ending(FILE *f, const struct process_report *p)
{
	int status = p->exit_status, signal = WTERMSIG(status);

	if (!strcmp(p->ended, "exec")) {
		fputs(", replaced by exec", f);
	} else if (!strcmp(p->ended, "released")) {
		fputs(", no longer traced", f);
	} else if (strcmp(p->ended, "exit")) {
		text_put_named(f, ", ended: ", p->ended);
	} else if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(signal);

		fprintf(f, ", killed by signal %d%s%s%s", signal, name ? " SIG" : "",
			name ? name : "", p->oom_killed ? ": out of memory" : "");
	} else {
		fprintf(f, ", exited with code %d", WEXITSTATUS(status));
	}
}

/* What is left for the path in a heading of one line. */
static size_t exe_columns(const struct output_options *o)
{
	const size_t rest = strlen("process 4194304 fifteen_letters (), started 59 m 59 s ago");

	if (!o->width)
		return 0;
	return o->width > rest + EXE_MIN_COLUMNS ? o->width - rest : EXE_MIN_COLUMNS;
}

/* Captures of earlier versions have no age, and their clock may have been set back meanwhile. 0: unknown. */
static double age_of(const struct report *r, const struct process_report *p)
{
	if (p->age_seconds > 0)
		return p->age_seconds;
	return p->start_ns && p->start_ns <= r->time_ns
		       ? (r->time_ns - p->start_ns) / (double)NS_PER_SECOND
		       : 0;
}

static void put_heading(FILE *f, const struct output_options *o, const struct report *r,
			const struct process_report *p)
{
	double seconds = age_of(r, p);
	char age[FORMAT_SIZE];

	fprintf(f, "%sprocess %u", text_paint(o, TEXT_BOLD), p->pid);
	text_put_named(f, " ", p->comm);
	fputs(text_paint(o, TEXT_PLAIN), f);
	if (p->exe) {
		fputs(" (", f);
		escape_put(f, p->exe, exe_columns(o));
		fputs(")", f);
	}
	if (seconds > 0) {
		format_seconds(seconds, age);
		fprintf(f, ", started %s ago", age);
	}
	if (p->ended)
		text_put_ending(f, p);
	else if (p->oom_killed)
		fputs(", about to be killed: out of memory", f);
	fputs("\n", f);
	if (p->container || p->pod) {
		text_put_named(f, "  container    ",
			       p->container_name ? p->container_name
			       : p->container	 ? p->container
						 : "?");
		if (p->container_name)
			text_put_named(f, ", id ", p->container);
		text_put_named(f, ", pod ", p->pod);
		text_put_named(f, " in ", p->namespace_);
		if (p->namespace_pid)
			fprintf(f, ", pid %u there", p->namespace_pid);
		fputs("\n", f);
	} else if (o->verbose && p->cgroup) {
		text_put_named(f, "  cgroup       ", p->cgroup);
		fputs("\n", f);
	}
}

/* What a governor has recorded in part are estimates, too. */
static enum report_mode sites_mode(const struct session *s, const struct process_report *p)
{
	return p->estimated && s->mode == REPORT_EXACT ? REPORT_SAMPLED_BYTES : s->mode;
}

static void put_totals(FILE *f, const struct output_options *o, const struct session *s,
		       const struct process_report *p)
{
	const bool sampled = s->mode != REPORT_EXACT || p->estimated;
	const char *about = sampled ? "~" : "";
	const char *noun = s->mode == REPORT_SAMPLED_PAGES ? "touched page" : "allocation";
	char bytes[FORMAT_SIZE], count[FORMAT_SIZE];
	char outstanding[TEXT_AMOUNT_SIZE], allocations[TEXT_AMOUNT_SIZE];

	text_amount_bytes(sampled, p->outstanding_bytes, p->interval_bytes, outstanding);
	text_amount_count(sampled, p->outstanding_allocations, p->interval_allocations,
			  allocations);
	fprintf(f, "  outstanding  %s%s%s in %s %s%s", text_paint(o, TEXT_BOLD), outstanding,
		text_paint(o, TEXT_PLAIN), allocations, noun, plural(p->outstanding_allocations));
	if (s->min_age_seconds > 0) {
		format_seconds(s->min_age_seconds, bytes);
		fprintf(f, " at least %s old", bytes);
	}
	text_put_growth(f, ", ", p->growth_bytes_per_second);
	if (p->verdict && !p->evidence && strcmp(p->verdict, "unknown"))
		text_put_named(f, ": ", p->verdict);
	format_bytes(p->allocated_bytes, bytes);
	format_count(p->allocations, count);
	fprintf(f, "\n  allocated    %s%s in %s%s %s%s\n", about, bytes, about, count, noun,
		plural(p->allocations));
	format_bytes(p->freed_bytes, bytes);
	format_count(p->frees, count);
	fprintf(f, "  freed        %s%s in %s%s free%s", about, bytes, about, count,
		plural(p->frees));
	format_count(p->unknown_frees, count);
	if (p->unknown_frees)
		fprintf(f, "; %s more of blocks not seen allocated", count);
	format_count(p->inherited_frees, count);
	if (p->inherited_frees)
		fprintf(f, "; %s more of blocks inherited by fork", count);
	fputs("\n", f);
}

/* How much of it came since the mark, which its own report need not say. */
static void put_since_mark(FILE *f, const struct session *s, const struct report *r,
			   const struct process_report *p)
{
	const bool sampled = s->mode != REPORT_EXACT || p->estimated;
	char time[FORMAT_SIZE];

	if (!r->mark || report_is_mark(r))
		return;
	fputs("  since mark   ", f);
	text_put_since_mark(f, sampled,
			    s->mode == REPORT_SAMPLED_PAGES ? "touched page" : "allocation",
			    &p->since_mark);
	format_seconds(r->time_ns > r->mark->time_ns
			       ? (double)(r->time_ns - r->mark->time_ns) / NS_PER_SECOND
			       : 0,
		       time);
	fprintf(f, " in the %s since %s\n", time, r->mark->name);
}

/* A row of what the resident memory is made of; those of no bytes are left out. */
static void put_part(FILE *f, bool less, uint64_t bytes, uint64_t n_blocks, const char *what)
{
	char amount[FORMAT_SIZE + 1] = "-", count[FORMAT_SIZE];

	if (!bytes)
		return;
	format_bytes(bytes, amount + less);
	format_count(n_blocks, count);
	fprintf(f, "    %10s  %s", amount, what);
	if (n_blocks)
		fprintf(f, ", %s block%s", count, plural(n_blocks));
	fputs("\n", f);
}

/* What is in the row before. */
static void put_share(FILE *f, uint64_t bytes, const char *what, uint64_t n_threads)
{
	char amount[FORMAT_SIZE], count[FORMAT_SIZE];

	if (!bytes)
		return;
	format_bytes(bytes, amount);
	format_count(n_threads, count);
	fprintf(f, "                  %s of it %s", amount, what);
	if (n_threads)
		fprintf(f, ", of which there are %s", count);
	fputs("\n", f);
}

static void put_last_parts(FILE *f, const struct memory_account *m, bool sampled)
{
	char bytes[FORMAT_SIZE];

	put_part(f, false, m->file_bytes, 0, "files: code and data as on disk");
	put_part(f, false, m->shared_bytes, 0, "shared memory");
	format_bytes(m->elsewhere_bytes, bytes);
	if (m->elsewhere_bytes)
		fprintf(f, "  of these rows, %s %s, and outstanding, outside of glibc's heap\n",
			bytes, sampled ? "recorded as samples" : "recorded");
}

void text_put_memory(FILE *f, const struct memory_account *m, bool sampled)
{
	put_part(f, false, m->outstanding_bytes, m->outstanding_allocations,
		 sampled ? "recorded as samples, and outstanding" : "recorded, and outstanding");
	put_part(f, false, m->rounding_bytes, 0, "headers and padding of these");
	put_part(f, false, m->before_bytes, m->before_allocations,
		 sampled ? "in use, allocated before the trace or not sampled"
			 : "in use, allocated before the trace");
	put_part(f, false, m->cached_bytes, 0, "freed, cached for the next allocations");
	put_part(f, false, m->free_bytes, 0, "free in malloc's arenas");
	put_part(f, false, m->own_bytes, 0, "malloc's own");
	put_part(f, true, m->untouched_bytes, 0,
		 "of all these never written, given back or swapped out");
	put_part(f, false, m->stack_bytes, 0, "stack of the first thread");
	put_part(f, false, m->anonymous_bytes, 0,
		 "other anonymous memory: mappings, threads' stacks, written data of files");
	put_share(f, m->thread_stack_bytes, "stacks of threads", m->n_threads);
	put_share(f, m->executable_bytes, "code made at run time", 0);
	put_last_parts(f, m, sampled);
}

void text_put_memory_short(FILE *f, const struct memory_account *m, bool sampled)
{
	const uint64_t idle_bytes = m->cached_bytes + m->free_bytes + m->own_bytes;

	put_part(f, false, m->outstanding_bytes + m->rounding_bytes, m->outstanding_allocations,
		 sampled ? "recorded as samples, and outstanding"
			 : "recorded, outstanding, with headers and padding");
	put_part(f, false, m->before_bytes, m->before_allocations,
		 sampled ? "in use, allocated before the trace or not sampled"
			 : "in use, allocated before the trace");
	if (idle_bytes > m->untouched_bytes)
		put_part(f, false, idle_bytes - m->untouched_bytes, 0,
			 "freed, and kept by malloc for later");
	else
		put_part(f, true, m->untouched_bytes - idle_bytes, 0,
			 "of all these never written, given back or swapped out");
	put_part(f, false, m->stack_bytes + m->anonymous_bytes, 0,
		 "other anonymous memory: mappings, stacks, written data of files");
	if (m->thread_stack_bytes > m->anonymous_bytes / 4)
		put_share(f, m->thread_stack_bytes, "stacks of threads", m->n_threads);
	if (m->executable_bytes > m->anonymous_bytes / 4)
		put_share(f, m->executable_bytes, "code made at run time", 0);
	put_last_parts(f, m, sampled);
}

static void put_limit_hits(FILE *f, const struct process_report *p)
{
	char text[FORMAT_SIZE];

	if (!p->limit_hits)
		return;
	format_count(p->limit_hits, text);
	fprintf(f, "  at limit     its cgroup was at its memory limit %s time%s", text,
		plural(p->limit_hits));
	format_seconds(p->limit_hit_age_seconds, text);
	if (isfinite(p->limit_hit_age_seconds))
		fprintf(f, ", last %s ago", text);
	fputs("\n", f);
}

static void put_resident(FILE *f, const struct process_report *p, bool sampled)
{
	char bytes[FORMAT_SIZE], time[FORMAT_SIZE];

	if (p->rss_bytes) {
		format_bytes(p->rss_bytes, bytes);
		fprintf(f, "  resident     %s", bytes);
		format_bytes(p->limit_bytes, bytes);
		if (p->limit_bytes)
			fprintf(f, " of a limit of %s", bytes);
		format_seconds(p->seconds_to_limit, time);
		if (isfinite(p->seconds_to_limit))
			fprintf(f, ", reached in %s", time);
		fputs(p->memory ? ", made of\n" : "\n", f);
		if (p->memory)
			text_put_memory(f, p->memory, sampled);
	}
	put_limit_hits(f, p);
	if (isfinite(p->overhead_ratio))
		fprintf(f, "  overhead     %.1f%% of its time\n",
			fmin(p->overhead_ratio, 1e6) * 100);
	text_put_named(f, "  governor     ", p->governed);
	if (p->governed)
		fputs("\n", f);
}

static void put_verdict(FILE *f, const struct process_report *p)
{
	if (!p->evidence)
		return;
	text_put_named(f, "  verdict      ", p->verdict);
	text_put_named(f, ": ", p->evidence);
	fputs("\n", f);
}

void text_put_not_seen(FILE *f, const struct process_report *p)
{
	char age[FORMAT_SIZE];

	if (p->seen_from_seconds > 0) {
		format_seconds(p->seen_from_seconds, age);
		fprintf(f, "  not seen: what it allocated in the %s before the trace began\n", age);
	}
	for (size_t i = 0; i < p->n_notes; i++) {
		text_put_named(f, "  not seen: ", p->notes[i]);
		fputs("\n", f);
	}
}

/* Which share of the stacks ends early, and why: a line per reason. */
static void put_truncated(FILE *f, const struct process_report *p)
{
	for (size_t i = 0; i < p->n_truncated; i++) {
		const struct loss *t = &p->truncated[i];
		const char *sentence = truncated_sentence(t->cause);
		double share = p->n_stacks ? fmin((double)t->count / p->n_stacks, 1) : NAN;
		char count[FORMAT_SIZE];

		format_count(t->count, count);
		if (isnan(share))
			fprintf(f, "  cut stacks   %s, ", count);
		else if (share < 0.001)
			fputs("  cut stacks   under 0.1%, ", f);
		else
			fprintf(f, "  cut stacks   %.1f%%, ", share * 100);
		escape_put(f, sentence ? sentence : t->cause, 0);
		fputs("\n", f);
	}
}

static void put_process(FILE *f, const struct output_options *o, const struct session *s,
			const struct report *r, size_t index, const struct text_sites *sites)
{
	const struct process_report *p = &r->processes[index];

	put_heading(f, o, r, p);
	put_totals(f, o, s, p);
	put_since_mark(f, s, r, p);
	put_verdict(f, p);
	put_resident(f, p, s->mode != REPORT_EXACT || p->estimated);
	text_put_not_seen(f, p);
	text_put_losses(f, o, "  ", p->losses, p->n_losses);
	if (!o->combined_only) {
		put_truncated(f, p);
		text_put_sites(f, o, sites_mode(s, p), sites);
	}
	text_put_errors(f, o, r, index);
	fputs("\n", f);
}

/* All processes together, when there are several. */
static void put_sum(FILE *f, const struct report *r, bool sampled)
{
	char amount[TEXT_AMOUNT_SIZE], count[TEXT_AMOUNT_SIZE];
	uint64_t bytes = 0, allocations = 0;

	if (r->n_processes < 2)
		return;
	for (size_t i = 0; i < r->n_processes; i++) {
		bytes += r->processes[i].outstanding_bytes;
		allocations += r->processes[i].outstanding_allocations;
		sampled |= r->processes[i].estimated;
	}
	text_amount_bytes(sampled, bytes, 0, amount);
	text_amount_count(sampled, allocations, 0, count);
	fprintf(f, ", %zu processes, %s in %s allocation%s outstanding", r->n_processes, amount,
		count, plural(allocations));
}

/* What was left out, if anything. */
static void put_rest(FILE *f, const char *what, size_t n, uint64_t bytes, const char *how)
{
	char text[FORMAT_SIZE];

	if (!n)
		return;
	format_bytes(bytes, text);
	fprintf(f, "and %zu more processes%s, with %s outstanding together (%s shows all)\n\n", n,
		what, text, how);
}

static int text_report(FILE *f, const struct output_options *o, const struct session *s,
		       const struct report *r)
{
	uint64_t rest_bytes = 0, ended_rest_bytes = 0;
	char text[FORMAT_SIZE];
	size_t from = 0, n_living = 0, n_ended = 0;

	put_time(f, r->time_ns);
	format_seconds(r->elapsed_seconds, text);
	fprintf(f, "report %" PRIu64 ", %s after the start", r->sequence, text);
	put_sum(f, r, s->mode != REPORT_EXACT);
	if (report_is_mark(r))
		fprintf(f, ": mark %s", r->mark->name);
	fputs("\n\n", f);
	if (!r->n_processes)
		fputs("no process is traced now\n\n", f);
	for (size_t i = 0; i < r->n_processes; i++) {
		struct text_sites sites = {.mark = report_is_mark(r) ? NULL : r->mark,
					   .process = &r->processes[i],
					   .items = r->n_sites ? &r->sites[from] : NULL};

		while (from < r->n_sites && r->sites[from].process == i) {
			from++;
			sites.n++;
		}
		if (sites.process->ended ? o->top && n_ended++ >= o->top
					 : o->top_processes && n_living++ >= o->top_processes)
			*(sites.process->ended ? &ended_rest_bytes : &rest_bytes) +=
				sites.process->outstanding_bytes;
		else
			put_process(f, o, s, r, i, &sites);
	}
	if (n_living > o->top_processes)
		put_rest(f, "", n_living - o->top_processes, rest_bytes, "--top-processes 0");
	if (n_ended > o->top)
		put_rest(f, " that ended", n_ended - o->top, ended_rest_bytes, "-T 0");
	text_put_losses(f, o, "", r->losses, r->n_losses);
	if (r->map_bytes) {
		format_bytes(r->map_bytes, text);
		fprintf(f, "map memory: %s%s in the kernel\n", r->map_bytes_bound ? "at most " : "",
			text);
	}
	return stream_result(f);
}

static int text_blocks_begin(FILE *f)
{
	fputs("outstanding blocks:\n", f);
	return stream_result(f);
}

static int text_block(FILE *f, const struct output_options *o, const struct report *r,
		      const struct block *b)
{
	char age[FORMAT_SIZE];

	(void)o;
	format_seconds(b->age_seconds, age);
	fprintf(f, "  0x%" PRIx64 " of process %u: %" PRIu64 " bytes, ", b->address,
		r->processes[b->process].pid, b->size_bytes);
	if (b->walked)
		fputs("from before the trace", f);
	else
		fprintf(f, "age %s, stack %016" PRIx64, age, b->site);
	fprintf(f, "%s\n", b->reachable < 0 ? "" : b->reachable ? ", reachable" : ", unreachable");
	return stream_result(f);
}

static int text_report_end(FILE *f, const struct output_options *o, const struct session *s,
			   const struct report *r)
{
	(void)s;
	if (r->map_bytes || r->n_losses || o->blocks)
		fputs("\n", f);
	return stream_flush(f);
}

static int text_end(FILE *f, const struct output_options *o, const struct session *s,
		    const struct session_end *e)
{
	char duration[FORMAT_SIZE];

	(void)s;
	put_time(f, e->time_ns);
	format_seconds(e->duration_seconds, duration);
	fprintf(f, "end after %s", duration);
	text_put_named(f, ": ", e->why);
	fputs(e->n_losses ? "; in all:\n" : "; nothing was lost\n", f);
	text_put_losses(f, o, "  ", e->losses, e->n_losses);
	return stream_flush(f);
}

const struct output_format output_text = {
	.name = "text",
	.session = text_session,
	.report = text_report,
	.blocks_begin = text_blocks_begin,
	.block = text_block,
	.report_end = text_report_end,
	.end = text_end,
};
