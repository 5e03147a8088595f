// SPDX-License-Identifier: BSD-2-Clause
/* One word of a command line to one field. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "cli/option_spec.h"

#define PID_MAX 4194304 /* PID_MAX_LIMIT of 64-bit kernels */

/* Moves *text past the digits it begins with. Returns 0, -EINVAL without a digit, -ERANGE past
 * 2^64-1. */
static int scan_digits(const char **text, uint64_t *ret)
{
	uint64_t value = 0;
	const char *p = *text;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	*text = p;
	*ret = value;
	return 0;
}

static const char suffixes[] = "kMG";

/* "10", "64k". thousand: what k stands for. Returns as scan_digits. */
static int scan_number(const char *text, uint64_t thousand, uint64_t *ret)
{
	uint64_t value;
	const char *suffix;
	int r = scan_digits(&text, &value);

	if (r)
		return r;
	if (*text) {
		suffix = strchr(suffixes, *text == 'K' ? 'k' : *text);
		if (!suffix || text[1])
			return -EINVAL;
		for (; suffix >= suffixes; suffix--)
			if (__builtin_mul_overflow(value, thousand, &value))
				return -ERANGE;
	}
	*ret = value;
	return 0;
}

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	{"h", NS_PER_HOUR},
	{"m", 60 * NS_PER_SECOND},
	{"s", NS_PER_SECOND},
	{"ms", NS_PER_MS},
};

/* "5", "0.25", "500ms", "1.5h" to nanoseconds; digits past the nanosecond are dropped. Returns as
 * scan_digits. */
static int scan_duration(const char *text, uint64_t unit_ns, uint64_t *ret)
{
	uint64_t value, fraction = 0, tenth;
	size_t i;
	int r = scan_digits(&text, &value);
	const char *decimals = NULL;

	if (r)
		return r;
	if (*text == '.') {
		decimals = ++text;
		text += strspn(text, "0123456789");
		if (text == decimals)
			return -EINVAL;
	}
	if (*text) {
		for (i = 0; i < ARRAY_SIZE(units) && strcmp(text, units[i].name); i++)
			;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		unit_ns = units[i].ns;
	}
	for (tenth = unit_ns / 10; decimals && isdigit((unsigned char)*decimals);
	     decimals++, tenth /= 10)
		fraction += (uint64_t)(*decimals - '0') * tenth;
	if (__builtin_mul_overflow(value, unit_ns, &value) ||
	    __builtin_add_overflow(value, fraction, &value))
		return -ERANGE;
	*ret = value;
	return 0;
}

static void format_value(enum option_type type, uint64_t value, char out[OPTION_TEXT_SIZE])
{
	size_t i = 0;

	if (type == OPTION_DURATION && !value) {
		snprintf(out, OPTION_TEXT_SIZE, "0");
	} else if (type == OPTION_DURATION) {
		while (i + 1 < ARRAY_SIZE(units) && value % units[i].ns)
			i++;
		snprintf(out, OPTION_TEXT_SIZE, "%llu%s", (unsigned long long)(value / units[i].ns),
			 units[i].name);
	} else {
		/* Counts stand in the manual digit by digit; powers of 1024 nobody knows that way. */
		while (type == OPTION_SIZE && value && value % 1024 == 0 && i < strlen(suffixes)) {
			value /= 1024;
			i++;
		}
		snprintf(out, OPTION_TEXT_SIZE, "%llu%.1s", (unsigned long long)value,
			 i ? &suffixes[i - 1] : "");
	}
}

