// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/judging_triage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/judging_text.h"
#include "model/scan_report.h"
#include "output/output.h"

#define SURE 0.5 /* confidence from which on a trend of memory makes a verdict */
/* Unreachable blocks, and their share of what was allocated meanwhile and is there, that prove a leak. */
#define PROOF_BLOCKS 5
#define PROOF_SHARE 0.02
#define PROOF_CONFIDENCE 0.95
/* Of what is reachable or open: as much as this open is no whole scan. */
#define OPEN_MOST 0.5
#define EVEN_RATIO                                                                                 \
	0.7 /* the rate's lower bound beside it: so narrow is that of what grows evenly */

static bool is(const char *verdict, const char *what)
{
	return verdict && !strcmp(verdict, what);
}

static bool grows(const struct site *s)
{
	return !s->suppressed && (is(s->verdict, "leak") || is(s->verdict, "growing"));
}

/* Those that nothing points to, not even another one that is lost. */
static struct scan_count roots_of(const struct scan_count *direct, const struct scan_count *cycle)
{
	return (struct scan_count){direct->n + cycle->n, direct->bytes + cycle->bytes};
}

static bool is_proof(const struct scan_count *lost, uint64_t of_bytes)
{
	return lost->n >= PROOF_BLOCKS && lost->bytes >= PROOF_SHARE * of_bytes;
}

/* What nothing points to is lost for sure, as far as pointers can be told; a handful may be other programs' way to hide them. */
static bool proves_leak(const struct scan_report *s)
{
	struct scan_count roots = roots_of(&s->direct, &s->cycle);

	return is_proof(&roots, s->reachable.bytes + roots.bytes);
}

/* What growing sites lost. Beside a large cache that is next to nothing of all, but it is that site's verdict. */
static struct scan_count lost_by_growing(const struct triage_report *t, bool *ret_proof)
{
	struct scan_count lost = {0};

	*ret_proof = false;

	for (size_t i = 0; t->scan && i < t->scan->n_leaks; i++) {
		const struct scan_leak *leak = &t->scan->leaks[i];
		struct scan_count roots = roots_of(&leak->direct, &leak->cycle);

		const struct site *site = &t->report->sites[leak->site];

		if (!grows(site))
			continue;
		lost.n += roots.n;
		lost.bytes += roots.bytes;
		*ret_proof |= is_proof(&roots, site->outstanding_bytes);
	}
	return lost;
}

/* The scan saw all that there is to see. */
static bool is_whole(const struct triage_report *t, const struct process_report *p)
{
	const struct scan_report *s = t->scan;

	return s && t->session->mode == REPORT_EXACT && !p->estimated && s->reachable.n &&
	       s->open.bytes < OPEN_MOST * (s->reachable.bytes + s->open.bytes);
}

/* By its size, though too short for a trend that is sure of itself. */
static bool grows_evenly(const struct triage_memory *m)
{
	return !is(m->verdict, "warming-up") && !is(m->verdict, "churn") &&
	       m->growth_bytes_per_second > 0 &&
	       m->growth_low_bytes_per_second > EVEN_RATIO * m->growth_bytes_per_second;
}

/* Once in windows, what was freed is never all known: time does not help, a larger budget does. */
static void fill_partly_seen(struct triage_report *t, bool memory_grows)
{
	if (memory_grows) {
		t->verdict = "growing";
		t->confidence = t->memory.confidence;
	}
	t->evidence = memory_grows
			      ? "its memory grows; its allocations were seen in part, within the "
				"budget: '--budget 0' sees all"
			      : "its allocations were seen in part, within the budget: look again, "
				"with '--budget 0' or a larger one";
}

static bool grows_by_its_record(const struct process_report *p)
{
	return is(p->verdict, "leak") || is(p->verdict, "growing") ||
	       is(p->verdict, "fragmentation") || is(p->verdict, "outside-malloc");
}

