// SPDX-License-Identifier: BSD-2-Clause
#include "collect/capture_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/diag.h"

#define GZIP_WINDOW_BITS (15 + 16)
#define IN_BYTES (64 * 1024)

struct capture_lines {
	int fd;
	bool started, gzip;
	bool ended; /* no more text will come */
	/* Why no more can be read; told when the lines before it have been handed out. */
	int err;
	struct diag failure;
	z_stream z;
	unsigned char in[IN_BYTES];
	/* Text not yet handed out is [start, n); no newline in [start, scanned). */
	char *text;
	size_t start, scanned, n, cap;
};

int capture_lines_create(const char *path, struct capture_lines **ret, struct diag *d)
{
	struct capture_lines *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return diag_set(d, ENOMEM, "%s: no memory to read it", path);
	l->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
				  : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (l->fd < 0) {
		err = errno;
		free(l);
		return diag_set(d, err, "%s: cannot read it: %s", path, strerror(err));
	}
	*ret = l;
	return 0;
}

void capture_lines_destroy(struct capture_lines *l)
{
	if (!l)
		return;
	if (l->gzip)
		inflateEnd(&l->z);
	close(l->fd);
	free(l->text);
	free(l);
}

/* Fills l->in. Returns how many bytes came, 0 at the end of the file, or -errno with a diag. */
static ssize_t read_in(struct capture_lines *l, struct diag *d)
{
	ssize_t n;

	do
		n = read(l->fd, l->in, sizeof(l->in));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return diag_set(d, errno, "cannot read on: %s", strerror(errno));
	l->z.next_in = l->in;
	l->z.avail_in = n;
	return n;
}

static int start(struct capture_lines *l, struct diag *d)
{
	ssize_t n = read_in(l, d);

	if (n < 0)
		return n;
	l->started = true;
	if (!n)
		return diag_set(d, EBADMSG, "empty, not a capture");
	if (l->in[0] == '{')
		return 0;
	if (l->in[0] != 0x1f || (n > 1 && l->in[1] != 0x8b))
		return diag_set(d, EBADMSG, "not a capture (neither gzip nor JSON)");
	if (inflateInit2(&l->z, GZIP_WINDOW_BITS) != Z_OK)
		return diag_set(d, ENOMEM, "no memory to unpack it");
	l->gzip = true;
	return 0;
}

/* Room for more text behind n: moves what is left to the front, and grows when a line fills the buffer. */
static int make_room(struct capture_lines *l, struct diag *d)
{
	size_t cap = l->cap ? l->cap * 2 : 4 * IN_BYTES;
	char *bigger;

	if (l->start) {
		memmove(l->text, l->text + l->start, l->n - l->start);
		l->n -= l->start;
		l->scanned -= l->start;
		l->start = 0;
	}
	if (l->cap - l->n >= IN_BYTES)
		return 0;
	if (l->n + IN_BYTES > CAPTURE_LINE_MAX)
		return diag_set(d, EBADMSG, "the line is longer than %d MiB",
				CAPTURE_LINE_MAX >> 20);
	bigger = realloc(l->text, cap);
	if (!bigger)
		return diag_set(d, ENOMEM, "no memory for a long line");
	l->text = bigger;
	l->cap = cap;
	return 0;
}

static int fill_plain(struct capture_lines *l, struct diag *d)
{
	ssize_t n = l->z.avail_in ? (ssize_t)l->z.avail_in : read_in(l, d);

	if (n < 0)
		return n;
	memcpy(l->text + l->n, l->in, n);
	l->n += n;
	l->z.avail_in = 0;
	l->ended = !n;
	return 0;
}

static int end_gzip(struct capture_lines *l, struct diag *d)
{
	ssize_t n = l->z.avail_in ? (ssize_t)l->z.avail_in : read_in(l, d);

	if (n < 0)
		return n;
	l->ended = true;
	return n ? diag_set(d, EBADMSG, "there is more behind the end of the gzip stream") : 0;
}

static int fill_gzip(struct capture_lines *l, struct diag *d)
{
	size_t before = l->n;

	while (l->n == before) {
		ssize_t n = l->z.avail_in ? 1 : read_in(l, d);
		int result;

		if (n < 0)
			return n;
		if (!n)
			return diag_set(d, ENODATA, "the file is cut short");
		l->z.next_out = (unsigned char *)l->text + l->n;
		l->z.avail_out = l->cap - l->n;
		result = inflate(&l->z, Z_NO_FLUSH);
		l->n = l->cap - l->z.avail_out;
		if (result == Z_STREAM_END)
			return end_gzip(l, d);
		if (result == Z_MEM_ERROR)
			return diag_set(d, ENOMEM, "no memory to unpack it");
		if (result != Z_OK && result != Z_BUF_ERROR)
			return diag_set(d, EBADMSG, "damaged gzip data (%s)",
					l->z.msg ? l->z.msg : "preset dictionary");
	}
	return 0;
}

static int fill(struct capture_lines *l, struct diag *d)
{
	int err = l->started ? 0 : start(l, d);

	if (!err)
		err = make_room(l, d);
	if (err)
		return err;
	return l->gzip ? fill_gzip(l, d) : fill_plain(l, d);
}

static char *find_newline(struct capture_lines *l)
{
	char *newline = NULL;

	if (l->scanned < l->n)
		newline = memchr(l->text + l->scanned, '\n', l->n - l->scanned);
	if (!newline)
		l->scanned = l->n;
	return newline;
}

int capture_lines_next(struct capture_lines *l, const char **ret_line, size_t *ret_n,
		       struct diag *d)
{
	char *newline;

	while (!(newline = find_newline(l))) {
		if (l->err) {
			*d = l->failure;
			return l->err;
		}
		if (l->ended)
			return 0;
		l->err = fill(l, &l->failure);
		if (!l->err && l->ended && l->n > l->start && l->text[l->n - 1] != '\n')
			l->err = diag_set(&l->failure, ENODATA, "the file is cut short");
	}
	*ret_line = l->text + l->start;
	*ret_n = newline - *ret_line;
	l->start = l->scanned = newline - l->text + 1;
	return 1;
}