static int store_number(const struct option_spec *spec, const char *label, const char *text,
			uint64_t *field, struct diag *d)
{
	char min[OPTION_TEXT_SIZE], max[OPTION_TEXT_SIZE], range[2 * OPTION_TEXT_SIZE + 32];
	bool duration = spec->type == OPTION_DURATION;
	uint64_t value = 0;
	int r;

	r = duration ? scan_duration(text, spec->unit_ns, &value)
		     : scan_number(text, spec->type == OPTION_SIZE ? 1024 : 1000, &value);
	if (!r && value >= spec->min && value <= spec->max) {
		*field = value;
		return 0;
	}
	format_value(spec->type, spec->min, min);
	format_value(spec->type, spec->max, max);
	if (spec->max == UINT64_MAX)
		snprintf(range, sizeof(range), "give one of at least %s", min);
	else
		snprintf(range, sizeof(range), "give one between %s and %s", min, max);
	if (r == -EINVAL)
		return options_error(d, "%s: '%s' is not a %s; %s", label, text,
				     duration ? "duration" : "number", range);
	return options_error(d, "%s: '%s' is out of range; %s", label, text, range);
}

static int store_pids(const char *label, const char *text, struct pid_list *pids, struct diag *d)
{
	const char *p = text;
	uint64_t pid;
	size_t i;

	for (;; p++) {
		const char *start = p;
		int r = scan_digits(&p, &pid);
		int n = (int)strcspn(start, ",");

		if (r == -EINVAL || (*p && *p != ',' && r != -ERANGE))
			return options_error(
				d,
				"%s: '%.*s' is not a pid; give numbers between 1 and %d, "
				"separated by commas",
				label, n, start, PID_MAX);
		if (r || !pid || pid > PID_MAX)
			return options_error(
				d, "%s: no pid can be %.*s; give numbers between 1 and %d", label,
				n, start, PID_MAX);
		for (i = 0; i < pids->n; i++)
			if (pids->items[i] == (pid_t)pid)
				return options_error(d, "%s: pid %d is given twice", label,
						     (int)pid);
		if (vec_push(pids, (pid_t)pid))
			return diag_set(d, ENOMEM, "out of memory");
		if (!*p)
			return 0;
	}
}

static int store_choice(const struct option_spec *spec, const char *label, const char *text,
			int *field, struct diag *d)
{
	char words[OPTION_TEXT_SIZE];
	int i;

	option_argument(spec, words);
	for (i = 0; spec->choices[i].name && strcmp(spec->choices[i].name, text); i++)
		;
	if (!spec->choices[i].name)
		return options_error(d, "%s: '%s' is not known; give one of %s", label, text,
				     words);
	if (spec->choices[i].refused)
		return options_error(d, "%s: '%s' %s; give one of %s", label, text,
				     spec->choices[i].refused, words);
	*field = i;
	return 0;
}

int option_store(const struct option_spec *spec, const char *label, const char *text, void *options,
		 struct diag *d)
{
	void *field = (char *)options + spec->offset;

	if (spec->refused)
		return options_error(d, "%s: %s", label, spec->refused);
	switch (spec->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_STRING:
	case OPTION_PATH:
		if (!*text)
			return options_error(d, "%s: '' is empty; give %s", label, spec->argument);
		*(const char **)field = text;
		return 0;
	case OPTION_COUNT:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return store_number(spec, label, text, field, d);
	case OPTION_CHOICE:
		return store_choice(spec, label, text, field, d);
	case OPTION_PIDS:
		return store_pids(label, text, field, d);
	case OPTION_ASK_HELP:
		return OPTIONS_HELP;
	case OPTION_ASK_VERSION:
		return OPTIONS_VERSION;
	case OPTION_TAIL:
		break; /* not text: options_parse stores it */
	}
	return options_error(d, "%s: cannot be given here", label);
}

void option_default(const struct option_spec *spec, const void *defaults,
		    char out[OPTION_TEXT_SIZE])
{
	const void *field;

	out[0] = '\0';
	if (!defaults || spec->refused)
		return;
	field = (const char *)defaults + spec->offset;
	if (spec->type == OPTION_CHOICE)
		snprintf(out, OPTION_TEXT_SIZE, "%s", spec->choices[*(const int *)field].name);
	else if ((spec->type == OPTION_COUNT || spec->type == OPTION_SIZE ||
		  spec->type == OPTION_DURATION) &&
		 *(const uint64_t *)field)
		format_value(spec->type, *(const uint64_t *)field, out);
}
