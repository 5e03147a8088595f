/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_STREAM_H
#define SEEP_OUTPUT_STREAM_H
/* What the formats share about the stream they write to. */
#include <errno.h>
#include <stdio.h>

/* 0, or the stream's error as -errno, as far as errno still holds it. */
static inline int stream_result(FILE *f)
{
	return !ferror(f) ? 0 : errno ? -errno : -EIO;
}

static inline int stream_flush(FILE *f)
{
	fflush(f);
	return stream_result(f);
}

#endif
