// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/symtab.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "elf/image.h"

#define MAX_SYMBOLS (8u << 20)
#define MAX_NAMES_BYTES (512u << 20)
#define NAME_BYTES_MAX 4096
/* Symbols before the nearest one: how far one that encloses the address is looked for. */
#define WALK_MAX 32

struct symbol {
	uint64_t address, end; /* end: address when the symbol has no size, until symtab_finish */
	uint32_t name;	       /* offset into names */
	uint16_t rank;	       /* lower is better */
};

/* STT_NOTYPE is what assembly leaves; "$x" and the like are AArch64's mapping symbols, ".L" the
 * assembler's own. */
static bool names_code(const struct elf_symbol *symbol)
{
	if (symbol->type != STT_FUNC && symbol->type != STT_GNU_IFUNC && symbol->type != STT_NOTYPE)
		return false;
	return symbol->address && symbol->name[0] && symbol->name[0] != '$' &&
	       strncmp(symbol->name, ".L", 2);
}

static uint16_t rank_of(const struct elf_symbol *symbol)
{
	size_t underscores = strspn(symbol->name, "_");
	uint16_t rank = symbol->size_bytes ? 0 : 1;

	rank = rank << 1 | (symbol->type == STT_NOTYPE);
	rank = rank << 2 | (symbol->binding == STB_LOCAL ? 2 : symbol->binding == STB_WEAK);
	return rank << 4 | (underscores < 15 ? underscores : 15);
}

static int add_name(struct symtab *table, const char *name, uint32_t *ret_offset)
{
	size_t n = strnlen(name, NAME_BYTES_MAX);

	if (table->names_cap - table->names_bytes < n + 1) {
		size_t cap = table->names_cap ? table->names_cap * 2 : 65536;
		char *bigger = realloc(table->names, cap);

		if (!bigger)
			return -ENOMEM;
		table->names = bigger;
		table->names_cap = cap;
	}
	*ret_offset = table->names_bytes;
	memcpy(table->names + table->names_bytes, name, n);
	table->names[table->names_bytes + n] = '\0';
	table->names_bytes += n + 1;
	return 0;
}

int symtab_add(struct symtab *table, const struct elf_symbol *symbol)
{
	struct symbol item = {.address = symbol->address, .rank = 0};

	if (!names_code(symbol))
		return 0;
	if (table->n >= MAX_SYMBOLS || table->names_bytes > MAX_NAMES_BYTES)
		return -E2BIG;
	if (__builtin_add_overflow(symbol->address, symbol->size_bytes, &item.end))
		item.end = UINT64_MAX;
	item.rank = rank_of(symbol);
	if (add_name(table, symbol->name, &item.name))
		return -ENOMEM;
	return vec_push(table, item);
}

static int by_address(const void *a, const void *b, void *names)
{
	const struct symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp((char *)names + x->name, (char *)names + y->name);
}

void symtab_finish(struct symtab *table, bool complete)
{
	size_t n = 0;

	if (!table->n)
		return;
	qsort_r(table->items, table->n, sizeof(*table->items), by_address, table->names);
	for (size_t i = 0; i < table->n; i++)
		if ((!n || table->items[i].address != table->items[n - 1].address) &&
		    (complete || table->items[i].end != table->items[i].address))
			table->items[n++] = table->items[i];
	table->n = n;
	for (size_t i = 0; i < n; i++)
		if (table->items[i].end == table->items[i].address)
			table->items[i].end = i + 1 < n ? table->items[i + 1].address : UINT64_MAX;
}

const char *symtab_find(const struct symtab *table, uint64_t address)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->items[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i > 0 && low - i < WALK_MAX; i--)
		if (address < table->items[i - 1].end)
			return table->names + table->items[i - 1].name;
	return NULL;
}

size_t symtab_bytes(const struct symtab *table)
{
	return table->cap * sizeof(*table->items) + table->names_cap;
}

void symtab_done(struct symtab *table)
{
	free(table->items);
	free(table->names);
	*table = (struct symtab){0};
}
