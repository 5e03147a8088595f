// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/option_spec.h"
#include "daemon/listen.h"

/* What the options below show of it; the rest of trace's are as in seep trace. */
static const struct serve_options defaults = {
	.trace =
		{
			.escalate_ns = 60 * NS_PER_SECOND,
			.escalate_most = 3,
			.max_outstanding = 1000000,
			.max_sites = 65536,
			.budget_percent = 5,
			.interval_ns = 15 * NS_PER_SECOND,
		},
};

static const struct option_spec operands[] = {
	{.argument = "INTERVAL",
	 OPTION_INTO_DURATION(struct serve_options, trace.interval_ns),
	 .unit_ns = NS_PER_SECOND,
	 .min = 100 * NS_PER_MS,
	 .max = NS_PER_HOUR,
	 .help = "time between reports, which is how old an answer may be; a plain number is seconds"},
};

#define TARGET .group = "What to trace"
#define WHERE .group = "Where to listen"
#define LIMIT .group = "Limits"

static const struct option_spec options[] = {
	{"pid", 'p', "PID,...", OPTION_INTO_PIDS(struct serve_options, trace.pids), TARGET,
	 .help = "running processes, all the time",
	 .man = "When they have ended, what was found about them is served until seep is ended."},
	{"comm", 0, "GLOB", OPTION_INTO_STRING(struct serve_options, trace.select.comm_glob),
	 TARGET, .help = "processes with this name, all the time, also those that start later"},
	{"exe", 0, "GLOB", OPTION_INTO_STRING(struct serve_options, trace.select.exe_glob), TARGET,
	 .help = "processes that run this file; without a slash its last part counts"},
	{"cgroup", 0, "PATH", OPTION_INTO_PATH(struct serve_options, trace.select.cgroup), TARGET,
	 .help = "processes of this cgroup and of those below it"},
	{"container", 0, "ID|NAME",
	 OPTION_INTO_STRING(struct serve_options, trace.select.container), TARGET,
	 .help = "processes of this container, by id, beginning of an id, or name"},
	{"user", 0, "USER", OPTION_INTO_STRING(struct serve_options, trace.select.user), TARGET,
	 .help = "processes whose effective user this is, by name or number",
	 .man = "Several of these options: what matches all of them, as in seep-trace(1)."},
	{"all", 0, NULL, OPTION_INTO_FLAG(struct serve_options, trace.select.everything), TARGET,
	 .help = "every process of the host, all the time"},
	{"escalate", 0, NULL, OPTION_INTO_FLAG(struct serve_options, trace.escalate), TARGET,
	 .help = "watch, and trace those whose memory grows; what it does without any target",
	 .man = "With --comm and its like: those of the processes that match. See WATCHING FIRST in "
		"seep-trace(1)."},
	{"escalate-for", 0, "DURATION",
	 OPTION_INTO_DURATION(struct serve_options, trace.escalate_ns), TARGET,
	 .unit_ns = NS_PER_SECOND, .min = NS_PER_SECOND, .max = 24 * NS_PER_HOUR,
	 .help = "how long each suspect is traced"},
	{"escalate-most", 0, "N", OPTION_INTO_COUNT(struct serve_options, trace.escalate_most),
	 TARGET, .min = 1, .max = 1000, .help = "suspects traced at once, the worst first"},
	{"suppressions", 0, "FILE", OPTION_INTO_PATH(struct serve_options, trace.suppressions),
	 TARGET, .help = "leave out call sites by rules, as for LeakSanitizer or valgrind",
	 .man = "In profiles they are one sample [suppressed], in metrics part of [other]."},

	{"listen", 0, "ADDR:PORT", OPTION_INTO_STRING(struct serve_options, listen), WHERE,
	 .help = "also listen at this address, such as 127.0.0.1:9754; port 0: any",
	 .man = "ADDR is a number or localhost. At others than this machine's loopback everybody "
		"who gets there could read what programs do: that needs --insecure."},
	{"socket", 0, "PATH", OPTION_INTO_PATH(struct serve_options, socket), WHERE,
	 .help = "the unix socket's path, instead of serve.sock in seep's own directory",
	 .man = "See THE SOCKET. Only its user and root can connect to it."},
	{"insecure", 0, NULL, OPTION_INTO_FLAG(struct serve_options, insecure), WHERE,
	 .help = "with --listen: any address, open to whoever gets there"},

	{"budget", 0, "PERCENT", OPTION_INTO_COUNT(struct serve_options, trace.budget_percent),
	 LIMIT, .max = 100,
	 .help = "CPU time that probes may cost, in percent of each process's own; 0: no bound",
	 .man = "See GOVERNOR in seep-trace(1)."},
	{"max-outstanding", 0, "N", OPTION_INTO_COUNT(struct serve_options, trace.max_outstanding),
	 LIMIT, .min = 1, .max = 100000000,
	 .help = "outstanding blocks to keep, of all processes together"},
	{"max-sites", 0, "N", OPTION_INTO_COUNT(struct serve_options, trace.max_sites), LIMIT,
	 .min = 1, .max = 16000000, .help = "call sites to keep, of all processes together"},

	{"verbose", 'v', NULL, OPTION_INTO_FLAG(struct serve_options, trace.verbose),
	 .group = "Other", .help = "say more about what is being done, on stderr"},
	{"quiet", 'q', NULL, OPTION_INTO_FLAG(struct serve_options, trace.quiet), .group = "Other",
	 .help = "only errors on stderr"},
	OPTION_ASKS,
};
_Static_assert(ARRAY_SIZE(options) <= OPTIONS_MAX, "make OPTIONS_MAX larger");

