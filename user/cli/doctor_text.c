// SPDX-License-Identifier: BSD-2-Clause
/* What seep doctor found, for people: a verdict first, aligned tables, and for all that is missing
 * how to get it. */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "attach/cover.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "cli/doctor.h"
#include "output/escape.h"
#include "output/format.h"
#include "plan/plan.h"
#include "symbol/demangle.h"

#define CHECK_INDENT 28
#define NOTE_INDENT 4

/* Text from `column` on, where the line is now, broken at blanks; the lines after the first begin at
 * `indent`. */
static void put_hanging(const struct doctor_view *v, const char *text, size_t column,
			unsigned indent)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *word;
	size_t first = column;

	while (rest && (word = strsep(&rest, " "))) {
		size_t columns = escape_columns(word);

		if (column > first && v->width && column + 1 + columns > v->width) {
			fprintf(v->f, "\n%*s", indent, "");
			column = first = indent;
		} else if (column > first) {
			fputc(' ', v->f);
			column++;
		}
		escape_put(v->f, word, 0);
		column += columns;
	}
	fputc('\n', v->f);
}

/* The same where the line is at `indent` now. */
static void put_wrapped(const struct doctor_view *v, const char *text, unsigned indent)
{
	put_hanging(v, text, indent, indent);
}

static void put_check(const struct doctor_view *v, const struct check *c)
{
	const char *state = c->state == CHECK_FACT ? "-" : check_state_name(c->state);

	fprintf(v->f, "  %-9s%-*s", state, CHECK_INDENT - 11, c->name);
	put_wrapped(v, c->text, CHECK_INDENT);
	if (!c->hint[0])
		return;
	fprintf(v->f, "%*s", CHECK_INDENT, "");
	put_wrapped(v, c->hint, CHECK_INDENT);
}

static void put_cost(const struct doctor_view *v, const char *what, double emulated_ns,
		     double stepped_ns)
{
	char emulated[FORMAT_SIZE], stepped[FORMAT_SIZE];

	format_count(emulated_ns, emulated);
	format_count(stepped_ns, stepped);
	fprintf(v->f, "  %-46s %10s %10s\n", what, emulated, stepped);
}

static void put_costs(const struct doctor_view *v, const struct calibration *c)
{
	const struct calibration_hit *e = &c->emulated, *s = &c->stepped;

	fprintf(v->f, "\n%-48s %10s %10s\n", "What a call costs here, in ns, when its probe is",
		"emulated", "stepped");
	put_cost(v, "free", e->free_ns, s->free_ns);
	put_cost(v, "allocation, entry and return probed", e->allocate_ns, s->allocate_ns);
	put_cost(v, "allocation, entry and ret instruction probed", e->allocate_exits_ns,
		 s->allocate_exits_ns);
	put_cost(v, "allocation that sampling or -z, -Z leaves out", e->skipped_ns, s->skipped_ns);
	put_cost(v, "for comparison: an empty probe at the entry", e->floor_ns, s->floor_ns);
	put_cost(v, "empty probes at entry and return", e->floor_with_return_ns,
		 s->floor_with_return_ns);
}

static void text_host(const struct doctor_view *v, const struct host *h)
{
	const char *link = link_kind_name(h->costs.link);

	fprintf(v->f, "seep %s on ", SEEP_VERSION);
	escape_put(v->f, h->system.nodename, 0);
	fprintf(v->f, ", Linux %s %s, ", h->system.release, h->system.machine);
	fprintf(v->f, geteuid() ? "as user %u\n" : "as root\n", geteuid());
	if (h->can_trace) {
		fprintf(v->f, "Tracing works here, by %s links.\n\n", link);
	} else {
		fputs("Tracing does not work here: ", v->f);
		put_wrapped(v, h->refusal.text, strlen("Tracing does not work here: "));
		fputc('\n', v->f);
	}
	for (size_t i = 0; i < h->n_checks; i++)
		put_check(v, &h->checks[i]);
	if (h->can_trace)
		put_costs(v, &h->costs);
}

enum column {
	COLUMN_FUNCTION,
	COLUMN_OFFSET,
	COLUMN_INSTRUCTION,
	COLUMN_HOW,
	COLUMN_END,
	COLUMN_LINK,
	COLUMN_COST,
	N_COLUMNS,
};

static const char *const titles[N_COLUMNS] = {
	[COLUMN_FUNCTION] = "function",
	[COLUMN_OFFSET] = "offset",
	[COLUMN_INSTRUCTION] = "instruction",
	[COLUMN_HOW] = "how",
	[COLUMN_END] = "end",
	[COLUMN_LINK] = "link",
	[COLUMN_COST] = "ns",
};

#define CELL_MAX_COLUMNS 36
#define GAP 2

