// SPDX-License-Identifier: BSD-2-Clause
#include "base/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

/* By how much our time namespace's CLOCK_MONOTONIC is ahead of the kernel's own: a constant of this process, as a time
 * namespace's offsets are fixed once it has a process. Kept, as reading it takes a file and every event asks for the time. */
static int64_t monotonic_ahead_ns;

static void read_ahead(void)
{
	FILE *f = fopen("/proc/self/timens_offsets", "re");
	int64_t seconds, ns;

	/* Not there: a kernel without time namespaces. */
	if (f && fscanf(f, "monotonic %" SCNd64 " %" SCNd64, &seconds, &ns) == 2)
		monotonic_ahead_ns = seconds * (int64_t)NS_PER_SECOND + ns;
	if (f)
		fclose(f);
}

uint64_t clock_monotonic_ns(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_ahead);
	return now_ns(CLOCK_MONOTONIC) - monotonic_ahead_ns;
}

uint64_t clock_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

uint64_t clock_boottime_ns(void)
{
	return now_ns(CLOCK_BOOTTIME);
}

uint64_t clock_process_cpu_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

uint64_t clock_thread_cpu_ns(void)
{
	return now_ns(CLOCK_THREAD_CPUTIME_ID);
}

void clock_format_rfc3339(uint64_t realtime_ns, char out[CLOCK_RFC3339_SIZE])
{
	time_t seconds = realtime_ns / NS_PER_SECOND;
	char date[24];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, CLOCK_RFC3339_SIZE, "%s.%03uZ", date,
		 (unsigned)(realtime_ns / NS_PER_MS % 1000));
}
