// SPDX-License-Identifier: BSD-2-Clause
#include "model/report.h"

bool report_is_mark(const struct report *r)
{
	return r->mark && r->mark->sequence == r->sequence;
}

uint32_t report_find(const struct report *r, uint32_t pid)
{
	uint32_t found = r->n_processes;

	for (uint32_t i = 0; i < r->n_processes; i++)
		if (r->processes[i].pid == pid &&
		    (found == r->n_processes || !r->processes[i].ended))
			found = i;
	return found;
}
