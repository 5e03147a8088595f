// SPDX-License-Identifier: BSD-2-Clause
#include "output/gzip.h"

#include <errno.h>

#include "output/stream.h"

#define GZIP_WINDOW_BITS (15 + 16) /* zlib's way to ask for a gzip wrapper */

int gzip_init(struct gzip *g)
{
	*g = (struct gzip){0};
	return deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
			    Z_DEFAULT_STRATEGY) == Z_OK
		       ? 0
		       : -ENOMEM;
}

static int deflate_into(struct gzip *g, FILE *f, int flush)
{
	do {
		g->z.next_out = g->out;
		g->z.avail_out = sizeof(g->out);
		if (deflate(&g->z, flush) == Z_STREAM_ERROR)
			return -EIO;
		fwrite(g->out, 1, sizeof(g->out) - g->z.avail_out, f);
	} while (!g->z.avail_out);
	return stream_result(f);
}

int gzip_write(struct gzip *g, FILE *f, const void *bytes, size_t n)
{
	g->z.next_in = (unsigned char *)bytes;
	g->z.avail_in = n;
	return deflate_into(g, f, Z_NO_FLUSH);
}

int gzip_end(struct gzip *g, FILE *f)
{
	int err = deflate_into(g, f, Z_FINISH);

	return err ? err : stream_flush(f);
}

void gzip_done(struct gzip *g)
{
	deflateEnd(&g->z);
}
