// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/image-internal.h"

static int load_from_section(struct elf_image *image, size_t index, struct symbol_table *table,
			     struct diag *d)
{
	const Elf64_Shdr *s = &image->sections[index], *strings;
	char text[64];
	const char *label = elf_image_section_label(image, index, text);
	_cleanup_free_ void *symbols = NULL, *names = NULL;
	int err;

	if (s->sh_entsize != sizeof(Elf64_Sym) || s->sh_size % sizeof(Elf64_Sym))
		return diag_set(d, EBADMSG,
				"%s: %s: entry size %" PRIu64 ", size %" PRIu64
				": not %zu and a multiple",
				image->name, label, s->sh_entsize, s->sh_size, sizeof(Elf64_Sym));
	if (s->sh_link >= image->n_sections || image->sections[s->sh_link].sh_type != SHT_STRTAB)
		return diag_set(d, EBADMSG, "%s: %s: link %u is no string table", image->name,
				label, s->sh_link);
	strings = &image->sections[s->sh_link];
	err = elf_image_load(image, label, s->sh_offset, s->sh_size, &symbols, d);
	if (!err)
		err = elf_image_load(image, elf_image_section_label(image, s->sh_link, text),
				     strings->sh_offset, strings->sh_size, &names, d);
	if (err)
		return err;
	table->symbols = symbols;
	table->n = s->sh_size / sizeof(Elf64_Sym);
	table->strings = names;
	table->strings_bytes = strings->sh_size;
	symbols = names = NULL;
	return 0;
}

#define CHAIN_MAX (1 << 20) /* words of one GNU hash chain */

/* What PT_DYNAMIC says about the symbol table; addresses, 0 when absent. */
struct dynamic_tags {
	uint64_t symbols, strings, strings_bytes, hash, gnu_hash;
};

static int read_tags(const struct elf_image *image, struct dynamic_tags *ret, struct diag *d)
{
	struct dynamic_tags tags = {0};

	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *p = &image->segments[i];
		_cleanup_free_ Elf64_Dyn *entries = NULL;
		int err;

		if (p->p_type != PT_DYNAMIC)
			continue;
		err = elf_image_load(image, "PT_DYNAMIC", p->p_offset, p->p_filesz,
				     (void **)&entries, d);
		if (err)
			return err;
		for (size_t j = 0;
		     j < p->p_filesz / sizeof(*entries) && entries[j].d_tag != DT_NULL; j++) {
			uint64_t value = entries[j].d_un.d_val;

			switch (entries[j].d_tag) {
			case DT_SYMTAB:
				tags.symbols = value;
				break;
			case DT_STRTAB:
				tags.strings = value;
				break;
			case DT_STRSZ:
				tags.strings_bytes = value;
				break;
			case DT_HASH:
				tags.hash = value;
				break;
			case DT_GNU_HASH:
				tags.gnu_hash = value;
				break;
			}
		}
		break;
	}
	*ret = tags;
	return 0;
}

/* Loads n_bytes at a virtual address, wherever its segment lies. */
static int load_at(const struct elf_image *image, const char *what, uint64_t address,
		   uint64_t n_bytes, void **ret, struct diag *d)
{
	uint64_t offset;

	if (elf_image_to_offset(image, address, &offset))
		return diag_set(d, EBADMSG, "%s: %s: address %#" PRIx64 " is in no segment",
				image->name, what, address);
	return elf_image_load(image, what, offset, n_bytes, ret, d);
}

/* DT_HASH: nbucket, nchain, ...; there are as many chain words as symbols. */
static int count_by_hash(const struct elf_image *image, uint64_t address, uint64_t *ret_n,
			 struct diag *d)
{
	_cleanup_free_ uint32_t *header = NULL;
	int err = load_at(image, "DT_HASH", address, 2 * sizeof(*header), (void **)&header, d);

	if (!err)
		*ret_n = header[1];
	return err;
}

/* DT_GNU_HASH: nbuckets, symoffset, bloom_size, bloom_shift, 8-byte bloom words, buckets, chains.
 * The last symbol is the end of the chain that the highest bucket starts: the chain word with its
 * lowest bit set. */
static int count_by_gnu_hash(const struct elf_image *image, uint64_t address, uint64_t *ret_n,
			     struct diag *d)
{
	_cleanup_free_ uint32_t *header = NULL, *buckets = NULL, *chain = NULL;
	uint64_t buckets_at, chains_at, last = 0, offset, n_words;
	int err = load_at(image, "DT_GNU_HASH", address, 4 * sizeof(*header), (void **)&header, d);

