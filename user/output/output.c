// SPDX-License-Identifier: BSD-2-Clause
#include "output/output.h"

#include <string.h>

#include "base/cleanup.h"

const struct output_format *output_find(const char *name)
{
	static const struct output_format *const formats[] = {
		&output_text,
		&output_ndjson,
		&output_folded,
	};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}
