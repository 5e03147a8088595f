// SPDX-License-Identifier: BSD-2-Clause
#include "cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "collect/capture.h"
#include "output/scan.h"

#define PATIENCE_MS 1000 /* with a reader that takes nothing when we are to end */
#define STREAM_BYTES (1u << 16)

/* Waits until something can be written. Returns 0 or -ETIMEDOUT. */
static int wait_writable(struct sink *sink)
{
	struct pollfd fds[] = {
		{.fd = sink->fd, .events = POLLOUT},
		{.fd = sink->signals->fd, .events = POLLIN},
		{.fd = sink->signals->told, .events = POLLIN},
	};

	while (!sink->given_up && poll(fds, ARRAY_SIZE(fds), -1) < 0)
		;
	if (!sink->given_up && !fds[0].revents)
		while (poll(fds, 1, PATIENCE_MS) < 0)
			;
	sink->given_up |= !fds[0].revents;
	return sink->given_up ? -ETIMEDOUT : 0;
}

/* A pipe that is ready takes this much without waiting (pipe(7)). */
static ssize_t write_some(void *arg, const char *text, size_t n)
{
	struct sink *sink = arg;
	size_t done = 0;

	while (done < n) {
		size_t part = n - done < PIPE_BUF ? n - done : PIPE_BUF;
		int err = wait_writable(sink);
		ssize_t written = err ? err : write(sink->fd, text + done, part);

		if (err)
			errno = -err;
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return 0;
		done += written > 0 ? written : 0;
	}
	return n;
}

static int close_stream(void *arg)
{
	const struct sink *sink = arg;

	return close(sink->fd);
}

/* Where a reader may keep us waiting, the stream is one of ours that can be told to give up. Returns 0 or -errno. */
static int make_patient(struct sink *sink)
{
	const cookie_io_functions_t functions = {.write = write_some, .close = close_stream};
	struct stat st;
	FILE *stream;

	if (!sink->signals || fstat(sink->fd, &st) || S_ISREG(st.st_mode))
		return 0;
	sink->fd = fcntl(sink->fd, F_DUPFD_CLOEXEC, 3);
	stream = sink->fd < 0 ? NULL : fopencookie(sink, "w", functions);
	if (!stream || setvbuf(stream, NULL, _IOFBF, STREAM_BYTES))
		return -(errno ? errno : ENOMEM);
	if (sink->stream != stdout)
		fclose(sink->stream);
	sink->stream = stream;
	return 0;
}

int sink_open(struct sink *sink, const char *path, const char *capture, struct diag *d)
{
	int err = sink->format ? terminal_refuses(sink->format, path, d) : 0;

	if (!err && sink->format && output_prepare(sink->format, &sink->options))
		err = diag_set(d, ENOMEM, "out of memory");
	if (err)
		return err;
	sink->stream = stdout;
	sink->stream_name = "standard output";
	if (path) {
		sink->stream = fopen(path, "we");
		sink->stream_name = path;
		if (!sink->stream)
			return diag_set_hint(d, errno, EXIT_RUNTIME, "choose another --output",
					     "%s: cannot be written: %s", path, strerror(errno));
	}
	sink->fd = fileno(sink->stream);
	if (make_patient(sink))
		return diag_set(d, ENOMEM, "%s: cannot be written: out of memory",
				sink->stream_name);
	sink->capture_name = capture;
	return capture ? capture_writer_create(capture, &sink->capture, d) : 0;
}

/* err: of a write to the capture. */
static int captured(struct sink *sink, int err)
{
	if (err)
		sink->failed = sink->capture_name;
	return err;
}

static int flush(struct sink *sink, int err)
{
	if (err)
		return err;
	return fflush(sink->stream) || ferror(sink->stream) ? -(errno ? errno : EIO) : 0;
}

int sink_text(struct sink *sink, const char *text, size_t n)
{
	return flush(sink, fwrite(text, 1, n, sink->stream) < n ? -(errno ? errno : EIO) : 0);
}

int sink_session(struct sink *sink, const struct session *s)
{
	int err = sink->capture ? captured(sink, capture_write_session(sink->capture, s)) : 0;

	if (!err && sink->format->session)
		err = sink->format->session(sink->stream, &sink->options, s);
	return flush(sink, err);
}

int sink_report(struct sink *sink, const struct session *s, const struct report *r)
{
	int err = sink->capture ? captured(sink, capture_write_report(sink->capture, s, r)) : 0;

	sink->in_blocks = false;
	if (!err && sink->format->report)
		err = sink->format->report(sink->stream, &sink->options, s, r);
	return err;
}

int sink_block(struct sink *sink, const struct report *r, const struct block *b)
{
	int err = sink->capture ? captured(sink, capture_write_block(sink->capture, r, b)) : 0;

	if (!err && !sink->in_blocks && sink->format->blocks_begin)
		err = sink->format->blocks_begin(sink->stream);
	sink->in_blocks = true;
	if (!err && sink->format->block)
		err = sink->format->block(sink->stream, &sink->options, r, b);
	return err;
}

int sink_report_end(struct sink *sink, const struct session *s, const struct report *r)
{
	int err = sink->capture ? captured(sink, capture_write_report_end(sink->capture, s, r)) : 0;

	if (!err && sink->format->report_end)
		err = sink->format->report_end(sink->stream, &sink->options, s, r);
	return flush(sink, err);
}

int sink_scan(struct sink *sink, const struct scan_report *s)
{
	if (sink->format == &output_ndjson)
		return scan_ndjson_report(sink->stream, s);
	return s->n_leaks ? scan_text_report(sink->stream, &sink->options, s) : 0;
}

int sink_check(struct sink *sink, uint64_t time_ns, const struct check_sums *c)
{
	if (sink->format == &output_ndjson)
		return check_ndjson(sink->stream, time_ns, c);
	return check_text(sink->stream, &sink->options, c);
}

int sink_end(struct sink *sink, const struct session *s, const struct session_end *e)
{
	int err = sink->capture ? captured(sink, capture_write_end(sink->capture, s, e)) : 0;

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
	if (err == -ETIMEDOUT && sink->given_up) {
		diag_set_hint(d, -err, EXIT_RUNTIME,
			      "what was written before is complete up to the last whole report",
			      "%s: nobody reads it", sink->stream_name);
		return;
	}
	diag_set_hint(d, -err, EXIT_RUNTIME,
		      "what was written before is complete up to the last whole report", "%s: %s",
		      sink->failed ? sink->failed : sink->stream_name, strerror(-err));
}

int sink_close(struct sink *sink, struct diag *d)
{
	int err = sink->stream ? output_finish(&sink->options, sink->stream) : 0, capture_err;

	if (sink->stream && sink->stream != stdout && fclose(sink->stream) && !err)
		err = -errno;
	sink->stream = NULL;
	capture_err = capture_writer_destroy(sink->capture);
	sink->capture = NULL;
	if (!err)
		err = captured(sink, capture_err);
	if (err)
		sink_explain(sink, err, d);
	return err;
}