	if (err)
		return err;
	buckets_at = address + 16 + (uint64_t)header[2] * 8;
	chains_at = buckets_at + (uint64_t)header[0] * 4;
	err = load_at(image, "DT_GNU_HASH", buckets_at, (uint64_t)header[0] * 4, (void **)&buckets,
		      d);
	if (err)
		return err;
	for (uint32_t i = 0; i < header[0]; i++)
		last = buckets[i] > last ? buckets[i] : last;
	if (!last) {
		*ret_n = header[1];
		return 0;
	}
	if (last < header[1] ||
	    elf_image_to_offset(image, chains_at + (last - header[1]) * 4, &offset))
		return diag_set(d, EBADMSG, "%s: DT_GNU_HASH: bucket of symbol %" PRIu64,
				image->name, last);
	n_words = offset < image->file_bytes ? (image->file_bytes - offset) / 4 : 0;
	n_words = n_words < CHAIN_MAX ? n_words : CHAIN_MAX;
	err = elf_image_load(image, "DT_GNU_HASH", offset, n_words * 4, (void **)&chain, d);
	if (err)
		return err;
	for (uint64_t i = 0; i < n_words; i++)
		if (chain[i] & 1) {
			*ret_n = last + i + 1;
			return 0;
		}
	return diag_set(d, EBADMSG, "%s: DT_GNU_HASH: a chain without end", image->name);
}

/* The dynamic symbols of a file without section headers. */
static int load_from_dynamic(struct elf_image *image, struct symbol_table *table, struct diag *d)
{
	_cleanup_free_ void *symbols = NULL, *names = NULL;
	struct dynamic_tags tags;
	uint64_t n = 0;
	int err = read_tags(image, &tags, d);

	if (err || !tags.symbols || !tags.strings)
		return err;
	if (tags.hash)
		err = count_by_hash(image, tags.hash, &n, d);
	else if (tags.gnu_hash)
		err = count_by_gnu_hash(image, tags.gnu_hash, &n, d);
	if (!err)
		err = load_at(image, "DT_SYMTAB", tags.symbols, n * sizeof(Elf64_Sym), &symbols, d);
	if (!err)
		err = load_at(image, "DT_STRTAB", tags.strings, tags.strings_bytes, &names, d);
	if (err)
		return err;
	table->symbols = symbols;
	table->n = n;
	table->strings = names;
	table->strings_bytes = tags.strings_bytes;
	symbols = names = NULL;
	return 0;
}

static int load_table(struct elf_image *image, uint32_t type, struct symbol_table *table,
		      struct diag *d)
{
	if (table->loaded)
		return 0;
	table->label = type == SHT_DYNSYM ? ".dynsym" : ".symtab";
	for (size_t i = 1; i < image->n_sections; i++)
		if (image->sections[i].sh_type == type) {
			int err = load_from_section(image, i, table, d);

			table->loaded = !err;
			return err;
		}
	if (type == SHT_DYNSYM) {
		int err = load_from_dynamic(image, table, d);

		if (err)
			return err;
	}
	table->loaded = true;
	return 0;
}

static int visit_table(const struct elf_image *image, const struct symbol_table *table,
		       int (*visit)(const struct elf_symbol *symbol, void *arg), void *arg,
		       struct diag *d)
{
	for (size_t i = 1; i < table->n; i++) {
		const Elf64_Sym *s = &table->symbols[i];
		struct elf_symbol symbol = {
			.address = s->st_value,
			.size_bytes = s->st_size,
			.type = ELF64_ST_TYPE(s->st_info),
			.binding = ELF64_ST_BIND(s->st_info),
			.dynamic = table == &image->dynamic,
		};
		int r;

		if (s->st_shndx == SHN_UNDEF || !s->st_name)
			continue;
		if (s->st_name >= table->strings_bytes)
			return diag_set(
				d, EBADMSG,
				"%s: %s: symbol %zu: name at %#x past the string table's end",
				image->name, table->label, i, s->st_name);
		symbol.name = table->strings + s->st_name;
		if (!symbol.name[0])
			continue;
		r = visit(&symbol, arg);
		if (r)
			return r;
	}
	return 0;
}

int elf_image_each_symbol(struct elf_image *image,
			  int (*visit)(const struct elf_symbol *symbol, void *arg), void *arg,
			  struct diag *d)
{
	int err = load_table(image, SHT_DYNSYM, &image->dynamic, d);

	if (!err)
		err = visit_table(image, &image->dynamic, visit, arg, d);
	if (!err)
		err = load_table(image, SHT_SYMTAB, &image->complete, d);
	return err ? err : visit_table(image, &image->complete, visit, arg, d);
}
