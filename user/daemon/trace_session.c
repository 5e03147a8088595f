// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/trace_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach/kernel.h"
#include "base/clock.h"
#include "base/strings.h"
#include "daemon/trace_options.h"
#include "daemon/tracing.h"

#define MAX_SELECTORS 8 /* what can be a target beside pids */

static void add_target(struct trace_session *s, struct strings *strings, const char *kind,
		       const char *what)
{
	char text[4096 + 16];

	if (!what)
		return;
	snprintf(text, sizeof(text), "%s%s%s", kind, *what ? " " : "", what);
	s->targets[s->session.n_targets++] = strings_intern(strings, text);
}

static int describe_targets(struct trace_session *s, struct strings *strings,
			    const struct trace_options *o)
{
	s->targets = calloc(o->pids.n + MAX_SELECTORS + 1, sizeof(*s->targets));
	if (!s->targets)
		return -ENOMEM;
	add_target(s, strings, "kernel", o->kernel ? "" : NULL);
	for (size_t i = 0; i < o->pids.n; i++) {
		char pid[16];

		snprintf(pid, sizeof(pid), "%d", o->pids.items[i]);
		add_target(s, strings, "pid", pid);
	}
	add_target(s, strings, "command", o->argv ? o->argv[0] : o->command);
	add_target(s, strings, "comm", o->select.comm_glob);
	add_target(s, strings, "exe", o->select.exe_glob);
	add_target(s, strings, "cgroup", o->select.cgroup);
	add_target(s, strings, "container", o->select.container);
	add_target(s, strings, "user", o->select.user);
	add_target(s, strings, "all processes", o->select.everything ? "" : NULL);
	add_target(s, strings, "who grows", o->escalate ? "" : NULL);
	s->session.targets = s->targets;
	return 0;
}

int trace_session_init(struct trace_session *s, const struct trace_options *o, struct tracing *t,
		       struct diag *d)
{
	static const char *const stack_capabilities[] = {
		[OPTIONS_STACK_CFI] = "stack:cfi",
		[OPTIONS_STACK_FP] = "stack:frame-pointers",
		[OPTIONS_STACK_NONE] = "stack:none",
	};
	char link[32];

	uname(&s->host);
	snprintf(link, sizeof(link), "link:%s",
		 o->growth   ? "none"
		 : o->kernel ? "tracepoint"
			     : link_kind_name(kernel_link(t->kernel)));
	s->capabilities[0] = strings_intern(&t->strings, link);
	s->capabilities[1] = o->kernel ? "stack:kernel" : stack_capabilities[o->stack];
	s->session = (struct session){
		.schema = 1,
		.version = SEEP_VERSION,
		.kernel = s->host.release,
		.hostname = s->host.nodename,
		.start_ns = clock_realtime_ns(),
		.mode = o->growth	     ? REPORT_SAMPLED_PAGES
			: o->sample_bytes    ? REPORT_SAMPLED_BYTES
			: o->sample_rate > 1 ? REPORT_SAMPLED_COUNT
					     : REPORT_EXACT,
		.sample_interval = o->sample_bytes	? o->sample_bytes
				   : o->sample_rate > 1 ? o->sample_rate
							: 0,
		.min_size_bytes = o->min_size_bytes,
		.max_size_bytes = o->max_size_bytes,
		.min_age_seconds = (double)o->older_ns / NS_PER_SECOND,
		.capabilities = s->capabilities,
		.n_capabilities = 2,
	};
	return describe_targets(s, &t->strings, o) ? diag_set(d, ENOMEM, "out of memory") : 0;
}

void trace_session_done(struct trace_session *s)
{
	free(s->targets);
}
