// SPDX-License-Identifier: BSD-2-Clause
#include "output/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "output/escape.h"

#define NAME_MIN_COLUMNS 24

void format_bytes(double bytes, char out[FORMAT_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = fmin(fabs(bytes), 0x1p80);
	size_t unit = 0;

	if (isnan(bytes)) {
		strcpy(out, "?");
		return;
	}
	/* 1023.95 would be printed as 1024.0. */
	while (unit + 1 < ARRAY_SIZE(units) && value >= (unit ? 1023.95 : 1023.5)) {
		value /= 1024;
		unit++;
	}
	snprintf(out, FORMAT_SIZE, "%s%.*f %s", bytes < 0 && value >= 0.5 ? "-" : "", unit ? 1 : 0,
		 value, units[unit]);
}

/* Cut, not rounded: 59.9 s is not yet a minute. */
void format_seconds(double seconds, char out[FORMAT_SIZE])
{
	uint64_t s;

	if (isnan(seconds) || seconds < 0) {
		strcpy(out, "?");
		return;
	}
	s = fmin(seconds, 1e14);
	if (seconds == 0)
		strcpy(out, "0 s");
	else if (seconds < 0.001)
		strcpy(out, "<1 ms");
	else if (seconds < 1)
		snprintf(out, FORMAT_SIZE, "%d ms", (int)(seconds * 1000));
	else if (seconds < 10)
		snprintf(out, FORMAT_SIZE, "%.1f s", floor(seconds * 10) / 10);
	else if (s < 60)
		snprintf(out, FORMAT_SIZE, "%d s", (int)s);
	else if (s < 3600)
		snprintf(out, FORMAT_SIZE, "%d m %d s", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		snprintf(out, FORMAT_SIZE, "%d h %d m", (int)(s / 3600), (int)(s / 60 % 60));
	else
		snprintf(out, FORMAT_SIZE, "%" PRIu64 " d %d h", s / 86400, (int)(s / 3600 % 24));
}

void format_count(uint64_t count, char out[FORMAT_SIZE])
{
	char digits[FORMAT_SIZE];
	size_t n = snprintf(digits, sizeof(digits), "%" PRIu64, count) % sizeof(digits), at = 0;

	/* 20 digits and 6 commas do not fit; nothing is counted that far. */
	if (n > 18) {
		snprintf(out, FORMAT_SIZE, "%.3g", (double)count);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void location_put(FILE *f, const struct frame *frame, bool paths)
{
	if (frame->file) {
		putc(' ', f);
		escape_put(f, paths ? frame->file : base_name(frame->file), 0);
		if (frame->line)
			fprintf(f, ":%u", frame->line);
	}
	if (frame->module) {
		fputs(" (", f);
		escape_put(f, paths ? frame->module : base_name(frame->module), 0);
		putc(')', f);
	}
	if (frame->inlined)
		fputs(" [inlined]", f);
}

/* Columns of the location, which is written last and never cut. */
static size_t location_columns(const struct frame *frame, bool paths)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0, columns = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return 0;
	location_put(f, frame, paths);
	if (fclose(f))
		return 0;
	for (size_t i = 0; i < n; i++)
		columns += (text[i] & 0xc0) != 0x80;
	return columns;
}

void frame_put(FILE *f, const struct frame *frame, bool paths, size_t max_columns)
{
	size_t name_columns = 0;

	if (!frame->function) {
		if (frame->module) {
			escape_put(f, paths ? frame->module : base_name(frame->module), 0);
			fprintf(f, "+0x%" PRIx64, frame->offset);
		} else {
			fprintf(f, "[unmapped]+0x%" PRIx64, frame->offset);
		}
		return;
	}
	if (max_columns) {
		size_t taken = location_columns(frame, paths);

		name_columns = max_columns > taken + NAME_MIN_COLUMNS ? max_columns - taken
								      : NAME_MIN_COLUMNS;
	}
	escape_put(f, frame->function, name_columns);
	location_put(f, frame, paths);
}

void format_frame(const struct frame *frame, char *out, size_t n_bytes)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	FILE *f;

	if (!n_bytes)
		return;
	out[0] = '\0';
	f = open_memstream(&text, &n);
	if (!f)
		return;
	frame_put(f, frame, false, 0);
	if (fclose(f))
		return;
	if (n >= n_bytes) {
		n = n_bytes - 1;
		while (n && (text[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(out, text, n);
	out[n] = '\0';
}
