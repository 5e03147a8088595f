// SPDX-License-Identifier: BSD-2-Clause
/* For someone who was woken up: suspects first, one line each where the terminal is wide enough, else two. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "output/escape.h"
#include "output/stream.h"
#include "output/text_site.h"
#include "output/watch.h"

#define WIDE_COLUMNS 128 /* from which on a row takes one line */
#define COMM_COLUMNS 15
#define CGROUP_COLUMNS 20
#define HOST_COLUMNS 12 /* at a terminal */
#define CELL_SIZE 48
/* What stands before the last column of a wide row. */
#define WIDE_TAKEN 105
#define LONG_ID 64 /* digits of a container's id */
#define SHORT_ID 12
/* What is left at 80 columns of a second line for where it runs. */
#define PLACE_COLUMNS 22

static bool is_wide(const struct watch_output_options *o)
{
	return !o->width || o->width >= WIDE_COLUMNS;
}

static const char *paint(const struct watch_output_options *o, enum text_color c)
{
	const struct output_options options = {.color = o->color};

	return text_paint(&options, c);
}

void watch_format_rate(double bytes_per_second, char out[WATCH_RATE_SIZE])
{
	char amount[FORMAT_SIZE];

	if (isnan(bytes_per_second)) {
		strcpy(out, "?");
		return;
	}
	format_bytes(bytes_per_second * 60, amount);
	snprintf(out, WATCH_RATE_SIZE, "%s%s/min", bytes_per_second * 60 >= 0.5 ? "+" : "", amount);
}

void watch_put_line(FILE *f, bool utf8, const double *values, size_t n)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char ascii[] = "_.,-=+*#";
	double least = INFINITY, most = -INFINITY, range;

	for (size_t i = 0; i < n; i++)
		if (!isnan(values[i])) {
			least = fmin(least, values[i]);
			most = fmax(most, values[i]);
		}
	range = fmax(most - least, fabs(most) / 100);
	for (size_t i = 0; i < n; i++) {
		int level;

		if (isnan(values[i])) {
			putc(' ', f);
			continue;
		}
		level = range > 0 ? fmin((values[i] - least) / range * 8, 7) : 0;
		if (utf8)
			fputs(blocks[level], f);
		else
			putc(ascii[level], f);
	}
}

/* "over 99 d" at most. */
static void format_limit(double seconds, char out[CELL_SIZE])
{
	char text[FORMAT_SIZE];

	format_seconds(seconds, text);
	if (!isfinite(seconds))
		strcpy(out, "-");
	else if (seconds >= 100 * 86400.0)
		strcpy(out, "over 99 d");
	else
		snprintf(out, CELL_SIZE, "%s", seconds < 1 ? "now" : text);
}

static void put_cell(FILE *f, const char *text, size_t columns)
{
	size_t taken = fmin(escape_columns(text), columns);

	escape_put(f, text, columns);
	fprintf(f, "%*s", (int)(columns - taken), "");
}

/* Of a container by its id: as many digits as its runtime shows. Returns false for other names. */
static bool short_id(const char *container, char out[SHORT_ID + 1])
{
	if (!container || strlen(container) != LONG_ID ||
	    strspn(container, "0123456789abcdefABCDEF") != LONG_ID)
		return false;
	snprintf(out, SHORT_ID + 1, "%.*s", SHORT_ID, container);
	return true;
}

/* The last part of the cgroup's path, "/" of the root, "?" when it is not known. */
static const char *cgroup_name(const struct watch_row *row)
{
	const char *slash = row->cgroup ? strrchr(row->cgroup, '/') : NULL;

	return !slash ? "?" : slash[1] ? slash + 1 : slash;
}

/* Where a process runs: the container, else its cgroup's name. Nothing when nobody set it apart. */
static void put_place(FILE *f, const char *prefix, const struct watch_row *row, size_t max_columns)
{
	static const char container[] = "container ";
	size_t n = strlen(container);
	char id[SHORT_ID + 1];

	if (row->container) {
		fprintf(f, "%s%s", prefix, container);
		escape_put(f, short_id(row->container, id) ? id : row->container,
			   max_columns > n ? max_columns - n : max_columns);
	} else if (row->cgroup && strcmp(row->cgroup, "/")) {
		fputs(prefix, f);
		escape_put(f, cgroup_name(row), max_columns);
	}
}

