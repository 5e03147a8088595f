/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_LOSSES_H
#define SEEP_OUTPUT_LOSSES_H
/* What was lost, in words and as JSON. */
#include <stddef.h>

struct json_line;
struct loss;

/* What a cause means for the figures and what to do about it, one sentence without a capital or a full stop; NULL for a
 * cause that this version does not know. */
const char *loss_sentence(const char *cause);

/* Writes the object {cause: count, ...}, {} when there is none. */
void losses_put_json(struct json_line *j, const char *key, const struct loss *losses, size_t n);

#endif
