// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/judging_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyze/judge.h"
#include "analyze/unexplained.h"
#include "base/clock.h"
#include "output/output.h"

#define DAY_SECONDS 86400
#define FREED_SHARE 0.3 /* of what was allocated: then blocks replace each other */

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

#define LIMIT_SIZE 96

/* "; 40 min to the container's limit at that rate", or nothing. */
static void limit_text(double bytes_per_second, const struct judging_room *room,
		       char ret[LIMIT_SIZE])
{
	char lasts[FORMAT_SIZE];

	ret[0] = 0;
	if (!room->whose || !(bytes_per_second > 0))
		return;
	format_seconds(room->bytes / bytes_per_second, lasts);
	snprintf(ret, LIMIT_SIZE, "; %s to the %s's limit at that rate", lasts, room->whose);
}

static char *residue_text(const struct judgement *j, const struct judging_room *room,
			  uint64_t now_ns)
{
	char rate[FORMAT_SIZE], low[FORMAT_SIZE], high[FORMAT_SIZE], age[FORMAT_SIZE];
	char watched[FORMAT_SIZE], since[24], share[16], freed[48], limit[LIMIT_SIZE], *text;

	rate_text(j->bytes_per_second, rate);
	rate_text(j->low_bytes_per_second, low);
	rate_text(j->high_bytes_per_second, high);
	format_seconds(j->kept_age_seconds, age);
	format_seconds(j->watched_seconds, watched);
	since_text(now_ns, j->since_seconds, since);
	share_text(j->kept_share, share);
	limit_text(j->bytes_per_second, room, limit);
	if (j->n_freed < 1)
		snprintf(freed, sizeof(freed), "none");
	else
		snprintf(freed, sizeof(freed), "%.1f%%", 100 * j->n_freed / j->n_watched);
	return asprintf(
		       &text,
		       "%s of what it allocated more than %s ago is still there; of %.0f such blocks %s "
		       "was freed in the last %s; it grows by %s/min (%s to %s), evenly since %s%s%s%s",
		       share, age, j->n_watched, freed, watched, rate, low, high, since, limit,
		       j->doubt ? "; " : "", j->doubt ? j->doubt : "") < 0
		       ? NULL
		       : text;
}

char *judging_site_text(const struct judgement *j, const struct judging_room *room, uint64_t now_ns)
{
	char rate[FORMAT_SIZE], since[24], lasts[FORMAT_SIZE], limit[LIMIT_SIZE], *text = NULL;
	int n = 0;

	since_text(now_ns, j->since_seconds, since);
	format_seconds(j->since_seconds, lasts);
	if (!strcmp(j->verdict, "unknown"))
		return NULL;
	if (!isnan(j->kept_share))
		return residue_text(j, room, now_ns);
	rate_text(j->bytes_per_second, rate);
	limit_text(j->bytes_per_second, room, limit);
	if (!strcmp(j->verdict, "growing"))
		n = asprintf(&text, "it has grown by %s/min since %s; %s%s", rate, since,
			     j->freed_share > FREED_SHARE ? "its blocks come and go"
							  : "too early to say whether it stays",
			     limit);
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

/* What to look at next. */
static const char *next_of(const struct unexplained *u)
{
	if (!strcmp(u->verdict, "fragmentation"))
		return "long-lived blocks among short-lived ones keep it from shrinking";
	if (strcmp(u->verdict, "outside-malloc") != 0)
		return "a filter, sampling or a budget leaves them out";
	switch (u->part) {
	case UNEXPLAINED_STACKS:
		return "most of it is stacks of threads: see who starts them, and whether they end";
	case UNEXPLAINED_CODE:
		return "most of it is code made at run time, as by a JIT: --mmap shows who makes it";
	case UNEXPLAINED_SHARED:
		return "most of it is shared memory, also of files in a tmpfs: --mmap shows who maps it";
	default:
		return "--mmap or --growth show whose it is";
	}
}

char *judging_memory_text(const struct unexplained *u, double seconds, double bytes_per_second)
{
	char rate[FORMAT_SIZE], amount[FORMAT_SIZE], lasts[FORMAT_SIZE], threads[64] = "", *text;
	const char *what = !strcmp(u->verdict, "fragmentation")
				   ? "the unused part of malloc's heap grew"
			   : !strcmp(u->verdict, "outside-malloc")
				   ? "memory outside of malloc's heap grew"
				   : "malloc's heap grew by blocks that were not recorded";

	rate_text(bytes_per_second, rate);
	format_bytes(u->bytes, amount);
	format_seconds(seconds, lasts);
	if (u->part == UNEXPLAINED_STACKS)
		snprintf(threads, sizeof(threads), ", with %.0f threads more", u->n_threads);
	return asprintf(
		       &text,
		       "resident memory grows by %s/min, what is surely kept explains less than half of it; %s by %s in %s%s; %s",
		       rate, what, amount, lasts, threads, next_of(u)) < 0
		       ? NULL
		       : text;
}
