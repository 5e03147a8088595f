// SPDX-License-Identifier: BSD-2-Clause
/* Any bytes as a file: every call of elf/image.h on it. */
#include <stdint.h>

#include "../unit/elf_builder.h"
#include "base/cleanup.h"
#include "elf/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int visit(const struct elf_symbol *symbol, void *arg)
{
	*(size_t *)arg += strlen(symbol->name);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const sections[] = {".text", ".dynsym", ".debug_info"};
	_cleanup_close_ int fd = elf_to_fd(data, n);
	struct elf_image *image;
	size_t total = 0;
	uint64_t value;
	char text[64];
	struct diag d;

	if (fd < 0 || elf_image_open(fd, "fuzz", &image, &d))
		return 0;
	elf_image_each_symbol(image, visit, &total, &d);
	elf_image_to_offset(image, elf_image_entry(image), &value);
	elf_image_to_address(image, total, &value);
	elf_image_read(image, elf_image_entry(image), text, sizeof(text));
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		void *content = NULL;
		size_t n_content;

		if (!elf_image_section(image, sections[i], &content, &n_content, &d))
			free(content);
	}
	elf_image_close(image);
	return 0;
}