static void fill_proven(struct triage_report *t, const struct process_report *p, char *text)
{
	struct scan_count lost = roots_of(&t->scan->direct, &t->scan->cycle);
	char bytes[FORMAT_SIZE];

	t->verdict = "leak";
	t->confidence = fmax(PROOF_CONFIDENCE, p->confidence);
	t->evidence = "it loses the last pointers to what it allocates";
	format_bytes(lost.bytes, bytes);
	if (p->evidence && snprintf(text, TRIAGE_TEXT_SIZE,
				    "%s; nothing points to %s of what it allocated any more",
				    p->evidence, bytes) < TRIAGE_TEXT_SIZE)
		t->evidence = text;
}

/* A list that nobody empties looks like this, and so does a cache that is still filling: only who wrote it knows, but now they know where
 * to look. */
static void fill_kept(struct triage_report *t, struct report *report, char *text)
{
	struct process_report *p = &report->processes[t->process];
	const struct site *fastest = NULL;
	_cleanup_free_ char *who = NULL;
	double rate = 0;
	size_t n = 0;

	for (size_t i = 0; i < report->n_sites; i++) {
		struct site *s = &report->sites[i];

		if (s->process != t->process || !grows(s))
			continue;
		s->verdict = "growing";
		if (isnan(s->growth_bytes_per_second))
			continue;
		n++;
		rate += s->growth_bytes_per_second;
		if (!fastest || s->growth_bytes_per_second > fastest->growth_bytes_per_second)
			fastest = s;
	}
	if (fastest)
		who = judging_process_text("grow", n, rate, fastest->fingerprint);
	snprintf(
		text, TRIAGE_TEXT_SIZE,
		"%s%sall of it still in reach: a list or table that nobody empties, or a cache still filling",
		who ? who : "", who ? "; " : "");
	t->kept = true;
	t->verdict = p->verdict = "growing";
	t->confidence = p->confidence =
		fmax(p->confidence, is(t->memory.verdict, "growing") ? t->memory.confidence : 0);
	t->evidence = p->evidence = text;
}

static void fill_by_memory(struct triage_report *t, bool memory_grows)
{
	t->confidence = t->memory.confidence;
	if (!memory_grows) {
		t->verdict = t->memory.verdict;
		t->evidence = "by the size of its memory alone";
		return;
	}
	t->verdict = "growing";
	t->evidence =
		t->session->mode == REPORT_SAMPLED_PAGES
			? "its memory grows; the stacks below touch the new pages"
			: "its memory grows, what it allocates and keeps does not; too early to "
			  "say whether malloc's heap does";
}

void judging_triage(struct triage_report *t, struct report *report, char text[TRIAGE_TEXT_SIZE])
{
	const struct process_report *p = &report->processes[t->process];
	bool memory_grows = is(t->memory.verdict, "growing"), sure = t->memory.confidence >= SURE;
	bool proof;
	struct scan_count lost = lost_by_growing(t, &proof);

	t->verdict = p->verdict;
	t->confidence = p->confidence;
	t->evidence = p->evidence;
	if (t->scan && (proof || proves_leak(t->scan)))
		fill_proven(t, p, text);
	else if ((is(p->verdict, "leak") || is(p->verdict, "growing")) && is_whole(t, p) && !lost.n)
		fill_kept(t, report, text);
	else if (t->final && p->estimated && is(p->verdict, "unknown") &&
		 t->session->mode == REPORT_EXACT)
		fill_partly_seen(t, (memory_grows && sure) || grows_evenly(&t->memory));
	else if (sure && ((memory_grows && !grows_by_its_record(p)) ||
			  (is(p->verdict, "unknown") && !is(t->memory.verdict, "unknown"))))
		fill_by_memory(t, memory_grows);
	else if (is(p->verdict, "unknown"))
		t->evidence =
			t->final
				? "nothing is sure after so short a time: look longer, with --for 5m"
				: "the first look is too short for one";
}
