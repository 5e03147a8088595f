// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "elf/image-internal.h"

/* deflate packs at most 1032 bytes into one; a header that promises more lies. */
#define DEFLATE_RATIO_MAX 1032

static int decompress(const struct elf_image *image, const char *name, const char *packed,
		      size_t n_packed, void **ret_data, size_t *ret_bytes, struct diag *d)
{
	_cleanup_free_ void *data = NULL;
	Elf64_Chdr header;
	uLongf n;

	if (n_packed < sizeof(header))
		return diag_set(d, EBADMSG, "%s: %s: compression header: truncated", image->name,
				name);
	memcpy(&header, packed, sizeof(header));
	n_packed -= sizeof(header);
	if (header.ch_type != ELFCOMPRESS_ZLIB)
		return diag_set(d, ENOTSUP, "%s: %s: compression %u is not zlib", image->name, name,
				header.ch_type);
	if (header.ch_size > ELF_CONTENT_MAX || header.ch_size / DEFLATE_RATIO_MAX > n_packed)
		return diag_set(d, EBADMSG, "%s: %s: unpacked size %#" PRIx64 " from %zu bytes",
				image->name, name, (uint64_t)header.ch_size, n_packed);
	n = header.ch_size;
	data = malloc(n + 1);
	if (!data)
		return diag_set(d, ENOMEM, "%s: %s: out of memory", image->name, name);
	if (uncompress(data, &n, (const Bytef *)packed + sizeof(header), n_packed) != Z_OK ||
	    n != header.ch_size)
		return diag_set(d, EBADMSG, "%s: %s: corrupt zlib data", image->name, name);
	*ret_data = data;
	*ret_bytes = n;
	data = NULL;
	return 0;
}

int elf_image_section(struct elf_image *image, const char *name, void **ret_data, size_t *ret_bytes,
		      struct diag *d)
{
	for (size_t i = 1; i < image->n_sections; i++) {
		const Elf64_Shdr *s = &image->sections[i];
		_cleanup_free_ void *data = NULL;
		char text[64];
		int err;

		if (s->sh_type == SHT_NOBITS ||
		    strcmp(elf_image_section_label(image, i, text), name))
			continue;
		err = elf_image_load(image, name, s->sh_offset, s->sh_size, &data, d);
		if (err)
			return err;
		if (s->sh_flags & SHF_COMPRESSED)
			return decompress(image, name, data, s->sh_size, ret_data, ret_bytes, d);
		*ret_data = data;
		*ret_bytes = s->sh_size;
		data = NULL;
		return 0;
	}
	*ret_data = NULL;
	return -ENOENT;
}
