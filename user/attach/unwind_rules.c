// SPDX-License-Identifier: BSD-2-Clause
#include "attach/unwind_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/strings.h"

#define INDEX_SLOTS (2 * WIRE_RULES)
#define UNSUPPORTED WIRE_RULE_FIRST

_Static_assert((INDEX_SLOTS & (INDEX_SLOTS - 1)) == 0, "a mask");

/* The id of a rule, or the index slot where it belongs (*ret_slot) and 0. */
static uint32_t find(const struct rules *rules, const struct wire_rule *rule, uint32_t **ret_slot)
{
	size_t i = hash_bytes(rules->seed, rule, sizeof(*rule)) >> 20;

	for (;; i++) {
		uint32_t *slot = &rules->index[i & (INDEX_SLOTS - 1)];

		*ret_slot = slot;
		if (!*slot || !memcmp(&rules->shared[*slot], rule, sizeof(*rule)))
			return *slot;
	}
}

static void add(struct rules *rules, const struct wire_rule *rule, uint32_t *slot)
{
	rules->shared[rules->n] = *rule;
	*slot = rules->n++;
}

static void reserve(struct rules *rules, enum wire_cfa_rule cfa)
{
	const struct wire_rule rule = {.cfa = cfa};
	uint32_t *slot;

	if (!find(rules, &rule, &slot))
		add(rules, &rule, slot);
}

int rules_init(struct rules *rules, struct wire_rule *shared)
{
	*rules = (struct rules){.shared = shared, .n = WIRE_RULE_NONE};
	rules->seed = clock_monotonic_ns();
	rules->index = calloc(INDEX_SLOTS, sizeof(*rules->index));
	if (!rules->index)
		return -ENOMEM;
	/* In the order of their numbers in wire.h. */
	reserve(rules, WIRE_CFA_NONE);
	reserve(rules, WIRE_CFA_GUESS);
	reserve(rules, WIRE_CFA_UNSUPPORTED);
	return 0;
}

void rules_done(struct rules *rules)
{
	free(rules->index);
	rules->index = NULL;
}

void rules_intern(struct rules *rules, const struct wire_rule *file_rules, size_t n, uint32_t *ids)
{
	uint32_t limit = rules->n + (WIRE_RULES - rules->n) / 2, *slot;

	for (size_t i = 0; i < n; i++) {
		struct wire_rule rule = file_rules[i];

		/* What else such a rule says, nobody reads: one number for all. */
		if (rule.cfa == WIRE_CFA_NONE || rule.cfa == WIRE_CFA_GUESS ||
		    rule.cfa == WIRE_CFA_UNSUPPORTED)
			rule = (struct wire_rule){.cfa = rule.cfa};
		ids[i] = find(rules, &rule, &slot);
		if (!ids[i] && rules->n < limit) {
			ids[i] = rules->n;
			add(rules, &rule, slot);
		} else if (!ids[i]) {
			ids[i] = UNSUPPORTED;
		}
	}
}
