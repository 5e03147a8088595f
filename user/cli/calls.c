// SPDX-License-Identifier: BSD-2-Clause
#include "cli/calls.h"

#include <inttypes.h>

#include "base/clock.h"
#include "collect/collector.h"

/* When the event happened, by the wall clock. */
static uint64_t realtime_of(uint64_t monotonic_ns)
{
	return clock_realtime_ns() - (clock_monotonic_ns() - monotonic_ns);
}

void calls_print(void *arg, const struct collector_event *e)
{
	const struct calls *c = arg;
	char time[CLOCK_RFC3339_SIZE];
	const char *what = e->type == COLLECTOR_ALLOC  ? "alloc"
			   : e->type == COLLECTOR_FREE ? "free"
						       : NULL;

	if (!what)
		return;
	clock_format_rfc3339(realtime_of(e->time_ns), time);
	if (c->ndjson)
		fprintf(c->stream,
			"{\"type\":\"call\",\"time\":\"%s\",\"pid\":%u,\"tid\":%u,\"call\":\"%s\",\"address\":\"0x%" PRIx64
			"\",\"size_bytes\":%" PRIu64 "}\n",
			time, e->pid, e->tid, what, e->address, e->size_bytes);
	else
		fprintf(c->stream, "%s pid %u tid %u %-5s 0x%" PRIx64 " %" PRIu64 " bytes\n", time,
			e->pid, e->tid, what, e->address, e->size_bytes);
}
