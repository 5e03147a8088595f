/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_UNWIND_RULES_H
#define SEEP_ATTACH_UNWIND_RULES_H
/* The kernel's rules: each distinct one once, for all files together. None is ever freed, so what the kernel's cache remembers
 * stays true. Not thread-safe. */
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct rules {
	struct wire_rule *shared; /* WIRE_RULES of them, seen by the kernel */
	uint32_t n;
	uint32_t *index; /* open addressing: ids, 0: empty */
	uint64_t seed;	 /* files choose the rules, not where they go */
};

/* Writes the reserved rules. Returns 0 or -ENOMEM. */
int rules_init(struct rules *rules, struct wire_rule *shared);
void rules_done(struct rules *rules);

/* The kernel's numbers for n rules of one file, to ids. A file gets at most half of the numbers that are left, so that no file
 * uses them up; its other rules become WIRE_CFA_UNSUPPORTED. */
void rules_intern(struct rules *rules, const struct wire_rule *file_rules, size_t n, uint32_t *ids);

#endif
