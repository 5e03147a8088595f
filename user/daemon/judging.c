// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/judging.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/judge.h"
#include "base/clock.h"
#include "base/vec.h"
#include "collect/birth.h"
#include "daemon/accounting.h"
#include "daemon/judging_memory.h"
#include "daemon/judging_text.h"

#define STRANGE_SMOOTHING 0.6 /* weight of what was known before the last reading */

struct judged_process {
	uint64_t reading;
	struct judge_frame frame;
	uint64_t strange_frees;
	double seconds;
	uint32_t pid;
	uint64_t start_ns; /* of the process, CLOCK_REALTIME */
	struct judged_memory memory;
	struct judging_room room;
	bool blind; /* frees went unseen for a while: what is outstanding may be long gone */
};

void judging_begin(struct judging *j, uint64_t session_ns)
{
	j->session_ns = session_ns;
	for (unsigned i = 0; i <= COHORT_SLOTS; i++)
		j->edges[i] = (double)birth_slot_start_ns(i) / NS_PER_SECOND;
}

static double seconds_of(const struct judging *j, uint64_t time_ns)
{
	return time_ns > j->session_ns ? (double)(time_ns - j->session_ns) / NS_PER_SECOND : 0;
}

void judging_start(struct judging *j)
{
	j->reading++;
	judged_sites_begin(&j->sites);
}

/* How fast it frees what was there before the trace. */
static void note_strange(struct judged_process *p, uint64_t frees, double seconds)
{
	double rate, *known = &p->frame.strange_frees_per_second;

	if (seconds <= p->seconds)
		return;
	rate = (double)(frees - p->strange_frees) / (seconds - p->seconds);
	*known = p->seconds > p->frame.began_seconds
			 ? STRANGE_SMOOTHING * *known + (1 - STRANGE_SMOOTHING) * rate
			 : rate;
	p->strange_frees = frees;
	p->seconds = seconds;
}

static void note_room(struct judged_process *p, const struct process_report *report)
{
	p->room.whose = !report->limit_bytes || !report->rss_bytes ? NULL
			: report->container			   ? "container"
								   : "cgroup";
	p->room.bytes = report->limit_bytes > report->rss_bytes
				? (double)(report->limit_bytes - report->rss_bytes)
				: 0;
}

void judging_process(struct judging *j, const struct snapshot *s,
		     const struct snapshot_process *from, const struct process_report *report)
{
	struct judged_process *p = hashmap_get(&j->processes, from->instance);

	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p || hashmap_put(&j->processes, from->instance, p)) {
			free(p);
			return;
		}
		p->frame.edges = j->edges;
		p->frame.began_seconds = seconds_of(j, from->began_ns);
		p->frame.age_seconds = report->seen_from_seconds;
		p->seconds = p->frame.began_seconds;
	}
	p->reading = j->reading;
	p->pid = report->pid;
	p->start_ns = report->start_ns;
	note_room(p, report);
	if (!j->pages)
		judged_memory_add(&p->memory, seconds_of(j, s->time_ns), report->rss_bytes);
	p->blind |= report->mode && strcmp(report->mode, "exact") != 0 &&
		    strcmp(report->mode, "sampled") != 0;
	note_strange(p, from->unknown_frees + from->inherited_frees, seconds_of(j, s->time_ns));
}

static void keep_text(struct note_list *texts, char *text, const char **ret)
{
	if (!text || vec_push(texts, text))
		free(text);
	else
		*ret = text;
}

void judging_site(struct judging *j, const struct snapshot *s, const struct snapshot_site *from,
		  uint64_t fingerprint)
{
	if (hashmap_get(&j->processes, from->instance))
		judged_sites_add(&j->sites, s, from, fingerprint);
}

/* What cannot be known now stays as it was. */
static void fill_survival(struct judged_site *site, const struct judge_frame *frame,
			  struct site *to)
{
	for (size_t i = 0; i < SITE_AGES; i++) {
		double share = judge_survival(site->judge, frame, site_age_seconds[i]);

		site->survival[i] = isnan(share) ? site->survival[i] : share;
		to->survival[i] = site->survival[i];
	}
}

void judging_fill(struct judging *j, const struct snapshot_site *from, struct site *to,
		  struct note_list *texts)
{
	const struct judged_process *p = hashmap_get(&j->processes, from->instance);
	struct judged_site *site = p && !p->blind ? judged_sites_get(&j->sites, from) : NULL;
	struct judge_frame frame;
	struct judgement judgement;

	if (!site)
		return;
	frame = p->frame;
	/* A page is touched once, whoever uses it then; of an unknown stack everybody is one. */
	frame.may_leak = from->stack && (from->kind == SITE_MALLOC || from->kind == SITE_MMAP ||
					 from->kind == SITE_KERNEL);
	judge_site(site->judge, &frame, &judgement);
	fill_survival(site, &frame, to);
	to->verdict = judgement.verdict;
	to->confidence = judgement.confidence;
	if (!site->asked && !isnan(judgement.bytes_per_second))
		to->growth_bytes_per_second = judgement.bytes_per_second;
	site->asked = true;
	keep_text(texts, judging_site_text(&judgement, &p->room, clock_realtime_ns()),
		  &to->evidence);
}

