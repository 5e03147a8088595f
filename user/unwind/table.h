/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_UNWIND_TABLE_H
#define SEEP_UNWIND_TABLE_H
/* How to unwind the code of one file: its CFI as rows of rules, in the layout that bpf/wire.h gives for the kernel. The rows may
 * come from a hostile file or a damaged cache; what unwind_table_check accepts is safe for unwind.bpf.h. */
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "wire.h"

struct unwind_table {
	uint64_t base; /* virtual address in the file's own terms that row pcs count from */
	struct wire_row *
		rows; /* strictly ascending pcs; rule: index of rules; the last row's rule is WIRE_CFA_NONE: the end */
	size_t n_rows;
	struct wire_rule *rules; /* distinct; at most WIRE_RULES - WIRE_RULE_FIRST */
	size_t n_rules;
	uint64_t text_bytes;	    /* of executable segments */
	uint64_t covered_bytes;	    /* of those: described by a rule that can be walked (or STOP) */
	uint64_t unsupported_bytes; /* of those: WIRE_CFA_UNSUPPORTED */
	uint32_t n_fdes,
		n_bad_fdes; /* functions described; those left out because their CFI is corrupt */
};

/* Builds the table of an ELF file from .eh_frame, then .debug_frame for what that leaves out, by libdw. fd stays the caller's; the file is
 * read, not mapped. name: for messages. Returns 0; -ENODATA when the file has no CFI at all (a diag says so), -ENOEXEC,
 * -ENOTSUP, -EBADMSG (nothing of its CFI can be read), -EFBIG (over 2^26 rows or WIRE_RULES rules), -ENOMEM. A corrupt FDE
 * leaves a gap and is counted. Thread-safe. */
int unwind_table_build(int fd, const char *name, struct unwind_table **ret, struct diag *d);
/* Accepts NULL. */
void unwind_table_destroy(struct unwind_table *table);

/* Whether the rows are as the struct's comments say: sorted, ended, rules in range and of known kinds. 0 or -EBADMSG
 * with a diag. */
int unwind_table_check(const struct unwind_table *table, struct diag *d);
/* The rule for a virtual address in the file's own terms, or NULL outside of the table. */
const struct wire_rule *unwind_table_find(const struct unwind_table *table, uint64_t address);
/* Bytes that the rows take in the kernel: whole pages. */
size_t unwind_table_bytes(const struct unwind_table *table);

#endif
