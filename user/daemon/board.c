// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/board.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/tally.h"

/* An ended process is kept for so long, unless others end. */
#define ENDED_NS (24 * NS_PER_HOUR)

struct board_view_private {
	_Atomic uint64_t n_refs;
	struct metrics_group groups[TALLY_GROUPS];
	struct tally_causes losses, truncated;
	uint32_t *group_of;
};

struct board {
	pthread_mutex_t lock; /* guards the next two */
	struct board_view *view;
	char *watched;
	_Atomic uint64_t touched_ns;
	struct tally tally; /* like the next, the writer's alone */
	struct session session;
};

int board_create(struct board **ret)
{
	struct board *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	pthread_mutex_init(&b->lock, NULL);
	tally_init(&b->tally);
	*ret = b;
	return 0;
}

void board_destroy(struct board *b)
{
	if (!b)
		return;
	board_release(b->view);
	free(b->watched);
	tally_done(&b->tally);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

struct board_view *board_take(struct board *b)
{
	struct board_view *v;

	pthread_mutex_lock(&b->lock);
	v = b->view;
	if (v)
		atomic_fetch_add(&v->private_->n_refs, 1);
	pthread_mutex_unlock(&b->lock);
	return v;
}

void board_release(struct board_view *v)
{
	if (!v || atomic_fetch_sub(&v->private_->n_refs, 1) > 1)
		return;
	report_copy_unref(v->now);
	for (size_t i = 0; i < v->n_ended; i++)
		report_copy_unref(v->ended[i]);
	free(v->private_->group_of);
	free(v->private_);
	free(v);
}

char *board_take_watched(struct board *b)
{
	char *text;

	pthread_mutex_lock(&b->lock);
	text = b->watched ? strdup(b->watched) : NULL;
	pthread_mutex_unlock(&b->lock);
	return text;
}

void board_touch(struct board *b)
{
	atomic_store(&b->touched_ns, clock_monotonic_ns());
}

uint64_t board_untouched_ns(struct board *b)
{
	uint64_t touched_ns = atomic_load(&b->touched_ns), now_ns = clock_monotonic_ns();

	return touched_ns && now_ns > touched_ns ? now_ns - touched_ns : 0;
}

static struct board_view *new_view(struct board *b)
{
	struct board_view *v = calloc(1, sizeof(*v));

	if (v)
		v->private_ = calloc(1, sizeof(*v->private_));
	if (!v || !v->private_) {
		free(v);
		return NULL;
	}
	v->private_->n_refs = 1;
	v->session = &b->session;
	return v;
}

static void put_up(struct board *b, struct board_view *v)
{
	struct board_view *before;

	pthread_mutex_lock(&b->lock);
	before = b->view;
	b->view = v;
	pthread_mutex_unlock(&b->lock);
	board_release(before);
}

/* The session's strings are the tracer's, which may end before its readers do: it is destroyed after them. */
static int write_session(void *arg, const struct session *s)
{
	struct board *b = arg;
	struct board_view *v = new_view(b);

	if (!v)
		return -ENOMEM;
	b->session = *s;
	put_up(b, v);
	return 0;
}

/* Who ended by this report first, then who was there before. */
static int keep_ended(struct board_view *v, const struct report *r, const struct board_view *before,
		      bool *wanted)
{
	for (size_t i = r->n_processes; i-- && v->n_ended < BOARD_ENDED_MAX;) {
		int err;

		if (!r->processes[i].final)
			continue;
		memset(wanted, 0, r->n_processes * sizeof(*wanted));
		wanted[i] = true;
		err = report_copy_create(r, wanted, BOARD_ENDED_SITES, &v->ended[v->n_ended]);
		if (err)
			return err;
		v->n_ended++;
	}
	for (size_t i = 0; i < before->n_ended && v->n_ended < BOARD_ENDED_MAX; i++)
		if (before->ended[i]->report.time_ns + ENDED_NS > r->time_ns)
			v->ended[v->n_ended++] = report_copy_ref(before->ended[i]);
	return 0;
}

static void set_metrics(struct board *b, struct board_view *v)
{
	const struct tally *t = &b->tally;
	struct board_view_private *p = v->private_;

	memcpy(p->groups, t->groups, sizeof(p->groups));
	p->losses = t->losses;
	p->truncated = t->truncated;
	v->metrics = (struct metrics){
		.session = v->session,
		.report = &v->now->report,
		.group_of = p->group_of,
		.groups = p->groups,
		.n_groups = t->n_groups,
		.losses = p->losses.items,
		.n_losses = p->losses.n,
		.truncated = p->truncated.items,
		.n_truncated = p->truncated.n,
		.n_reports = t->n_reports,
		.n_sites_omitted = v->now->n_sites_omitted,
	};
}

static int fill_view(struct board *b, struct board_view *v, const struct report *r, bool *wanted)
{
	uint32_t *group_of = v->private_->group_of;
	size_t n = 0;
	int err = tally_add(&b->tally, r, group_of);

	if (!err)
		err = keep_ended(v, r, b->view, wanted);
	for (size_t i = 0; i < r->n_processes; i++) {
		wanted[i] = !r->processes[i].final;
		if (wanted[i])
			group_of[n++] = group_of[i];
	}
	if (!err)
		err = report_copy_create(r, wanted, BOARD_SITES, &v->now);
	if (!err)
		set_metrics(b, v);
	return err;
}

/* b->view is read without the lock: only this thread changes it. */
static int write_report(void *arg, const struct session *s, const struct report *r)
{
	struct board *b = arg;
	struct board_view *v = new_view(b);
	bool *wanted = calloc(r->n_processes + 1, sizeof(*wanted));
	int err = -ENOMEM;

	(void)s;
	if (v)
		v->private_->group_of = calloc(r->n_processes + 1, sizeof(*v->private_->group_of));
	if (v && wanted && v->private_->group_of)
		err = fill_view(b, v, r, wanted);
	free(wanted);
	if (err)
		board_release(v);
	else
		put_up(b, v);
	return err;
}

static int write_report_end(void *arg, const struct session *s, const struct report *r)
{
	(void)arg;
	(void)s;
	(void)r;
	return 0;
}

static int write_end(void *arg, const struct session *s, const struct session_end *e)
{
	(void)arg;
	(void)s;
	(void)e;
	return 0;
}

static int write_text(void *arg, const char *text, size_t n)
{
	struct board *b = arg;
	char *copy = strndup(text, n), *before;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&b->lock);
	before = b->watched;
	b->watched = copy;
	pthread_mutex_unlock(&b->lock);
	free(before);
	return 0;
}

static void explain(void *arg, int err, struct diag *d)
{
	(void)arg;
	diag_set(d, -err, "cannot keep the report: %s", strerror(-err));
}

struct report_writer board_writer(struct board *b)
{
	return (struct report_writer){
		.session = write_session,
		.report = write_report,
		.report_end = write_report_end,
		.end = write_end,
		.text = write_text,
		.explain = explain,
		.arg = b,
	};
}
