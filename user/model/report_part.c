// SPDX-License-Identifier: BSD-2-Clause
#include "model/report_part.h"

#include <errno.h>
#include <stdlib.h>

#include "model/free_error.h"

static void take_errors(const struct report *whole, const uint32_t *index, struct free_error *to,
			size_t *ret_n)
{
	*ret_n = 0;
	for (size_t i = 0; i < whole->n_errors; i++) {
		uint32_t process = index[whole->errors[i].process];

		if (process == REPORT_PART_WITHOUT)
			continue;
		to[*ret_n] = whole->errors[i];
		to[(*ret_n)++].process = process;
	}
}

static void take_sites(const struct report *whole, const uint32_t *index, struct report *part)
{
	for (size_t i = 0; i < whole->n_sites; i++) {
		uint32_t process = index[whole->sites[i].process];

		if (process == REPORT_PART_WITHOUT)
			continue;
		part->sites[part->n_sites] = whole->sites[i];
		part->sites[part->n_sites++].process = process;
	}
}

int report_part_take(const struct report *whole,
		     bool (*is_wanted)(const void *arg, const struct process_report *p),
		     const void *arg, struct report_part *ret)
{
	struct free_error *errors = calloc(whole->n_errors + 1, sizeof(*errors));
	struct report_part part = {.report = *whole};
	struct report *r = &part.report;

	r->n_processes = r->n_sites = r->n_errors = 0;
	r->processes = calloc(whole->n_processes + 1, sizeof(*r->processes));
	r->sites = calloc(whole->n_sites + 1, sizeof(*r->sites));
	r->errors = errors;
	part.index = calloc(whole->n_processes + 1, sizeof(*part.index));
	if (!r->processes || !r->sites || !errors || !part.index) {
		report_part_done(&part);
		return -ENOMEM;
	}
	for (size_t i = 0; i < whole->n_processes; i++) {
		part.index[i] = REPORT_PART_WITHOUT;
		if (!is_wanted(arg, &whole->processes[i]))
			continue;
		part.index[i] = r->n_processes;
		r->processes[r->n_processes++] = whole->processes[i];
	}
	take_sites(whole, part.index, r);
	take_errors(whole, part.index, errors, &r->n_errors);
	*ret = part;
	return 0;
}

void report_part_done(struct report_part *part)
{
	free(part->report.processes);
	free(part->report.sites);
	free((void *)part->report.errors);
	free(part->index);
	*part = (struct report_part){0};
}
