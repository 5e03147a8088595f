// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/reporter.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/vec.h"
#include "daemon/accounting.h"
#include "daemon/blocks.h"
#include "daemon/checking.h"

#define SAID_MAX_BYTES (8u << 20)

struct text {
	char *items;
	size_t n, cap;
};

/* One report on its way; the thread's between submission and `done`. */
struct job {
	struct assembled report;
	char *preface;
	size_t n_preface;
	struct session_end end;
	bool last;
	int err;
	struct diag diag;
};

struct reporter {
	struct reporter_options options;
	pthread_t thread;
	bool has_thread;
	int event;
	bool busy; /* the loop's: a job is under way, or done and not settled */
	struct job job;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t wake;
	bool submitted, done, leaving;
	struct text said;
	int said_err; /* of writing what was said */
};

static int write_block(void *arg, const struct block *b)
{
	struct reporter *r = arg;

	return r->options.writer->block(r->options.writer->arg, &r->job.report.report, b);
}

static int write_report(struct reporter *r, struct job *job)
{
	const struct reporter_options *o = &r->options;
	const struct report_writer *w = o->writer;
	const struct report *report = &job->report.report;
	int err = w->report(w->arg, o->session, report);

	if (!err && o->checking)
		err = checking_report(o->checking, &job->report, w->scan, w->arg);
	if (!err && o->blocks)
		err = blocks_each(o->assembly, &job->report, write_block, r);
	if (!err)
		err = w->report_end(w->arg, o->session, report);
	if (!err && job->last)
		err = assembly_losses(o->assembly, report, &job->end.losses, &job->end.n_losses);
	if (!err && job->last && o->checking)
		err = w->check(w->arg, report->time_ns, checking_sums(o->checking));
	if (!err && job->last)
		err = w->end(w->arg, o->session, &job->end);
	free(job->end.losses);
	job->end.losses = NULL;
	return err;
}

static void do_job(struct reporter *r, struct job *job)
{
	const struct report_writer *w = r->options.writer;
	bool wanted;

	job->err = assemble_finish(r->options.assembly, &job->report, &job->diag);
	if (job->err)
		return;
	if (job->last && r->options.memory)
		accounting_fill(r->options.assembly, &job->report);
	wanted = job->last || *job->report.mark || job->report.report.n_processes ||
		 !r->options.only_if_processes;
	if (job->n_preface)
		job->err = w->text(w->arg, job->preface, job->n_preface);
	if (!job->err && wanted)
		job->err = write_report(r, job);
	if (job->err)
		w->explain(w->arg, job->err, &job->diag);
}

/* Writes what was said until now. Called and returns with the lock, which is not held meanwhile. */
static void write_said(struct reporter *r)
{
	const struct report_writer *w = r->options.writer;
	struct text said = r->said;
	int err;

	r->said = (struct text){0};
	pthread_mutex_unlock(&r->lock);
	err = w->text(w->arg, said.items, said.n);
	free(said.items);
	pthread_mutex_lock(&r->lock);
	if (err && !r->said_err) {
		r->said_err = err;
		eventfd_write(r->event, 1);
	}
}

static void *run(void *arg)
{
	struct reporter *r = arg;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		if (r->said.n && !r->said_err)
			write_said(r);
		if (r->submitted) {
			r->submitted = false;
			pthread_mutex_unlock(&r->lock);
			do_job(r, &r->job);
			pthread_mutex_lock(&r->lock);
			r->done = true;
			eventfd_write(r->event, 1);
		} else if (!r->said.n || r->said_err) {
			if (r->leaving)
				break;
			pthread_cond_wait(&r->wake, &r->lock);
		}
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int reporter_create(const struct reporter_options *options, struct reporter **ret, struct diag *d)
{
	struct reporter *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return diag_set(d, ENOMEM, "out of memory");
	r->options = *options;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = r->event < 0 ? errno : pthread_create(&r->thread, NULL, run, r);
	r->has_thread = !err;
	if (err) {
		reporter_destroy(r);
		return diag_set(d, err, "cannot start a thread: %s", strerror(err));
	}
	*ret = r;
	return 0;
}

static void job_done(struct reporter *r)
{
	assembled_settle(r->options.assembly, &r->job.report);
	free(r->job.preface);
	r->job = (struct job){0};
	r->busy = false;
}

void reporter_destroy(struct reporter *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->leaving = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (r->has_thread)
		pthread_join(r->thread, NULL);
	if (r->busy)
		job_done(r);
	if (r->event >= 0)
		close(r->event);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r->said.items);
	free(r);
}

int reporter_fd(const struct reporter *r)
{
	return r->event;
}

bool reporter_is_busy(const struct reporter *r)
{
	return r->busy;
}

void reporter_submit(struct reporter *r, struct assembled *report, char *preface, size_t n_preface,
		     const struct session_end *end)
{
	r->busy = true;
	r->job = (struct job){.report = *report, .preface = preface, .n_preface = n_preface};
	if (end) {
		r->job.end = *end;
		r->job.last = true;
	}
	pthread_mutex_lock(&r->lock);
	r->submitted = true;
	r->done = false;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

bool reporter_say(struct reporter *r, const char *text, size_t n)
{
	struct text *said = &r->said;
	bool fits;

	pthread_mutex_lock(&r->lock);
	fits = said->n + n <= SAID_MAX_BYTES;
	while (fits && said->cap < said->n + n)
		fits = !vec_reserve((void **)&said->items, &said->cap, said->cap, 1);
	if (fits) {
		memcpy(said->items + said->n, text, n);
		said->n += n;
		pthread_cond_signal(&r->wake);
	}
	pthread_mutex_unlock(&r->lock);
	return fits;
}

int reporter_settle(struct reporter *r, bool *ret_lost, struct diag *d)
{
	struct loss *losses = NULL;
	size_t n_losses = 0;
	eventfd_t n;
	bool done;
	int err;

	eventfd_read(r->event, &n);
	pthread_mutex_lock(&r->lock);
	done = r->done;
	r->done = false;
	err = r->said_err;
	pthread_mutex_unlock(&r->lock);
	if (err)
		r->options.writer->explain(r->options.writer->arg, err, d);
	if (!done)
		return err;
	if (!err && r->job.err) {
		err = r->job.err;
		*d = r->job.diag;
	}
	if (ret_lost) {
		assembly_losses(r->options.assembly, &r->job.report.report, &losses, &n_losses);
		*ret_lost = n_losses > 0;
		free(losses);
	}
	job_done(r);
	return err;
}
