/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_MODEL_LOSSES_H
#define SEEP_MODEL_LOSSES_H
#include <stddef.h>
#include <stdint.h>

struct loss;

/* Adds count to the cause in a malloc'ed list, which it may enlarge. Returns 0 or -ENOMEM. */
int losses_add(struct loss **list, size_t *n, const char *cause, uint64_t count);

#endif
