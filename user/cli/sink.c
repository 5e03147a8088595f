// SPDX-License-Identifier: BSD-2-Clause
#include "cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "collect/capture.h"

int sink_open(struct sink *sink, const char *path, const char *capture, struct diag *d)
{
	sink->stream = stdout;
	sink->stream_name = "standard output";
	if (path) {
		sink->stream = fopen(path, "we");
		sink->stream_name = path;
		if (!sink->stream)
			return diag_set_hint(d, errno, EXIT_RUNTIME, "choose another --output",
					     "%s: cannot be written: %s", path, strerror(errno));
	}
	return capture ? capture_writer_create(capture, &sink->capture, d) : 0;
}

static int flush(struct sink *sink, int err)
{
	if (err)
		return err;
	return fflush(sink->stream) || ferror(sink->stream) ? -(errno ? errno : EIO) : 0;
}

int sink_session(struct sink *sink, const struct session *s)
{
	int err = sink->capture ? capture_write_session(sink->capture, s) : 0;

	if (!err && sink->format->session)
		err = sink->format->session(sink->stream, &sink->options, s);
	return flush(sink, err);
}

int sink_report(struct sink *sink, const struct session *s, const struct report *r)
{
	int err = sink->capture ? capture_write_report(sink->capture, s, r) : 0;

	if (!err && sink->format->report)
		err = sink->format->report(sink->stream, &sink->options, s, r);
	return err;
}

int sink_block(struct sink *sink, const struct report *r, const struct block *b)
{
	int err = sink->capture ? capture_write_block(sink->capture, r, b) : 0;

	if (!err && sink->format->block)
		err = sink->format->block(sink->stream, &sink->options, r, b);
	return err;
}

int sink_report_end(struct sink *sink, const struct session *s, const struct report *r)
{
	int err = sink->capture ? capture_write_report_end(sink->capture, s, r) : 0;

	if (!err && sink->format->report_end)
		err = sink->format->report_end(sink->stream, &sink->options, s, r);
	return flush(sink, err);
}

int sink_end(struct sink *sink, const struct session *s, const struct session_end *e)
{
	int err = sink->capture ? capture_write_end(sink->capture, s, e) : 0;

	if (!err && sink->format->end)
		err = sink->format->end(sink->stream, &sink->options, s, e);
	return flush(sink, err);
}

void sink_explain(const struct sink *sink, int err, struct diag *d)
{
	if (err == -EPIPE) {
		*d = (struct diag){.exit_code = EXIT_RUNTIME};
		return;
	}
	diag_set_hint(d, -err, EXIT_RUNTIME,
		      "what was written before is complete up to the last whole report", "%s%s: %s",
		      sink->stream_name, sink->capture ? " or the capture file" : "",
		      strerror(-err));
}

int sink_close(struct sink *sink, struct diag *d)
{
	int err = 0, capture_err;

	if (sink->stream && sink->stream != stdout && fclose(sink->stream))
		err = -errno;
	sink->stream = NULL;
	capture_err = capture_writer_destroy(sink->capture);
	sink->capture = NULL;
	if (!err)
		err = capture_err;
	if (err)
		sink_explain(sink, err, d);
	return err;
}
