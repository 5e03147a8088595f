/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_GZIP_H
#define SEEP_OUTPUT_GZIP_H
/* A gzip stream (RFC 1952) on its way into a FILE. */
#include <stddef.h>
#include <stdio.h>
#include <zlib.h>

struct gzip {
	z_stream z;
	unsigned char out[16384];
};

/* Returns 0 or -ENOMEM. */
int gzip_init(struct gzip *g);
/* Each returns 0 or -errno of f. Nothing follows the end. */
int gzip_write(struct gzip *g, FILE *f, const void *bytes, size_t n);
int gzip_end(struct gzip *g, FILE *f);
/* Accepts one that is zero. */
void gzip_done(struct gzip *g);

#endif
