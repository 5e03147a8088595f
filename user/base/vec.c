// SPDX-License-Identifier: BSD-2-Clause
#include "base/vec.h"

#include <stdint.h>
#include <stdlib.h>

int vec_reserve(void **items, size_t *cap, size_t n, size_t size_bytes)
{
	size_t grown = *cap ? *cap * 2 : 8;
	void *bigger;

	if (n < *cap)
		return 0;
	if (grown > SIZE_MAX / size_bytes)
		return -ENOMEM;
	bigger = realloc(*items, grown * size_bytes);
	if (!bigger)
		return -ENOMEM;
	*items = bigger;
	*cap = grown;
	return 0;
}
