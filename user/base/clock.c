// SPDX-License-Identifier: BSD-2-Clause
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

uint64_t clock_boottime_ns(void)
{
	return now_ns(CLOCK_BOOTTIME);
}

void clock_format_rfc3339(uint64_t realtime_ns, char out[CLOCK_RFC3339_SIZE])
{
	time_t seconds = realtime_ns / NS_PER_SECOND;
	char date[24];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, CLOCK_RFC3339_SIZE, "%s.%03uZ", date,
		 (unsigned)(realtime_ns / 1000000 % 1000));
}