static void put_head(FILE *f, const struct watch_output_options *o, bool cgroups)
{
	if (cgroups)
		fprintf(f, "%-*s %5s", CGROUP_COLUMNS, "CGROUP", "PROCS");
	else
		fprintf(f, "%7s %-*s", "PID", COMM_COLUMNS, "COMMAND");
	fprintf(f, " %10s %15s %9s %4s %-*s", "MEMORY", "GROWTH", "LIMIT IN", "SURE",
		is_wide(o) ? 10 : 0, "VERDICT");
	if (is_wide(o))
		fprintf(f, " %-*s %-10s %s", WATCH_LINE_VALUES, "HISTORY", "SINCE",
			cgroups ? "PRESSURE" : "WHERE");
	fputs("\n", f);
}

static double row_bytes(const struct watch_row *row)
{
	return row->is_cgroup ? row->current_bytes
			      : (double)row->anon_bytes + row->shmem_bytes + row->swap_bytes;
}

static void put_pressure(FILE *f, const char *prefix, double ratio)
{
	fputs(prefix, f);
	if (isnan(ratio))
		fputs("?", f);
	else
		fprintf(f, "%.*f%%", ratio > 0 && ratio < 0.1 ? 1 : 0, ratio * 100);
}

static void put_since(double seconds, char out[FORMAT_SIZE])
{
	if (seconds > 0)
		format_seconds(seconds, out);
	else
		strcpy(out, "-");
}

/* The second half of a row: behind the first, or below it. */
static void put_more(FILE *f, const struct watch_output_options *o, const struct watch_row *row)
{
	char since[FORMAT_SIZE], limit[FORMAT_SIZE];

	put_since(row->growing_since_seconds, since);
	format_bytes(row->limit_bytes, limit);
	if (is_wide(o)) {
		fputs(" ", f);
		watch_put_line(f, o->utf8, row->line, WATCH_LINE_VALUES);
		fprintf(f, " %-10s ", since);
		if (row->is_cgroup)
			put_pressure(f, "", row->memory_pressure_ratio);
		else
			put_place(f, "", row, o->width ? o->width - WIDE_TAKEN : 0);
		return;
	}
	if (!row->suspect)
		return;
	fputs("\n    ", f);
	watch_put_line(f, o->utf8, row->line, WATCH_LINE_VALUES);
	fprintf(f, " since %s", since);
	if (row->limit_bytes)
		fprintf(f, ", limit %s", limit);
	if (!row->is_cgroup)
		put_place(f, ", ", row, PLACE_COLUMNS);
	else if (!isnan(row->memory_pressure_ratio))
		put_pressure(f, ", pressure ", row->memory_pressure_ratio);
}

/* With -v: where the memory is, how sure the rate is, and whole names. */
static void put_verbose(FILE *f, const struct watch_row *row)
{
	static const char *const names[] = {"anonymous", "shared", "swapped", "files",
					    "page tables"};
	const uint64_t bytes[] = {row->anon_bytes, row->shmem_bytes, row->swap_bytes,
				  row->file_bytes, row->page_table_bytes};
	char text[WATCH_RATE_SIZE], high[WATCH_RATE_SIZE];

	fputs("        ", f);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		format_bytes(bytes[i], text);
		fprintf(f, "%s%s %s", i ? ", " : "", names[i], text);
	}
	watch_format_rate(row->growth_low_bytes_per_second, text);
	watch_format_rate(row->growth_high_bytes_per_second, high);
	fprintf(f, "\n        growth between %s and %s\n", text, high);
	if (row->exe) {
		fputs("        executable ", f);
		escape_put(f, row->exe, 0);
		fputs("\n", f);
	}
	if (row->cgroup) {
		fputs("        cgroup ", f);
		escape_put(f, row->cgroup, 0);
		fputs("\n", f);
	}
}

