// SPDX-License-Identifier: BSD-2-Clause
#include "plan/extents.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"
#include "elf/image.h"
#include "plan/site.h"

struct extent {
	uint64_t start, size_bytes;
};

struct extents {
	struct extent *items; /* sorted by start */
	size_t n, cap;
};

static int add_function(const struct elf_symbol *symbol, void *arg)
{
	struct extents *extents = arg;
	struct extent extent = {.start = symbol->address, .size_bytes = symbol->size_bytes};

	if (symbol->type != STT_FUNC || !symbol->size_bytes ||
	    symbol->size_bytes > FUNCTION_TEXT_MAX)
		return 0;
	return vec_push(extents, extent);
}

static int by_start(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

int extents_create(struct elf_image *image, struct extents **ret)
{
	struct extents *extents = calloc(1, sizeof(*extents));

	if (!extents || elf_image_each_symbol(image, add_function, extents, NULL) == -ENOMEM) {
		extents_destroy(extents);
		return -ENOMEM;
	}
	if (extents->n)
		qsort(extents->items, extents->n, sizeof(*extents->items), by_start);
	*ret = extents;
	return 0;
}

void extents_destroy(struct extents *extents)
{
	if (!extents)
		return;
	free(extents->items);
	free(extents);
}

int extents_find(const struct extents *extents, uint64_t address, uint64_t *ret_start,
		 uint64_t *ret_size_bytes)
{
	size_t low = 0, high = extents->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (extents->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - extents->items[low - 1].start >= extents->items[low - 1].size_bytes)
		return -ENOENT;
	*ret_start = extents->items[low - 1].start;
	*ret_size_bytes = extents->items[low - 1].size_bytes;
	return 0;
}
