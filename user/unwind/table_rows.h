/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_UNWIND_TABLE_ROWS_H
#define SEEP_UNWIND_TABLE_ROWS_H
/* A table that grows by rows in ascending order. */
#include "unwind/table.h"

struct table_rows {
	uint64_t base;
	struct {
		struct wire_row *items;
		size_t n, cap;
	} rows;
	struct {
		struct wire_rule *items;
		size_t n, cap;
	} rules;
	uint32_t *slots; /* hash table of rules: index + 1 */
};

/* Begins with a gap at address base. Returns 0 or -ENOMEM; table_rows_done is due in any case. */
int table_rows_begin(struct table_rows *rows, uint64_t base);
/* From address on, at or above the last one and below base + 2^32, rule holds. Returns 0, -ENOMEM,
 * or -EFBIG. */
int table_rows_add(struct table_rows *rows, uint64_t address, const struct wire_rule *rule);
/* Moves the rows, of which the last must be a gap, into table. */
void table_rows_move(struct table_rows *rows, struct unwind_table *table);
void table_rows_done(struct table_rows *rows);

#endif
