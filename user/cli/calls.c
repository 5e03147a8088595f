// SPDX-License-Identifier: BSD-2-Clause
#include "cli/calls.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "daemon/tracer.h"
#include "collect/collector.h"

/* When the event happened, by the wall clock. */
static uint64_t realtime_of(uint64_t monotonic_ns)
{
	return clock_realtime_ns() - (clock_monotonic_ns() - monotonic_ns);
}

bool calls_print(struct tracer *t, bool ndjson, const struct collector_event *e)
{
	char time[CLOCK_RFC3339_SIZE], line[256];
	const char *what = e->type == COLLECTOR_ALLOC  ? "alloc"
			   : e->type == COLLECTOR_FREE ? "free"
						       : NULL;
	int n;

	if (!what)
		return true;
	clock_format_rfc3339(realtime_of(e->time_ns), time);
	if (ndjson)
		n = snprintf(
			line, sizeof(line),
			"{\"type\":\"call\",\"time\":\"%s\",\"pid\":%u,\"tid\":%u,\"call\":\"%s\",\"address\":\"0x%" PRIx64
			"\",\"size_bytes\":%" PRIu64 "}\n",
			time, e->pid, e->tid, what, e->address, e->size_bytes);
	else
		n = snprintf(line, sizeof(line),
			     "%s pid %u tid %u %-5s 0x%" PRIx64 " %" PRIu64 " bytes\n", time,
			     e->pid, e->tid, what, e->address, e->size_bytes);
	return tracer_say(t, line, n);
}
