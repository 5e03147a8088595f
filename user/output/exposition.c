// SPDX-License-Identifier: BSD-2-Clause
#include "output/exposition.h"

#include <inttypes.h>
#include <math.h>

#include "output/escape.h"

static const char *suffix(const struct exposition *e)
{
	return e->type == EXPOSITION_COUNTER ? "_total" : e->type == EXPOSITION_INFO ? "_info" : "";
}

/* In the older format a family is called as its samples are. */
static void put_about(struct exposition *e, const char *what, const char *text)
{
	fprintf(e->f, "# %s %s%s %s\n", what, e->name, e->openmetrics ? "" : suffix(e), text);
}

void exposition_family(struct exposition *e, const char *name, enum exposition_type type,
		       const char *unit, const char *help)
{
	static const char *const types[] = {"gauge", "counter", "info"};
	bool plain = type == EXPOSITION_INFO && !e->openmetrics;

	e->name = name;
	e->type = type;
	put_about(e, "HELP", help);
	put_about(e, "TYPE", plain ? "gauge" : types[type]);
	if (unit && e->openmetrics)
		put_about(e, "UNIT", unit);
}

static void put_text(FILE *f, const char *text)
{
	char unit[ESCAPE_UNIT_SIZE];

	while (*text) {
		escape_next(&text, unit);
		for (const char *c = unit; *c; c++) {
			if (*c == '"' || *c == '\\')
				putc_unlocked('\\', f);
			putc_unlocked(*c, f);
		}
	}
}

static void begin_sample(struct exposition *e, const struct exposition_label *labels, size_t n)
{
	char before = '{';

	fputs(e->name, e->f);
	fputs(suffix(e), e->f);
	for (size_t i = 0; i < n; i++) {
		if (!labels[i].value || !*labels[i].value)
			continue;
		fprintf(e->f, "%c%s=\"", before, labels[i].name);
		put_text(e->f, labels[i].value);
		putc_unlocked('"', e->f);
		before = ',';
	}
	fputs(before == ',' ? "} " : " ", e->f);
}

void exposition_count(struct exposition *e, const struct exposition_label *labels, size_t n,
		      uint64_t value)
{
	begin_sample(e, labels, n);
	fprintf(e->f, "%" PRIu64 "\n", value);
}

void exposition_value(struct exposition *e, const struct exposition_label *labels, size_t n,
		      double value)
{
	begin_sample(e, labels, n);
	if (isinf(value))
		fputs(value > 0 ? "+Inf\n" : "-Inf\n", e->f);
	else if (isnan(value))
		fputs("NaN\n", e->f);
	else
		fprintf(e->f, "%.17g\n", value);
}

void exposition_end(struct exposition *e)
{
	if (e->openmetrics)
		fputs("# EOF\n", e->f);
}
