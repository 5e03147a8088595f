// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/judging_memory.h"

#include <string.h>

#include "analyze/trend.h"
#include "analyze/unexplained.h"
#include "daemon/judging_text.h"
#include "reach/account.h"

#define CONFIDENCE_MIN 0.5 /* that it grows */

void judged_memory_add(struct judged_memory *m, double seconds, double resident_bytes)
{
	if (resident_bytes > 0 && (m->resident || !trend_create(&m->resident)))
		trend_add(m->resident, seconds, resident_bytes);
}

const char *judged_memory_verdict(struct judged_memory *m, pid_t pid, double seconds,
				  double outstanding_rate, char **ret_text, double *ret_confidence)
{
	struct trend_estimate e;
	struct memory_account now;
	const char *verdict;
	double bytes;

	if (!m->resident)
		return NULL;
	trend_estimate(m->resident, &e);
	if (strcmp(e.verdict, "growing") != 0 || e.confidence < CONFIDENCE_MIN ||
	    !unexplained_is(e.bytes_per_second, outstanding_rate)) {
		m->before.resident_bytes = 0;
		return NULL;
	}
	if (m->before.resident_bytes && seconds - m->before_seconds < UNEXPLAINED_SECONDS)
		return NULL;
	account_read(pid, NULL, 0, &now);
	if (!m->before.resident_bytes || !now.resident_bytes) {
		m->before = now;
		m->before_seconds = seconds;
		return NULL;
	}
	verdict = unexplained_verdict(&m->before, &now, &bytes);
	if (!verdict)
		return NULL;
	*ret_text = judging_memory_text(verdict, bytes, seconds - m->before_seconds,
					e.bytes_per_second);
	*ret_confidence = e.confidence;
	return verdict;
}

void judged_memory_done(struct judged_memory *m)
{
	trend_destroy(m->resident);
	m->resident = NULL;
}
