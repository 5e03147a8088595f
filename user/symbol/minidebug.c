// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/minidebug.h"

#include <errno.h>
#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/image.h"

#define UNPACKED_MAX_BYTES (64ull << 20)
#define DECODER_MAX_BYTES (128ull << 20)

static int write_all(int fd, const uint8_t *data, size_t n)
{
	while (n) {
		ssize_t done = write(fd, data, n);

		if (done < 0)
			return -errno;
		data += done;
		n -= done;
	}
	return 0;
}

static int unpack(lzma_stream *stream, int fd)
{
	uint8_t chunk[65536];
	lzma_ret status = LZMA_OK;

	while (status == LZMA_OK) {
		int err;

		stream->next_out = chunk;
		stream->avail_out = sizeof(chunk);
		status = lzma_code(stream, LZMA_FINISH);
		if (stream->total_out > UNPACKED_MAX_BYTES)
			return -EFBIG;
		err = write_all(fd, chunk, sizeof(chunk) - stream->avail_out);
		if (err)
			return err;
	}
	return status == LZMA_STREAM_END ? 0 : status == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

int minidebug_open(struct elf_image *image)
{
	_cleanup_free_ void *packed = NULL;
	lzma_stream stream = LZMA_STREAM_INIT;
	size_t n_bytes;
	int fd, err;

	err = elf_image_section(image, ".gnu_debugdata", &packed, &n_bytes, NULL);
	if (err)
		return err;
	if (lzma_stream_decoder(&stream, DECODER_MAX_BYTES, 0) != LZMA_OK)
		return -ENOMEM;
	stream.next_in = packed;
	stream.avail_in = n_bytes;
	fd = memfd_create("gnu_debugdata", MFD_CLOEXEC);
	err = fd < 0 ? -errno : unpack(&stream, fd);
	lzma_end(&stream);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}
