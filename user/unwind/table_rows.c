// SPDX-License-Identifier: BSD-2-Clause
#include "unwind/table_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "base/vec.h"

#define ROWS_MAX (1u << 26)
#define RULES_MAX (WIRE_RULES - WIRE_RULE_FIRST)
#define SLOTS (2 * WIRE_RULES)

/* The rule's index, added if it is new, or -errno. */
static int64_t intern(struct table_rows *rows, const struct wire_rule *rule)
{
	size_t slot = hash_bytes(0, rule, sizeof(*rule)) % SLOTS;

	for (; rows->slots[slot]; slot = (slot + 1) % SLOTS) {
		uint32_t i = rows->slots[slot] - 1;

		if (!memcmp(&rows->rules.items[i], rule, sizeof(*rule)))
			return i;
	}
	if (rows->rules.n == RULES_MAX)
		return -EFBIG;
	if (vec_push(&rows->rules, *rule))
		return -ENOMEM;
	rows->slots[slot] = rows->rules.n;
	return rows->rules.n - 1;
}

int table_rows_begin(struct table_rows *rows, uint64_t base)
{
	static const struct wire_rule none = {.cfa = WIRE_CFA_NONE};

	*rows = (struct table_rows){.base = base, .slots = calloc(SLOTS, sizeof(*rows->slots))};
	return rows->slots ? table_rows_add(rows, base, &none) : -ENOMEM;
}

int table_rows_add(struct table_rows *rows, uint64_t address, const struct wire_rule *rule)
{
	struct wire_row row = {.pc = address - rows->base};
	int64_t index = intern(rows, rule);

	if (index < 0)
		return index;
	row.rule = index;
	/* A gap that was announced turns out to be empty. */
	if (rows->rows.n && rows->rows.items[rows->rows.n - 1].pc == row.pc)
		rows->rows.n--;
	if (rows->rows.n && rows->rows.items[rows->rows.n - 1].rule == row.rule)
		return 0;
	if (rows->rows.n == ROWS_MAX)
		return -EFBIG;
	return vec_push(&rows->rows, row);
}

void table_rows_move(struct table_rows *rows, struct unwind_table *table)
{
	table->base = rows->base;
	table->rows = rows->rows.items;
	table->n_rows = rows->rows.n;
	table->rules = rows->rules.items;
	table->n_rules = rows->rules.n;
	rows->rows.items = NULL;
	rows->rules.items = NULL;
}

void table_rows_done(struct table_rows *rows)
{
	free(rows->rows.items);
	free(rows->rules.items);
	free(rows->slots);
}
