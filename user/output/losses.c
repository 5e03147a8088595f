// SPDX-License-Identifier: BSD-2-Clause
#include "output/losses.h"

#include "model/losses.h"
#include "model/report.h"
#include "output/json.h"

const char *loss_sentence(const char *cause)
{
	const struct loss_text *text = loss_find(cause);

	return text ? text->sentence : NULL;
}

void losses_put_json(struct json_line *j, const char *key, const struct loss *losses, size_t n)
{
	json_open(j, key, '{');
	for (size_t i = 0; i < n; i++)
		json_put_u64(j, losses[i].cause, losses[i].count);
	json_close(j, '}');
}
