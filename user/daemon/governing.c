// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/governing.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach/calibrate_cache.h"
#include "attach/governor.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/trace_options.h"
#include "daemon/traced.h"
#include "daemon/tracing.h"

int governing_prepare(struct tracing *t, const struct trace_options *options, struct diag *d)
{
	static const enum link_kind links[] = {
		[OPTIONS_LINK_SESSION] = LINK_SESSION,
		[OPTIONS_LINK_MULTI] = LINK_MULTI,
		[OPTIONS_LINK_PERF] = LINK_PERF,
	};
	int err;

	if (!options->budget_percent)
		return 0;
	t->costs = calloc(1, sizeof(*t->costs));
	if (!t->costs)
		return diag_set(d, ENOMEM, "out of memory");
	err = calibrate_cached(options->link == OPTIONS_LINK_BEST ? 0 : links[options->link],
			       t->costs, d);
	if (!err && options->verbose)
		log_info("a hit costs %.0f ns here, with a return %.0f; a pair recorded %.0f",
			 t->costs->emulated.floor_ns, t->costs->emulated.floor_with_return_ns,
			 t->costs->emulated.allocate_ns + t->costs->emulated.free_ns);
	return err;
}

int governing_start(struct tracing *t, const struct trace_options *options, struct diag *d)
{
	const struct governor_options governor = {
		.budget = options->budget_percent / 100.0,
		.base_interval = options->sample_bytes,
		.allowed_anyway = options->allowed_anyway,
	};

	if (!t->costs)
		return 0;
	t->budget_percent = options->budget_percent;
	return governor_create(t->kernel, t->cover, t->costs, &governor, &t->governor, d);
}

void governing_stop(struct tracing *t)
{
	governor_destroy(t->governor);
	t->governor = NULL;
	free(t->costs);
	t->costs = NULL;
}

void governing_excuse(struct tracing *t, struct snapshot_process *p)
{
	struct governor_state state;

	if (!t->governor || !governor_get(t->governor, p->instance, &state) || !state.missed_frees)
		return;
	for (size_t i = 0; i < p->n_losses; i++)
		if (!strcmp(p->losses[i].cause, "missed_frees"))
			p->losses[i--] = p->losses[--p->n_losses];
}

static const char *mode_name(enum govern_mode mode)
{
	switch (mode) {
	case GOVERN_EXACT:
		return "exact";
	case GOVERN_SAMPLED:
		return "sampled";
	case GOVERN_WINDOWS:
		return "windows";
	case GOVERN_DETACHED:
		break;
	}
	return "detached";
}

static void clock_text(uint64_t since_ns, char ret[16])
{
	uint64_t age_ns = clock_monotonic_ns() - since_ns;
	time_t at = (clock_realtime_ns() - age_ns) / NS_PER_SECOND;
	struct tm tm;

	strftime(ret, 16, "%H:%M:%S", localtime_r(&at, &tm));
}

/* What a person is to know of the mode; "" for nothing. */
static void describe(const struct tracing *t, const struct governor_state *s, char *ret, size_t n)
{
	static const char *const sentences[] = {
		[GOVERN_EXACT] = "exact since %s: %s",
		[GOVERN_SAMPLED] = "sampled since %s: %s",
		[GOVERN_WINDOWS] = "recorded in windows of time since %s: %s",
		[GOVERN_DETACHED] = "without probes since %s: %s",
	};
	static const char upper[] =
		"; what was freed while no probes stood counts as outstanding until its address comes "
		"back";
	static const char early[] =
		"; no window has passed yet, what it allocated since then is in no figure";
	static const char unseen[] = "; no allocation of it was among those";
	char at[16], why[96], text[160];

	ret[0] = '\0';
	if (!s->inexact)
		return;
	clock_text(s->since_ns, at);
	if (s->mode == GOVERN_EXACT)
		snprintf(why, sizeof(why), "the load has fallen");
	else if (s->cause_ratio > 0)
		snprintf(why, sizeof(why),
			 "probes %scost %.*f%% of %s CPU time, the budget is %u%%",
			 s->shared ? "that all share " : "", s->cause_ratio < 0.1,
			 fmin(s->cause_ratio, 1e4) * 100, s->shared ? "the" : "its",
			 t->budget_percent);
	else
		snprintf(why, sizeof(why), "as it was when it began");
	snprintf(text, sizeof(text), sentences[s->mode], at, why);
	snprintf(ret, n, "%s%s%s%s", text, s->mode == GOVERN_WINDOWS && s->error == 0 ? early : "",
		 s->unseen ? unseen : "", s->missed_frees ? upper : "");
}

void governing_fill(struct tracing *t, instance_id instance, struct process_report *to)
{
	struct governor_state state;
	char text[512];

	if (!t->governor || !governor_get(t->governor, instance, &state))
		return;
	to->overhead_ratio = state.overhead_ratio;
	to->mode = mode_name(state.mode);
	to->sample_interval_bytes = state.sample_interval;
	to->duty = state.duty;
	to->estimated = state.inexact;
	to->joint_error = state.error;
	describe(t, &state, text, sizeof(text));
	to->governed = text[0] ? strings_intern(&t->strings, text) : NULL;
}

void governing_forget(struct tracing *t, instance_id instance)
{
	if (t->governor)
		governor_forget(t->governor, instance);
}
