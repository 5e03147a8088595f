// SPDX-License-Identifier: BSD-2-Clause
/* A sink takes a trace's reports. */
#include "cli/sink.h"

static int write_session(void *arg, const struct session *s)
{
	return sink_session(arg, s);
}

static int write_report(void *arg, const struct session *s, const struct report *r)
{
	return sink_report(arg, s, r);
}

static int write_scan(void *arg, const struct scan_report *s)
{
	return sink_scan(arg, s);
}

static int write_check(void *arg, uint64_t time_ns, const struct check_sums *sums)
{
	return sink_check(arg, time_ns, sums);
}

static int write_block(void *arg, const struct report *r, const struct block *b)
{
	return sink_block(arg, r, b);
}

static int write_report_end(void *arg, const struct session *s, const struct report *r)
{
	return sink_report_end(arg, s, r);
}

static int write_end(void *arg, const struct session *s, const struct session_end *e)
{
	return sink_end(arg, s, e);
}

static int write_text(void *arg, const char *text, size_t n)
{
	return sink_text(arg, text, n);
}

static void explain(void *arg, int err, struct diag *d)
{
	sink_explain(arg, err, d);
}

struct report_writer sink_writer(struct sink *sink)
{
	return (struct report_writer){
		.session = write_session,
		.report = write_report,
		.scan = write_scan,
		.block = write_block,
		.report_end = write_report_end,
		.check = write_check,
		.end = write_end,
		.text = write_text,
		.explain = explain,
		.arg = sink,
	};
}
