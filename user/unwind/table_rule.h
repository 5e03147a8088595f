/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_UNWIND_TABLE_RULE_H
#define SEEP_UNWIND_TABLE_RULE_H
#include <elfutils/libdw.h>

#include "unwind/table.h"

/* What the CFI says at one pc, as one rule: WIRE_CFA_UNSUPPORTED where wire.h has no kind for it.
 * x86-64 only. Returns 0, or -EBADMSG when libdw cannot read it. */
int table_rule(Dwarf_Frame *frame, struct wire_rule *ret);

#endif
