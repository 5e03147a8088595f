/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_JUDGING_TEXT_H
#define SEEP_DAEMON_JUDGING_TEXT_H
/* Evidence in words. */
#include <stddef.h>
#include <stdint.h>

struct judgement;
struct unexplained;

/* What is left up to a memory limit. */
struct judging_room {
	const char *whose; /* "container", "cgroup"; NULL: there is no limit */
	double bytes;
};

/* What speaks for a site's verdict, without a full stop; where it grows, also how long the room lasts at its rate. now_ns: CLOCK_REALTIME
 * of the judgement. The caller frees it; NULL: there is nothing to say, or no memory. */
char *judging_site_text(const struct judgement *j, const struct judging_room *room,
			uint64_t now_ns);

/* The same of a process: n of its stacks do what verb says ("leak", "grow"), the fastest of them is stack. */
char *judging_process_text(const char *verb, size_t n, double bytes_per_second, uint64_t stack);

/* The same of memory that is not outstanding, which grew for so many seconds; the rate is that of all that is resident. */
char *judging_memory_text(const struct unexplained *u, double seconds, double bytes_per_second);

#endif
