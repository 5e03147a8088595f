// SPDX-License-Identifier: BSD-2-Clause
#include "model/losses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/report.h"

int losses_add(struct loss **list, size_t *n, const char *cause, uint64_t count)
{
	struct loss *grown;

	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*list)[i].cause, cause)) {
			(*list)[i].count += count;
			return 0;
		}
	grown = realloc(*list, (*n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[(*n)++] = (struct loss){cause, count};
	*list = grown;
	return 0;
}