struct row {
	const char *cells[N_COLUMNS], *why, *also; /* interned */
};

/* One file's probes, and how they are laid out. */
struct table {
	const struct doctor_view *v;
	const struct host *host;
	struct strings strings;
	struct row *rows;
	size_t n, columns[N_COLUMNS];
	bool no_link;	  /* its column does not fit */
	bool why_is_last; /* else on a line of its own */
};

static const char *cell(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static const char *cell(struct table *t, const char *fmt, ...)
{
	char text[2 * NAME_MAX_BYTES];
	const char *interned;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	interned = strings_intern(&t->strings, text);
	return interned ? interned : "?";
}

static const char *readable(struct table *t, const char *symbol)
{
	const char *name = demangle_intern(&t->strings, symbol);

	return name ? name : "?";
}

/* The other names, as far as they read differently. */
static const char *other_names(struct table *t, const struct plan_probe *p)
{
	_cleanup_free_ char *copy = strdup(p->aliases);
	const char *first = readable(t, p->symbol), *text = "";
	char *rest = copy, *alias;

	while (rest && (alias = strsep(&rest, " "))) {
		const char *name = *alias ? readable(t, alias) : first;

		if (name != first && !strstr(text, name))
			text = cell(t, "%s%s%s", text, *text ? ", " : "", name);
	}
	return text;
}

static void fill_row(struct table *t, const struct plan_probe *p, struct row *row)
{
	static const char *const ends[] = {
		[PLAN_END_NONE] = "none",
		[PLAN_END_RETURN] = "return",
		[PLAN_END_EXITS] = "exits",
	};
	const char *name = readable(t, p->symbol);
	bool measured = t->host->can_trace;
	char cost[FORMAT_SIZE];

	format_count(measured ? calibration_cost_ns(&t->host->costs, p) : 0, cost);
	row->cells[COLUMN_FUNCTION] = p->site ? cell(t, "%s+%u", name, p->site) : name;
	row->cells[COLUMN_OFFSET] = cell(t, "0x%llx", (unsigned long long)p->offset);
	row->cells[COLUMN_INSTRUCTION] = p->instruction;
	row->cells[COLUMN_HOW] = p->cost == PLAN_STEPPED ? "stepped" : "emulated";
	row->cells[COLUMN_END] = ends[p->end];
	row->cells[COLUMN_LINK] = measured ? link_kind_name(host_link_of(t->host, p)) : "?";
	row->cells[COLUMN_COST] = measured ? cell(t, "%s", cost) : "?";
	row->why = p->reason;
	row->also = other_names(t, p);
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void lay_out(struct table *t)
{
	size_t sum = NOTE_INDENT, why = 0;

	for (int c = 0; c < N_COLUMNS; c++) {
		t->columns[c] = strlen(titles[c]);
		for (size_t i = 0; i < t->n; i++) {
			size_t n = escape_columns(t->rows[i].cells[c]);

			n = n > CELL_MAX_COLUMNS ? CELL_MAX_COLUMNS : n;
			t->columns[c] = max_size(t->columns[c], n);
		}
		sum += t->columns[c] + GAP;
	}
	for (size_t i = 0; i < t->n; i++)
		why = max_size(why, escape_columns(t->rows[i].why));
	t->why_is_last = !t->v->width || sum + why <= t->v->width;
	t->no_link = t->v->width && sum - GAP > t->v->width;
}

static void put_cells(const struct table *t, const char *const cells[N_COLUMNS], const char *why)
{
	FILE *f = t->v->f;

	fprintf(f, "%*s", NOTE_INDENT, "");
	for (int c = 0; c < N_COLUMNS; c++) {
		size_t columns = escape_columns(cells[c]);
		int padding = columns < t->columns[c] ? t->columns[c] - columns : 0;

		if (c == COLUMN_LINK && t->no_link)
			continue;
		if (c == COLUMN_COST)
			fprintf(f, "%*s", padding, "");
		escape_put(f, cells[c], t->columns[c]);
		if (c < N_COLUMNS - 1)
			fprintf(f, "%*s", padding + GAP, "");
	}
	if (t->why_is_last)
		fprintf(f, "%*s%s", GAP, "", why);
	fputc('\n', f);
}

static void put_row(struct table *t, const struct row *row)
{
	static const int indent = NOTE_INDENT + 2;
	const char *why = t->why_is_last ? "" : row->why, *also = row->also;

	put_cells(t, row->cells, row->why);
	if (!*why && !*also)
		return;
	fprintf(t->v->f, "%*s", indent, "");
	put_wrapped(t->v,
		    cell(t, "%s%s%s%s", why, *why && *also ? "; " : "", *also ? "also " : "", also),
		    indent);
}

/* cover_each's visitor. */
static void put_file(void *arg, const char *path, const struct plan *plan)
{
	struct table t = *(const struct table *)arg;

	fputs("\n  ", t.v->f);
	put_hanging(t.v,
		    cell(&t, "%s: %s, %zu function%s", path, plan_allocator_name(plan->allocator),
			 plan->n, plural(plan->n)),
		    2, NOTE_INDENT);
	t.rows = calloc(plan->n, sizeof(*t.rows));
	if (!t.rows)
		return;
	for (t.n = 0; t.n < plan->n; t.n++)
		fill_row(&t, &plan->items[t.n], &t.rows[t.n]);
	lay_out(&t);
	put_cells(&t, titles, "why there");
	for (size_t i = 0; i < t.n; i++)
		put_row(&t, &t.rows[i]);
	free(t.rows);
	strings_done(&t.strings);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static void put_line(const struct doctor_view *v, unsigned indent, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void put_line(const struct doctor_view *v, unsigned indent, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	fprintf(v->f, "%*s", indent, "");
	put_hanging(v, text, indent, NOTE_INDENT + 2);
	free(text);
}

/* What a file's table is, and which stacks it does not help. */
static void put_stack_file(const struct doctor_view *v, const struct stack_file *f)
{
	const uint64_t gaps = f->text_bytes - f->covered_bytes - f->unsupported_bytes;
	char rows[FORMAT_SIZE], bytes[FORMAT_SIZE], time[FORMAT_SIZE];

	format_count(f->n_rows, rows);
	format_bytes(f->n_bytes, bytes);
	format_seconds(f->seconds, time);
	put_line(v, NOTE_INDENT, "%s: %s rows, %s, for %.1f%% of its code, %s in %s", f->path, rows,
		 bytes, percent(f->covered_bytes, f->text_bytes),
		 f->cached ? "cached and read" : "built", time);
	/* There are some bytes between functions everywhere, and around a few functions many. */
	if (gaps > f->text_bytes / 10 && gaps > 4096)
		put_line(v, NOTE_INDENT + 2, "%.1f%% has no CFI: stacks that pass it end there",
			 percent(gaps, f->text_bytes));
	if (f->unsupported_bytes > f->text_bytes / 1000)
		put_line(v, NOTE_INDENT + 2,
			 "%.1f%% has CFI that seep does not follow, mostly hand-written assembly: "
			 "stacks that pass it end there",
			 percent(f->unsupported_bytes, f->text_bytes));
	if (f->n_corrupt)
		put_line(v, NOTE_INDENT + 2,
			 "the CFI of %u functions is corrupt: stacks that pass them end there",
			 f->n_corrupt);
}

#define BY_FRAME_POINTERS                                                                          \
	"its stacks go by frame pointers, and where it keeps none they end or lack callers"

static void put_stacks(const struct doctor_view *v, const struct stacks *s)
{
	char bytes[FORMAT_SIZE];
	size_t n_bytes = 0;

	for (size_t i = 0; i < s->n; i++)
		n_bytes += s->items[i].n_bytes;
	format_bytes(n_bytes, bytes);
	fputc('\n', v->f);
	put_line(v, 2,
		 "stacks by CFI: %s of tables in the kernel (--unwind-memory), shared by all "
		 "processes with these files",
		 bytes);
	for (size_t i = 0; i < s->n; i++)
		if (s->items[i].without)
			put_line(v, NOTE_INDENT, "%s: %s: " BY_FRAME_POINTERS, s->items[i].path,
				 s->items[i].without);
		else
			put_stack_file(v, &s->items[i]);
	format_bytes(s->generated_bytes, bytes);
	if (s->generated_bytes)
		put_line(v, NOTE_INDENT, "%s of generated code: " BY_FRAME_POINTERS, bytes);
}

static void text_target(const struct doctor_view *v, const struct host *h, const struct target *t)
{
	struct table table = {.v = v, .host = h};
	_cleanup_free_ char *head = NULL;

	if (asprintf(&head, "process %d %s (%s), %zu function%s to probe", t->id.pid, t->id.comm,
		     t->id.exe, t->n_probes, plural(t->n_probes)) < 0)
		return;
	fputc('\n', v->f);
	put_hanging(v, head, 0, NOTE_INDENT);
	if (t->id.container[0]) {
		fputs("  container ", v->f);
		escape_put(v->f, t->id.container, 0);
		fputc('\n', v->f);
	}
	for (size_t i = 0; i < t->n_notes; i++) {
		fputs("  not seen: ", v->f);
		put_wrapped(v, t->notes[i], NOTE_INDENT);
	}
	cover_each(t->cover, t->id.pid, put_file, &table);
	if (t->stacks.n)
		put_stacks(v, &t->stacks);
}

const struct doctor_format doctor_text = {
	.host = text_host,
	.target = text_target,
};
