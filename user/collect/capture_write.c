// SPDX-License-Identifier: BSD-2-Clause
/* Writing a capture: output_ndjson prints into a stream that deflates, so there is one serializer. An error is kept and
 * ends the writing for good: after a gap, the rest of a deflate stream is worth nothing. */
#include "collect/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "output/json.h"
#include "output/losses.h"
#include "output/output.h"

#define GZIP_WINDOW_BITS (15 + 16) /* zlib's way to ask for a gzip wrapper */
#define STREAM_BUFFER_BYTES (64 * 1024)

struct capture_writer {
	int fd;
	int err; /* first error, -errno; sticky */
	FILE *records;
	z_stream z;
	unsigned char out[STREAM_BUFFER_BYTES];
};

static void write_out(struct capture_writer *w, size_t n)
{
	const unsigned char *from = w->out;

	while (n && !w->err) {
		ssize_t written = write(w->fd, from, n);

		if (written < 0 && errno != EINTR)
			w->err = -errno;
		if (written <= 0)
			continue;
		from += written;
		n -= written;
	}
}

/* Deflates what is in z.next_in, and with a flush mode all that zlib holds back. */
static void deflate_out(struct capture_writer *w, int flush)
{
	do {
		w->z.next_out = w->out;
		w->z.avail_out = sizeof(w->out);
		/* Z_BUF_ERROR: nothing left to do, as after a flush that ended with a full buffer. */
		if (deflate(&w->z, flush) == Z_STREAM_ERROR)
			w->err = w->err ? w->err : -EIO;
		write_out(w, sizeof(w->out) - w->z.avail_out);
	} while (!w->err && !w->z.avail_out);
}

static ssize_t write_records(void *cookie, const char *text, size_t n)
{
	struct capture_writer *w = cookie;

	w->z.next_in = (unsigned char *)text;
	w->z.avail_in = n;
	if (!w->err)
		deflate_out(w, Z_NO_FLUSH);
	if (!w->err)
		return n;
	errno = -w->err;
	return -1;
}

/* A capture names what runs on a host: for its owner's eyes only, even where an older file was not. */
static int open_private(const char *path, struct diag *d)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600), err;
	struct stat st;

	if (fd < 0) {
		err = errno;
		return diag_set(d, err, "%s: cannot write the capture: %s", path, strerror(err));
	}
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (st.st_mode & 077) && fchmod(fd, 0600)) {
		err = errno;
		close(fd);
		return diag_set(d, err, "%s: cannot make the capture private: %s", path,
				strerror(err));
	}
	return fd;
}

int capture_writer_create(const char *path, struct capture_writer **ret, struct diag *d)
{
	static const cookie_io_functions_t functions = {.write = write_records};
	struct capture_writer *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	if (!w)
		return diag_set(d, ENOMEM, "%s: no memory for the capture", path);
	/* Records repeat themselves so much that the best compression saves little more, at twice the time. */
	if (deflateInit2(&w->z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(w);
		return diag_set(d, ENOMEM, "%s: no memory for the capture", path);
	}
	w->records = fopencookie(w, "w", functions);
	if (w->records)
		err = w->fd = open_private(path, d);
	else
		diag_set(d, ENOMEM, "%s: no memory for the capture", path);
	if (err < 0) {
		if (w->records)
			fclose(w->records);
		deflateEnd(&w->z);
		free(w);
		return err;
	}
	setvbuf(w->records, NULL, _IOFBF, STREAM_BUFFER_BYTES);
	*ret = w;
	return 0;
}

/* Everything so far onto the disk in a form that can be read without what follows. */
static int flush_whole(struct capture_writer *w)
{
	fflush(w->records);
	if (!w->err)
		deflate_out(w, Z_FULL_FLUSH);
	return w->err;
}

int capture_write_session(struct capture_writer *w, const struct session *s)
{
	struct json_line j;

	json_line_begin(&j, w->records);
	json_put_string(&j, "type", "capture");
	json_put_u64(&j, "version", CAPTURE_VERSION);
	json_put_string(&j, "seep", s->version);
	json_line_end(&j);
	output_ndjson.session(w->records, &(struct output_options){0}, s);
	return flush_whole(w);
}

int capture_write_report(struct capture_writer *w, const struct session *s, const struct report *r)
{
	output_ndjson.report(w->records, &(struct output_options){0}, s, r);
	return w->err;
}

int capture_write_block(struct capture_writer *w, const struct report *r, const struct block *b)
{
	output_ndjson.block(w->records, &(struct output_options){0}, r, b);
	return w->err;
}

int capture_write_report_end(struct capture_writer *w, const struct session *s,
			     const struct report *r)
{
	struct json_line j;

	(void)s;
	json_line_begin(&j, w->records);
	json_put_string(&j, "type", "report_end");
	json_put_time(&j, "time", r->time_ns);
	json_put_u64(&j, "sequence", r->sequence);
	json_put_double(&j, "elapsed_seconds", r->elapsed_seconds);
	json_put_u64(&j, "map_bytes", r->map_bytes);
	json_put_bool(&j, "map_bytes_bound", r->map_bytes_bound);
	losses_put_json(&j, "lost", r->losses, r->n_losses);
	json_line_end(&j);
	return flush_whole(w);
}

int capture_write_end(struct capture_writer *w, const struct session *s,
		      const struct session_end *e)
{
	output_ndjson.end(w->records, &(struct output_options){0}, s, e);
	return flush_whole(w);
}

int capture_writer_destroy(struct capture_writer *w)
{
	int err;

	if (!w)
		return 0;
	fclose(w->records);
	if (!w->err)
		deflate_out(w, Z_FINISH);
	deflateEnd(&w->z);
	if (close(w->fd) && !w->err)
		w->err = -errno;
	err = w->err;
	free(w);
	return err;
}