static bool drop_old_process(void *judging, void *judged)
{
	const struct judging *j = judging;
	struct judged_process *p = judged;

	if (p->reading == j->reading)
		return false;
	judged_memory_done(&p->memory);
	free(p);
	return true;
}

void judging_end(struct judging *j, const struct snapshot *s)
{
	judged_sites_end(&j->sites, seconds_of(j, s->time_ns));
	hashmap_sweep(&j->processes, drop_old_process, j);
}

void judging_done(struct judging *j)
{
	j->reading++;
	judged_sites_done(&j->sites);
	hashmap_sweep(&j->processes, drop_old_process, j);
	hashmap_done(&j->processes);
}

struct sums {
	const struct site *leak, *growing; /* the one that grows fastest */
	size_t n_leaks, n_growing;
	double leak_rate, growing_rate; /* bytes a second */
	uint64_t warming_bytes, steady_bytes, churn_bytes, unknown_bytes;
};

static void add_site(struct sums *s, const struct site *site)
{
	double rate = site->growth_bytes_per_second;

	if (site->suppressed)
		return;
	if (!strcmp(site->verdict, "leak")) {
		s->n_leaks++;
		s->leak_rate += rate;
		if (!s->leak || rate > s->leak->growth_bytes_per_second)
			s->leak = site;
	} else if (!strcmp(site->verdict, "growing")) {
		s->n_growing++;
		s->growing_rate += rate;
		if (!s->growing || rate > s->growing->growth_bytes_per_second)
			s->growing = site;
	} else if (!strcmp(site->verdict, "warming-up")) {
		s->warming_bytes += site->outstanding_bytes;
	} else if (!strcmp(site->verdict, "steady")) {
		s->steady_bytes += site->outstanding_bytes;
	} else if (!strcmp(site->verdict, "churn")) {
		s->churn_bytes += site->outstanding_bytes + 1;
	} else {
		s->unknown_bytes += site->outstanding_bytes;
	}
}

/* What most of what is outstanding is, where nothing grows. */
static const char *calm_verdict(const struct sums *s)
{
	uint64_t known = s->warming_bytes + s->steady_bytes + s->churn_bytes;

	if (s->unknown_bytes > known || !known)
		return "unknown";
	if (s->warming_bytes > s->steady_bytes && s->warming_bytes > s->churn_bytes)
		return "warming-up";
	return s->steady_bytes >= s->churn_bytes ? "steady" : "churn";
}

/* Its sites speak first. */
static bool sum_sites(const struct sums *s, struct process_report *p, struct note_list *texts)
{
	const struct site *site = s->leak ? s->leak : s->growing;
	size_t n = s->leak ? s->n_leaks : s->n_growing;
	double rate = s->leak ? s->leak_rate : s->growing_rate;

	if (!site)
		return false;
	p->verdict = site->verdict;
	p->confidence = site->confidence;
	keep_text(texts,
		  judging_process_text(s->leak ? "leak" : "grow", n, rate, site->fingerprint),
		  &p->evidence);
	return true;
}

/* Behind what is said already. */
static void add_text(struct note_list *texts, char *text, const char **ret)
{
	char *both;

	if (!*ret || !text) {
		keep_text(texts, text, ret);
		return;
	}
	if (asprintf(&both, "%s; besides, %s", *ret, text) < 0)
		both = NULL;
	free(text);
	keep_text(texts, both, ret);
}

/* Memory that is not outstanding; a leak stays one, whatever else grows. Worth a look only where so few are traced that it costs
 * nothing to speak of. */
static void judge_memory(struct judging *j, const struct report *r, const struct sums *s,
			 struct process_report *p, struct note_list *texts)
{
	struct judged_process *judged;
	const char *verdict;
	size_t cursor = 0;
	double confidence;
	char *text;

	if (r->n_processes > ACCOUNTING_MOST || p->ended || !p->pid)
		return;
	while ((judged = hashmap_next(&j->processes, &cursor, NULL)))
		if (judged->pid == p->pid && judged->start_ns == p->start_ns)
			break;
	if (!judged)
		return;
	verdict = judged_memory_verdict(&judged->memory, p->pid, judged->seconds,
					s->leak_rate + s->growing_rate, &text, &confidence);
	if (!verdict)
		return;
	/* An allocator other than glibc's has its heap there, too. */
	if (judged->blind && !strcmp(verdict, "outside-malloc")) {
		free(text);
		return;
	}
	if (strcmp(p->verdict, "leak") != 0) {
		p->verdict = verdict;
		p->confidence = confidence;
		p->evidence = NULL;
	}
	add_text(texts, text, &p->evidence);
}

void judging_sum(struct judging *j, struct report *r, struct note_list *texts)
{
	struct sums *sums = calloc(r->n_processes + 1, sizeof(*sums));

	for (size_t i = 0; i < r->n_sites && sums; i++)
		add_site(&sums[r->sites[i].process], &r->sites[i]);
	for (size_t i = 0; i < r->n_processes && sums; i++) {
		struct process_report *p = &r->processes[i];

		if (!sum_sites(&sums[i], p, texts))
			p->verdict = calm_verdict(&sums[i]);
		judge_memory(j, r, &sums[i], p, texts);
	}
	free(sums);
}
