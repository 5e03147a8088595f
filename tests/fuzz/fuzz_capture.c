// SPDX-License-Identifier: BSD-2-Clause
/* A capture of any bytes, plain or gzipped, read and rendered in every format. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "collect/capture.h"
#include "output/output.h"

static const struct output_format *const formats[] = {&output_text, &output_ndjson, &output_folded};
static const struct output_options options = {.top = 2, .blocks = true, .width = 40};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int on_session(void *f, const struct session *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i]->session)
			formats[i]->session(f, &options, s);
	return 0;
}

static int on_report(void *f, const struct session *s, const struct report *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		formats[i]->report(f, &options, s, r);
	return 0;
}

static int on_block(void *f, const struct report *r, const struct block *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i]->block)
			formats[i]->block(f, &options, r, b);
	return 0;
}

static int on_end(void *f, const struct session *s, const struct session_end *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i]->end)
			formats[i]->end(f, &options, s, e);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct capture_visitor visitor = {
		.session = on_session,
		.report = on_report,
		.block = on_block,
		.end = on_end,
	};
	_cleanup_close_ int fd = memfd_create("capture", MFD_CLOEXEC);
	_cleanup_fclose_ FILE *sink = fopen("/dev/null", "w");
	struct diag d = {0};
	char path[64];
	int err;

	if (fd < 0 || !sink || write(fd, data, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = capture_read(path, &visitor, sink, &d);
	if (!err != !d.text[0])
		abort();
	return 0;
}
