// SPDX-License-Identifier: BSD-2-Clause
/* First byte even: the rest is the machine code of an allocator with an operator new, in a whole
 * file, so that the decoder and the walks are reached at once. Odd: the rest is a file. */
#include <stdint.h>

#include "../unit/elf_builder.h"
#include "base/cleanup.h"
#include "elf/image.h"
#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void plan_file(const uint8_t *bytes, size_t n)
{
	_cleanup_close_ int fd = elf_to_fd(bytes, n);
	struct plan *plan = NULL;
	struct elf_image *image;
	struct diag d;

	if (fd < 0 || elf_image_open(fd, "fuzz", &image, &d))
		return;
	if (!plan_create(image, NULL, &plan, &d))
		for (size_t i = 1; i < plan->n; i++)
			if (plan->items[i - 1].offset >= plan->items[i].offset)
				abort();
	plan_destroy(plan);
	elf_image_close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint64_t n_code = n ? n - 1 : 0, third = n_code / 3;
	const struct built_symbol symbols[] = {
		{"malloc", 0, third},
		{"_Znwm", third, third},
		{"free", 2 * third, n_code - 2 * third},
		{"tc_new", third / 2, 1ULL << 40},
		{"mallocx", n_code, ~0ULL},
		{"mi_new", 2 * third, 0},
		{"reallocarray", third, 40},
		{"realloc", n_code - third / 2, 1},
	};
	_cleanup_free_ uint8_t *built = NULL;
	size_t n_built;

	if (!n)
		return 0;
	if (data[0] & 1) {
		plan_file(data + 1, n - 1);
		return 0;
	}
	built = elf_build(data[0] & 2 ? EM_AARCH64 : EM_X86_64, data + 1, n_code, symbols,
			  ARRAY_SIZE(symbols), &n_built);
	if (built)
		plan_file(built, n_built);
	return 0;
}
