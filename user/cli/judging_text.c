// SPDX-License-Identifier: BSD-2-Clause
#include "cli/judging_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyze/judge.h"
#include "base/clock.h"
#include "output/output.h"

#define DAY_SECONDS 86400

/* Per minute, as people think of leaks. */
static void rate_text(double bytes_per_second, char ret[FORMAT_SIZE])
{
	format_bytes(fmax(0, bytes_per_second) * 60, ret);
}

/* "14:02:11", or with its date when that is not today's. */
static void since_text(uint64_t now_ns, double seconds, char ret[24])
{
	time_t at = now_ns / NS_PER_SECOND - (time_t)seconds;
	struct tm tm;

	strftime(ret, 24, seconds < DAY_SECONDS / 2 ? "%H:%M:%S" : "%F %H:%M",
		 localtime_r(&at, &tm));
}

static void share_text(double share, char ret[16])
{
	double percent = share * 100;

	snprintf(ret, 16, percent >= 10 || percent < 0.01 ? "%.0f%%" : "%.2g%%",
		 percent >= 99.5 && share < 1 ? 99.0 : percent);
	if (percent > 0 && percent < 0.01)
		strcpy(ret, "under 0.01%");
}

static char *leak_text(const struct judgement *j, uint64_t now_ns)
{
	char rate[FORMAT_SIZE], low[FORMAT_SIZE], high[FORMAT_SIZE], age[FORMAT_SIZE];
	char watched[FORMAT_SIZE], since[24], share[16], freed[48], *text;

	rate_text(j->bytes_per_second, rate);
	rate_text(j->low_bytes_per_second, low);
	rate_text(j->high_bytes_per_second, high);
	format_seconds(j->kept_age_seconds, age);
	format_seconds(j->watched_seconds, watched);
	since_text(now_ns, j->since_seconds, since);
	share_text(j->kept_share, share);
	if (j->n_freed < 1)
		snprintf(freed, sizeof(freed), "none");
	else
		snprintf(freed, sizeof(freed), "%.1f%%", 100 * j->n_freed / j->n_watched);
	return asprintf(
		       &text,
		       "%s of what it allocated more than %s ago is still there; of %.0f such blocks %s "
		       "was freed in the last %s; it grows by %s/min (%s to %s), evenly since %s",
		       share, age, j->n_watched, freed, watched, rate, low, high, since) < 0
		       ? NULL
		       : text;
}

char *judging_site_text(const struct judgement *j, uint64_t now_ns)
{
	char rate[FORMAT_SIZE], since[24], lasts[FORMAT_SIZE], *text = NULL;
	int n = 0;

	since_text(now_ns, j->since_seconds, since);
	format_seconds(j->since_seconds, lasts);
	if (!strcmp(j->verdict, "unknown"))
		return NULL;
	if (!isnan(j->kept_share))
		return leak_text(j, now_ns);
	rate_text(j->bytes_per_second, rate);
	if (!strcmp(j->verdict, "growing"))
		n = asprintf(&text, "it has grown by %s/min since %s; its blocks come and go", rate,
			     since);
	else if (!strcmp(j->verdict, "warming-up"))
		n = asprintf(&text, "it grew ever more slowly in the last %s", lasts);
	else if (!strcmp(j->verdict, "steady"))
		n = asprintf(&text, "it hardly changed in the last %s", lasts);
	else
		n = asprintf(&text, "what it allocates is freed again, for %s", lasts);
	return n < 0 ? NULL : text;
}

char *judging_process_text(const char *verb, size_t n, double bytes_per_second, uint64_t stack)
{
	char rate[FORMAT_SIZE], *text;

	rate_text(bytes_per_second, rate);
	if (n == 1)
		return asprintf(&text, "one stack %ss, %s/min: %016" PRIx64, verb, rate, stack) < 0
			       ? NULL
			       : text;
	return asprintf(&text, "%zu stacks %s, %s/min together, most of it %016" PRIx64, n, verb,
			rate, stack) < 0
		       ? NULL
		       : text;
}