static void put_row(FILE *f, const struct watch_output_options *o, const struct watch_row *row)
{
	char bytes[FORMAT_SIZE], rate[WATCH_RATE_SIZE], limit[CELL_SIZE], sure[8] = "?";
	char id[SHORT_ID + 1];

	format_bytes(row_bytes(row), bytes);
	watch_format_rate(row->growth_bytes_per_second, rate);
	format_limit(row->seconds_to_limit, limit);
	if (!isnan(row->growth_bytes_per_second) && row->confidence >= 0)
		snprintf(sure, sizeof(sure), "%d%%", (int)(fmin(row->confidence, 1) * 100));
	if (row->suspect)
		fputs(paint(o, TEXT_BOLD), f);
	if (row->is_cgroup) {
		put_cell(f, short_id(row->container, id) ? id : cgroup_name(row), CGROUP_COLUMNS);
		fprintf(f, " %5zu", row->n_processes);
	} else {
		fprintf(f, "%7u ", row->pid);
		put_cell(f, row->comm ? row->comm : "?", COMM_COLUMNS);
	}
	fprintf(f, " %10s %15s %9s %4s %-*s", bytes, rate, limit, sure, is_wide(o) ? 10 : 0,
		row->verdict ? row->verdict : "?");
	if (row->suspect)
		fputs(paint(o, TEXT_PLAIN), f);
	put_more(f, o, row);
	fputs("\n", f);
	if (o->verbose && row->suspect)
		put_verbose(f, row);
}

/* The suspects among the rows, or the others. */
static void put_table(FILE *f, const struct watch_output_options *o, const char *title,
		      const struct watch_row *rows, size_t n, bool suspects, size_t n_more)
{
	size_t from = 0, to = 0;

	while (to < n && rows[to].suspect)
		to++;
	if (!suspects) {
		from = to;
		to = n;
	}
	if (from == to)
		return;
	fprintf(f, "\n%s%s%s\n", paint(o, suspects ? TEXT_RED : TEXT_BOLD), title,
		paint(o, TEXT_PLAIN));
	put_head(f, o, rows[from].is_cgroup);
	for (size_t i = from; i < to; i++)
		put_row(f, o, &rows[i]);
	if (n_more)
		fprintf(f, "        and %zu more (-T 0 shows all)\n", n_more);
}

static void put_host(FILE *f, const struct watch_output_options *o, const struct watch_session *s,
		     const struct watch_report *r)
{
	const struct watch_host *h = &r->host;
	uint64_t used_bytes = h->memory_bytes - h->available_bytes;
	char used[FORMAT_SIZE], all[FORMAT_SIZE];

	fputs("host ", f);
	escape_put(f, s->hostname ? s->hostname : "?", o->width ? HOST_COLUMNS : 0);
	fprintf(f, ": %zu process%s", h->n_processes, h->n_processes == 1 ? "" : "es");
	if (h->memory_bytes && h->available_bytes <= h->memory_bytes) {
		format_bytes(h->memory_bytes, all);
		fprintf(f, ", memory %.0f%% of %s used", 100.0 * used_bytes / h->memory_bytes, all);
	}
	if (!isnan(h->memory_pressure_ratio))
		put_pressure(f, ", pressure ", h->memory_pressure_ratio);
	if (h->swap_bytes) {
		format_bytes(h->swap_bytes - h->swap_free_bytes, used);
		format_bytes(h->swap_bytes, all);
		fprintf(f, "\nswap %s of %s used", used, all);
	}
	fputs("\n", f);
}

/* When the host is full at this rate, whatever the cgroups' limits. */
static void put_together(FILE *f, const struct watch_report *r)
{
	double left = (double)r->host.available_bytes + r->host.swap_free_bytes;
	char rate[WATCH_RATE_SIZE], time[CELL_SIZE];

	if (!(r->suspects_bytes_per_second > 0))
		return;
	watch_format_rate(r->suspects_bytes_per_second, rate);
	format_limit(left / r->suspects_bytes_per_second, time);
	fprintf(f, "suspects together %s: the host's memory is full in %s\n", rate, time);
}

