// SPDX-License-Identifier: BSD-2-Clause
#include "unwind/table.h"

#include <errno.h>
#include <stdlib.h>

#define ROWS_MAX (1u << 26)

void unwind_table_destroy(struct unwind_table *table)
{
	if (!table)
		return;
	free(table->rows);
	free(table->rules);
	free(table);
}

static int check_rules(const struct unwind_table *table, struct diag *d)
{
	if (table->n_rules > WIRE_RULES - WIRE_RULE_FIRST)
		return diag_set(d, EBADMSG, "unwind table: %zu rules", table->n_rules);
	for (size_t i = 0; i < table->n_rules; i++) {
		const struct wire_rule *rule = &table->rules[i];

		if (rule->cfa > WIRE_CFA_STOP || rule->fp > WIRE_FP_UNDEFINED || rule->zero)
			return diag_set(d, EBADMSG, "unwind table: rule %zu: kinds %u and %u", i,
					rule->cfa, rule->fp);
	}
	return 0;
}

int unwind_table_check(const struct unwind_table *table, struct diag *d)
{
	int err = check_rules(table, d);

	if (err)
		return err;
	if (!table->n_rows || table->n_rows > ROWS_MAX)
		return diag_set(d, EBADMSG, "unwind table: %zu rows", table->n_rows);
	if (table->base > UINT64_MAX - UINT32_MAX)
		return diag_set(d, EBADMSG, "unwind table: base %#llx",
				(unsigned long long)table->base);
	for (size_t i = 0; i < table->n_rows; i++) {
		const struct wire_row *row = &table->rows[i];

		if (row->rule >= table->n_rules)
			return diag_set(d, EBADMSG, "unwind table: row %zu: rule %u of %zu", i,
					row->rule, table->n_rules);
		if (i && row->pc <= row[-1].pc)
			return diag_set(d, EBADMSG, "unwind table: row %zu: pc %#x after %#x", i,
					row->pc, row[-1].pc);
	}
	if (table->rules[table->rows[table->n_rows - 1].rule].cfa != WIRE_CFA_NONE)
		return diag_set(d, EBADMSG, "unwind table: no end");
	if (table->covered_bytes > table->text_bytes ||
	    table->unsupported_bytes > table->text_bytes - table->covered_bytes)
		return diag_set(d, EBADMSG, "unwind table: more code described than there is");
	return 0;
}

const struct wire_rule *unwind_table_find(const struct unwind_table *table, uint64_t address)
{
	uint64_t pc = address - table->base;
	size_t low = 0, high = table->n_rows;

	if (address < table->base || pc < table->rows[0].pc ||
	    pc >= table->rows[table->n_rows - 1].pc)
		return NULL;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (table->rows[middle].pc <= pc)
			low = middle;
		else
			high = middle;
	}
	return &table->rules[table->rows[low].rule];
}

size_t unwind_table_bytes(const struct unwind_table *table)
{
	size_t n_pages = (table->n_rows + WIRE_PAGE_ROWS - 1) / WIRE_PAGE_ROWS;

	return n_pages * sizeof(struct wire_row_page);
}