static const char *const synopsis[] = {
	"[OPTIONS] [INTERVAL]",
	"[OPTIONS] {-p PID,...|--comm GLOB|...} [INTERVAL]",
	NULL,
};

static const struct example examples[] = {
	{"seep serve --listen 127.0.0.1:9754",
	 "the host: watched, who grows is traced for a minute; for a Prometheus on it"},
	{"seep serve --comm 'php-fpm*' 60", "these processes, all the time, within the budget"},
	{"curl --unix-socket /run/seep/serve.sock http://localhost/metrics",
	 "what Prometheus would read"},
	{"go tool pprof -top http://127.0.0.1:9754/debug/pprof/heap?pid=1234",
	 "who holds what in process 1234"},
};

static const struct manual_section sections[] = {
	{"WHAT IT SERVES",
	 "All is about the last report, and about the sixteen processes that ended last, whose last reports are kept "
	 "for a day. Nothing can be changed: GET and HEAD only. Errors are JSON, {\"error\": why}.\n"
	 "\n"
	 "= /metrics\n"
	 "Prometheus' text format 0.0.4, or OpenMetrics 1.0 if Accept asks for it. See METRICS.\n"
	 "\n"
	 "= /debug/pprof/heap, /debug/pprof/allocs\n"
	 "A profile as of seep trace --format pprof: what is outstanding and what was allocated; they differ in what "
	 "is shown first. ?pid=PID and ?container=ID|NAME choose; without, all that is traced now. ?seconds= is refused.\n"
	 "\n"
	 "= /api/v1/processes, /api/v1/sites\n"
	 "{\"processes\": [...]} and {\"sites\": [...]}: records of seep(1), with the same choices. Of processes also those "
	 "that have ended (final is true); sites of these with ?pid=.\n"
	 "\n"
	 "= /api/v1/watch\n"
	 "{\"watch\": [...]}: what grows on the host, as records of seep watch, but for those that are traced just now. Empty "
	 "where there is no watching.\n"
	 "\n"
	 "= /healthz, /readyz\n"
	 "200 while the trace goes round, and once it has begun; else 503.\n"},
	{"METRICS",
	 "Labels are namespace, pod, container (its name, else its id) and comm: processes that have all of them in common are one series. "
	 "There are 199 such; who comes later is part of comm=\"[other]\". Only seep_process_outstanding_bytes and "
	 "seep_process_info, of the 50 processes that hold most, have a pid; only seep_site_outstanding_bytes, _allocations and seep_site_growth_bytes_per_second, of "
	 "the 100 call sites that hold most in all processes together, a site and a function. What these leave out is one "
	 "series [other], so that sums are right. Stacks are no labels: the profiles have them.\n"
	 "\n"
	 "Those that end in _total never fall: processes that have ended stay in them, and an estimate that is corrected "
	 "downwards takes nothing back. seep_events_lost_total says what is missing in the figures, by cause.\n"},
	{"THE SOCKET",
	 "It listens at /run/seep/serve.sock when root runs it, else at $XDG_RUNTIME_DIR/seep/serve.sock ($SEEP_RUN_DIR "
	 "instead of either directory, if set). The directory is its user's alone. seep mark finds it like a trace.\n"
	 "\n"
	 "Over TCP the Host of a request must be an address, localhost or this machine's host name, so that no web page "
	 "reads it through somebody's browser. At most 64 clients are served at each socket, each with 16 KiB of request and 5 seconds "
	 "of silence.\n"},
	{"AS A SERVICE",
	 "tools/systemd/seep.service, which make install installs: it tells systemd when it is ready and that it lives. "
	 "SIGTERM and SIGINT end it in good order, with 0. SIGHUP reloads nothing yet, as all settings are of the command line; it says so, and goes on.\n"},
	{0},
};

const struct command command_serve = {
	.name = "serve",
	.summary = "the daemon: metrics, profiles and JSON over HTTP",
	.run = cmd_serve,
	.synopsis = synopsis,
	.description =
		"Watches every process and traces those that grow, or traces those that are chosen, until it is ended, and "
		"answers over HTTP: metrics for Prometheus, profiles for pprof, Pyroscope and Parca, records as JSON. It "
		"listens at a unix socket, and at an address if one is given.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.operands = operands,
	.n_operands = ARRAY_SIZE(operands),
	.defaults = &defaults,
	.examples = examples,
	.n_examples = ARRAY_SIZE(examples),
	.sections = sections,
};

static int check_listen(const struct serve_options *o, struct diag *d)
{
	struct listen_address address;
	int err;

	if (!o->listen)
		return o->insecure ? options_error(d, "--insecure goes with --listen") : 0;
	err = listen_parse(o->listen, &address, d);
	if (err)
		return err;
	if (!address.loopback && !o->insecure)
		return options_error(
			d,
			"--listen %s: whoever reaches that address could read what this machine's "
			"programs do: listen at 127.0.0.1, or give --insecure, too",
			o->listen);
	return 0;
}

void serve_options_done(struct serve_options *o)
{
	trace_options_done(&o->trace);
}

int serve_options_parse(int argc, char **argv, struct serve_options *ret, struct diag *d)
{
	struct serve_options o = {0};
	int r;

	trace_options_defaults(&o.trace);
	o.trace.interval_ns = defaults.trace.interval_ns;
	o.trace.budget_percent = defaults.trace.budget_percent;
	r = options_parse(&command_serve, argc, argv, &o, d);
	if (!r)
		r = check_listen(&o, d);
	if (!r)
		r = trace_options_check(&o.trace, d);
	if (r)
		serve_options_done(&o);
	else
		*ret = o;
	return r;
}
