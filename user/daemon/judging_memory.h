/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_JUDGING_MEMORY_H
#define SEEP_DAEMON_JUDGING_MEMORY_H
/* Of a traced process, resident memory that grows although what is outstanding does not. */
#include <sys/types.h>

#include "model/memory.h"

struct trend;

/* Zeroed. */
struct judged_memory {
	struct trend *resident;
	struct memory_account before; /* when it was first worth a look; resident_bytes 0: never */
	double before_seconds;
};

void judged_memory_add(struct judged_memory *m, double seconds, double resident_bytes);
/* Looks at the process's memory while it grows unexplained, twice at least. outstanding_rate: by which what is outstanding grows, bytes
 * a second. Returns the verdict or NULL; ret_text (the caller's) and ret_confidence only then. */
const char *judged_memory_verdict(struct judged_memory *m, pid_t pid, double seconds,
				  double outstanding_rate, char **ret_text, double *ret_confidence);
void judged_memory_done(struct judged_memory *m);

#endif
