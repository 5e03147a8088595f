// SPDX-License-Identifier: BSD-2-Clause
#include "model/free_error.h"

#include <stddef.h>

const char *free_error_name(enum free_error_type type)
{
	static const char *const names[FREE_ERROR_TYPES] = {
		[FREE_ERROR_DOUBLE] = "double-free",
		[FREE_ERROR_INTERIOR] = "interior-free",
		[FREE_ERROR_INVALID] = "invalid-free",
		[FREE_ERROR_MISMATCH] = "mismatched-free",
	};

	return names[type];
}

const char *free_error_family(unsigned families)
{
	return families & FREE_FAMILY_MALLOC	  ? "malloc"
	       : families & FREE_FAMILY_NEW	  ? "new"
	       : families & FREE_FAMILY_NEW_ARRAY ? "new[]"
						  : NULL;
}