static void put_cost(FILE *f, const struct watch_report *r)
{
	const struct watch_cost *c = &r->cost;
	char passes[FORMAT_SIZE], missed[FORMAT_SIZE];

	format_count(c->n_passes, passes);
	format_count(c->n_missed, missed);
	fprintf(f, "cost: %s pass%s of %.2f ms CPU, %s missed; all of seep %.2f%% of a CPU\n",
		passes, c->n_passes == 1 ? "" : "es", c->pass_cpu_seconds * 1e3,
		c->n_missed ? missed : "none", c->cpu_ratio * 100);
}

static int text_report(FILE *f, const struct watch_output_options *o, const struct watch_session *s,
		       const struct watch_report *r)
{
	char time[CLOCK_RFC3339_SIZE], elapsed[FORMAT_SIZE];

	clock_format_rfc3339(r->time_ns, time);
	format_seconds(r->elapsed_seconds, elapsed);
	fprintf(f, "[%s] report %" PRIu64 ", after %s: %s", time, r->sequence, elapsed,
		paint(o, r->n_suspects ? TEXT_RED : TEXT_BOLD));
	if (r->n_suspects)
		fprintf(f, "%zu suspect%s", r->n_suspects, plural(r->n_suspects));
	else
		fputs("no suspects", f);
	fprintf(f, "%s", paint(o, TEXT_PLAIN));
	if (r->n_early)
		fprintf(f, ", %zu too new", r->n_early);
	fputs("\n", f);
	put_host(f, o, s, r);
	put_together(f, r);
	put_cost(f, r);
	put_table(f, o, "SUSPECTS", r->processes, r->n_processes, true, 0);
	put_table(f, o, "SUSPECTED CGROUPS", r->cgroups, r->n_cgroups, true, 0);
	put_table(f, o, o->all ? "OTHER PROCESSES" : "GROWING, BUT NOT SURELY", r->processes,
		  r->n_processes, false, r->n_more);
	put_table(f, o, o->all ? "OTHER CGROUPS" : "GROWING CGROUPS, BUT NOT SURELY", r->cgroups,
		  r->n_cgroups, false, r->n_more_cgroups);
	if (!r->n_processes && !r->n_cgroups)
		fputs(r->n_early ? "nothing else grows\n" : "nothing grows\n", f);
	fputs("\n", f);
	return stream_flush(f);
}

static int text_session(FILE *f, const struct watch_output_options *o,
			const struct watch_session *s)
{
	char interval[FORMAT_SIZE];

	(void)o;
	fputs("Watching ", f);
	if (!s->n_targets)
		fputs("all processes", f);
	for (size_t i = 0; i < s->n_targets; i++) {
		fputs(i ? ", " : "", f);
		escape_put(f, s->targets[i], 0);
	}
	fputs(" on ", f);
	escape_put(f, s->hostname, 0);
	fputs(", Linux ", f);
	escape_put(f, s->kernel, 0);
	format_seconds(s->interval_seconds, interval);
	fprintf(f, ", seep %s\n", s->version);
	fprintf(f, "A report every %s. Growth shows after half a minute, surely after minutes.\n\n",
		interval);
	return stream_flush(f);
}

static int text_end(FILE *f, const struct watch_output_options *o, const struct watch_session *s,
		    const struct watch_end *e)
{
	char time[CLOCK_RFC3339_SIZE], duration[FORMAT_SIZE], passes[FORMAT_SIZE],
		missed[FORMAT_SIZE], cpu[FORMAT_SIZE];

	(void)o;
	(void)s;
	clock_format_rfc3339(e->time_ns, time);
	format_seconds(e->duration_seconds, duration);
	format_count(e->n_passes, passes);
	format_count(e->n_missed, missed);
	format_seconds(e->cpu_seconds, cpu);
	fprintf(f, "[%s] end after %s: %s\n%s passes, %s missed, %s of CPU\n", time, duration,
		e->why, passes, e->n_missed ? missed : "none", cpu);
	return stream_flush(f);
}

const struct watch_format watch_text = {
	.session = text_session,
	.report = text_report,
	.end = text_end,
};
