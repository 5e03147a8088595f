// SPDX-License-Identifier: BSD-2-Clause
#include "model/snapshot.h"

#include <stdlib.h>

void snapshot_done(struct snapshot *s)
{
	for (size_t i = 0; i < s->processes.n; i++) {
		free(s->processes.items[i].losses);
		free(s->processes.items[i].truncated);
	}
	free(s->processes.items);
	free(s->sites.items);
	free(s->births.items);
	free(s->errors.items);
	free(s->losses);
	*s = (struct snapshot){0};
}
