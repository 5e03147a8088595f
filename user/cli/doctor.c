// SPDX-License-Identifier: BSD-2-Clause
/* seep doctor: what this host and a process allow. */
#include "cli/doctor.h"

#include <errno.h>

#include "attach/cover.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "process/identity.h"

static const enum link_kind links[] = {
	[OPTIONS_LINK_BEST] = 0,
	[OPTIONS_LINK_SESSION] = LINK_SESSION,
	[OPTIONS_LINK_MULTI] = LINK_MULTI,
	[OPTIONS_LINK_PERF] = LINK_PERF,
};

/* What went wrong goes to stderr, after what was found out before. */
static int show_target(const struct doctor_format *format, const struct doctor_view *v,
		       const struct host *host, struct cover *cover, pid_t pid)
{
	_cleanup_free_ struct target *t = calloc(1, sizeof(*t));
	struct diag d = {0};
	int err;

	if (!t)
		return EXIT_RUNTIME;
	err = target_examine(cover, pid, t, &d);
	if (t->id.pid)
		format->target(v, host, t);
	target_done(t);
	fflush(v->f);
	return err ? log_diag(&d) : EXIT_DONE;
}

/* All processes are looked at, whatever is wrong with one. Returns the first exit code that is
 * not 0. */
static int show_targets(const struct doctor_options *o, const struct doctor_format *format,
			const struct doctor_view *v, const struct host *host)
{
	const struct cover_options all = {0};
	int code = host->can_trace ? EXIT_DONE : EXIT_REFUSED;
	struct cover *cover = NULL;
	struct diag d = {0};

	if (!o->pids.n)
		return code;
	if (cover_create(NULL, &all, &cover, &d))
		return log_diag(&d);
	for (size_t i = 0; i < o->pids.n && !ferror(v->f); i++) {
		int r = show_target(format, v, host, cover, o->pids.items[i]);

		code = code ? code : r;
	}
	cover_destroy(cover);
	return code;
}

/* Nobody is to wait for measurements who mistyped a pid. Returns whether there is a process to look at, or none was asked for. */
static bool any_is_there(const struct doctor_options *o, struct diag *d)
{
	uint64_t ticks;

	for (size_t i = 0; i < o->pids.n; i++)
		if (!identity_start_ticks(o->pids.items[i], &ticks))
			return true;
	if (o->pids.n)
		diag_set(d, ESRCH, "no process has the pid %d", o->pids.items[0]);
	return !o->pids.n;
}

int cmd_doctor(int argc, char **argv)
{
	const struct doctor_view v = {stdout, terminal_width(NULL)};
	const struct doctor_format *format;
	_cleanup_free_ struct host *host = calloc(1, sizeof(*host));
	struct doctor_options o;
	struct diag d = {0};
	int r = doctor_options_parse(argc, argv, &o, &d);

	if (r)
		return command_settle(&command_doctor, r, &d);
	format = o.format == OPTIONS_FORMAT_NDJSON ? &doctor_ndjson : &doctor_text;
	if (!host || !any_is_there(&o, &d)) {
		doctor_options_done(&o);
		return host ? log_diag(&d) : EXIT_RUNTIME;
	}
	host_examine(links[o.link], host);
	format->host(&v, host);
	fflush(stdout);
	r = show_targets(&o, format, &v, host);
	doctor_options_done(&o);
	return r;
}
