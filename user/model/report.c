// SPDX-License-Identifier: BSD-2-Clause
#include "model/report.h"

const double site_age_seconds[SITE_AGES] = {1, 10, 60, 600};
const char *const site_survival_names[SITE_AGES] = {"survival_1s", "survival_10s", "survival_1m",
						    "survival_10m"};

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
