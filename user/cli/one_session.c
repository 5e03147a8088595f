// SPDX-License-Identifier: BSD-2-Clause
#include "cli/one_session.h"

#include <stdio.h>

#include "attach/kernel.h"
#include "base/clock.h"
#include "cli/options.h"
#include "cli/tracing.h"

void one_session_fill(struct one_session *s, pid_t pid, const struct trace_options *o,
		      const struct tracing *t)
{
	static const char *const stacks[] = {
		[OPTIONS_STACK_CFI] = "stack:cfi",
		[OPTIONS_STACK_FP] = "stack:frame-pointers",
		[OPTIONS_STACK_NONE] = "stack:none",
	};

	uname(&s->host);
	snprintf(s->target, sizeof(s->target), "pid %d", pid);
	snprintf(s->link, sizeof(s->link), "link:%s",
		 o->growth ? "none" : link_kind_name(kernel_link(t->kernel)));
	s->targets[0] = s->target;
	s->capabilities[0] = s->link;
	s->capabilities[1] = stacks[o->stack];
	s->session = (struct session){
		.schema = 1,
		.version = SEEP_VERSION,
		.kernel = s->host.release,
		.hostname = s->host.nodename,
		.start_ns = clock_realtime_ns(),
		.mode = o->growth ? REPORT_SAMPLED_PAGES : REPORT_EXACT,
		.sample_interval = o->sample_bytes,
		.targets = s->targets,
		.n_targets = 1,
		.capabilities = s->capabilities,
		.n_capabilities = 2,
	};
}
