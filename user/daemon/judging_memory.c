// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/judging_memory.h"

#include <string.h>

#include "analyze/trend.h"
#include "analyze/unexplained.h"
#include "daemon/judging_text.h"
#include "reach/account.h"

#define CONFIDENCE_MIN 0.5 /* that it grows */
#define EVEN_RATIO                                                                                 \
	0.7 /* the rate's lower bound beside it: so narrow is an interval of what grows evenly */

void judged_memory_add(struct judged_memory *m, double seconds, double resident_bytes)
{
	if (resident_bytes > 0 && (m->resident || !trend_create(&m->resident)))
		trend_add(m->resident, seconds, resident_bytes);
}

/* A trend is sure of itself only after minutes; that memory grew evenly until now is enough to look at what it is. */
static bool grows(const struct trend_estimate *e)
{
	if (!strcmp(e->verdict, "growing") && e->confidence >= CONFIDENCE_MIN)
		return true;
	return strcmp(e->verdict, "warming-up") != 0 && strcmp(e->verdict, "churn") != 0 &&
	       e->bytes_per_second > 0 &&
	       e->low_bytes_per_second > EVEN_RATIO * e->bytes_per_second;
}

const char *judged_memory_verdict(struct judged_memory *m, pid_t pid, double seconds,
				  double outstanding_rate, char **ret_text, double *ret_confidence)
{
	struct trend_estimate e;
	struct memory_account now;
	struct unexplained u;

	if (!m->resident)
		return NULL;
	trend_estimate(m->resident, &e);
	if (!grows(&e) || !unexplained_is(e.bytes_per_second, outstanding_rate)) {
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
	if (!unexplained_judge(&m->before, &now, &u))
		return NULL;
	*ret_text = judging_memory_text(&u, seconds - m->before_seconds, e.bytes_per_second);
	*ret_confidence = e.confidence;
	return u.verdict;
}

void judged_memory_done(struct judged_memory *m)
{
	trend_destroy(m->resident);
	m->resident = NULL;
}
