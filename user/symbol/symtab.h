/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_SYMTAB_H
#define SEEP_SYMBOL_SYMTAB_H
/* The functions of one file by address: sorted once, then found by bisection. (libdwfl's
 * dwfl_module_addrinfo walks all symbols for every address.) */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_symbol;
struct symbol;

/* Zero-initialized. Not thread-safe. */
struct symtab {
	struct symbol *items;
	size_t n, cap;
	char *names; /* NUL-terminated, one behind the other */
	size_t names_bytes, names_cap;
};

/* Takes a copy of symbol if it can name code. Returns 0, -ENOMEM, or -E2BIG beyond the bounds of a
 * sane file. */
int symtab_add(struct symtab *table, const struct elf_symbol *symbol);

/* Sorts and keeps one symbol per address: to be called after the last symtab_add and before the
 * first symtab_find. A sized symbol goes before one without size, functions before what has no
 * type, global before weak before local, fewer leading underscores before more. One without size
 * ends where the next symbol begins. That is only so when the table is complete; else (.dynsym
 * alone) those without size are left out, as any function may lie behind them. */
void symtab_finish(struct symtab *table, bool complete);

/* The name, as in the file, of the innermost symbol that holds address, or NULL. */
const char *symtab_find(const struct symtab *table, uint64_t address);

/* Memory held. */
size_t symtab_bytes(const struct symtab *table);

void symtab_done(struct symtab *table);

#endif
