// SPDX-License-Identifier: BSD-2-Clause
#include "cli/triage_evidence.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "collect/capture.h"
#include "output/triage.h"

static void note(struct triage_evidence *e, int err)
{
	if (err && !e->err)
		e->err = err;
}

int triage_evidence_open(struct triage_evidence *e, const char *parent, pid_t pid,
			 const struct session *session, struct diag *d)
{
	time_t now = session->start_ns / NS_PER_SECOND;
	char file[sizeof(e->path) + 16], at[32];
	struct tm tm;
	int err;

	strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	if (snprintf(e->path, sizeof(e->path), "%s/seep-triage-%d-%s", parent, pid, at) >=
	    (int)sizeof(e->path))
		err = -ENAMETOOLONG;
	else
		err = mkdir(e->path, 0700) ? -errno : 0;
	if (err) {
		e->path[0] = '\0';
		return diag_set_hint(d, -err, EXIT_RUNTIME,
				     "--evidence DIR: another folder, --no-evidence: none",
				     "%s: no folder for the evidence can be made there: %s", parent,
				     strerror(-err));
	}
	snprintf(file, sizeof(file), "%s/capture.seep", e->path);
	err = capture_writer_create(file, &e->capture, d);
	if (!err)
		note(e, capture_write_session(e->capture, session));
	return err;
}

void triage_evidence_add(struct triage_evidence *e, const struct session *session,
			 const struct report *r)
{
	if (!e->capture)
		return;
	note(e, capture_write_report(e->capture, session, r));
	note(e, capture_write_report_end(e->capture, session, r));
}

static int write_text(FILE *f, const struct triage_report *t)
{
	const struct output_options options = {.verbose = true};
	int err = triage_text(f, &options, true, t);

	if (!err)
		err = output_text.report(f, &options, t->session, t->report);
	return err;
}

static int write_folded(FILE *f, const struct triage_report *t)
{
	const struct output_options options = {.is_last = true};

	return output_folded.report(f, &options, t->session, t->report);
}

static int write_profile(FILE *f, const struct triage_report *t)
{
	struct output_options options = {.is_last = true};
	int err = output_prepare(&output_pprof, &options), finish_err;

	if (!err)
		err = output_pprof.session(f, &options, t->session);
	if (!err)
		err = output_pprof.report(f, &options, t->session, t->report);
	finish_err = output_finish(&options, f);
	return err ? err : finish_err;
}

static int write_file(const struct triage_evidence *e, const char *name,
		      int (*write)(FILE *f, const struct triage_report *t),
		      const struct triage_report *t)
{
	char path[sizeof(e->path) + 32], new_path[sizeof(path) + 8];
	FILE *f;
	int err;

	snprintf(path, sizeof(path), "%s/%s", e->path, name);
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	f = fopen(new_path, "we");
	if (!f)
		return -errno;
	err = write(f, t);
	if (fclose(f) && !err)
		err = -errno;
	if (!err && rename(new_path, path))
		err = -errno;
	return err;
}

void triage_evidence_write(struct triage_evidence *e, const struct triage_report *t)
{
	if (!e->path[0])
		return;
	note(e, write_file(e, "report.txt", write_text, t));
	note(e, write_file(e, "stacks.folded", write_folded, t));
	note(e, write_file(e, "heap.pprof", write_profile, t));
}

int triage_evidence_close(struct triage_evidence *e, const struct session *session,
			  const struct session_end *end, struct diag *d)
{
	int err;

	if (!e->capture)
		return 0;
	note(e, capture_write_end(e->capture, session, end));
	err = capture_writer_destroy(e->capture);
	e->capture = NULL;
	note(e, err);
	return e->err ? diag_set(d, -e->err, "%s: the evidence could not be written whole: %s",
				 e->path, strerror(-e->err))
		      : 0;
}
