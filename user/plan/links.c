// SPDX-License-Identifier: BSD-2-Clause
#include "plan/links.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "elf/image.h"
#include "plan/insn.h"

struct link {
	uint64_t slot;	  /* virtual address in the GOT */
	uint64_t address; /* of the function, 0: not defined in this file */
	bool ends;	  /* defined elsewhere and never returns */
};

struct links {
	struct elf_image *image;
	struct link *items; /* sorted by slot */
	size_t n, cap;
};

/* .dynsym and .dynstr; strings ends in NUL. */
struct symbols {
	Elf64_Sym *items;
	size_t n;
	char *strings;
	size_t strings_bytes;
};

static bool never_returns(const struct symbols *symbols, uint32_t name)
{
	static const char *const names[] = {
		"abort",
		"exit",
		"_exit",
		"__stack_chk_fail",
		"__assert_fail",
		"_Unwind_Resume",
		"__cxa_throw",
		"__cxa_rethrow",
		"__cxa_call_unexpected",
		"_ZSt9terminatev",
		"_ZSt17__throw_bad_allocv",
		"_ZSt20__throw_length_errorPKc",
	};

	for (size_t i = 0; name < symbols->strings_bytes && i < ARRAY_SIZE(names); i++)
		if (!strcmp(symbols->strings + name, names[i]))
			return true;
	return false;
}

static int add_relocations(struct links *links, const char *section, const struct symbols *symbols)
{
	_cleanup_free_ Elf64_Rela *relocations = NULL;
	size_t n_bytes;

	if (elf_image_section(links->image, section, (void **)&relocations, &n_bytes, NULL))
		return 0;
	for (size_t i = 0; i < n_bytes / sizeof(*relocations); i++) {
		const Elf64_Rela *r = &relocations[i];
		uint64_t symbol = ELF64_R_SYM(r->r_info), type = ELF64_R_TYPE(r->r_info);
		struct link link = {.slot = r->r_offset};
		const Elf64_Sym *target;

		if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) ||
		    symbol >= symbols->n)
			continue;
		target = &symbols->items[symbol];
		if (target->st_shndx == SHN_UNDEF)
			link.ends = never_returns(symbols, target->st_name);
		else if (ELF64_ST_TYPE(target->st_info) == STT_FUNC)
			link.address = target->st_value;
		if (vec_push(links, link))
			return -ENOMEM;
	}
	return 0;
}

static int by_slot(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return (x->slot > y->slot) - (x->slot < y->slot);
}

static int read_relocations(struct links *links)
{
	_cleanup_free_ void *items = NULL, *strings = NULL;
	struct symbols symbols = {0};
	size_t n_bytes;
	int err;

	if (elf_image_machine(links->image) != EM_X86_64 ||
	    elf_image_section(links->image, ".dynsym", &items, &n_bytes, NULL) ||
	    elf_image_section(links->image, ".dynstr", &strings, &symbols.strings_bytes, NULL))
		return 0;
	symbols.items = items;
	symbols.n = n_bytes / sizeof(*symbols.items);
	symbols.strings = strings;
	err = add_relocations(links, ".rela.plt", &symbols);
	return err ? err : add_relocations(links, ".rela.dyn", &symbols);
}

int links_create(struct elf_image *image, struct links **ret)
{
	struct links *links = calloc(1, sizeof(*links));
	int err;

	if (!links)
		return -ENOMEM;
	links->image = image;
	err = read_relocations(links);
	if (err) {
		links_destroy(links);
		return err;
	}
	if (links->n)
		qsort(links->items, links->n, sizeof(*links->items), by_slot);
	*ret = links;
	return 0;
}

void links_destroy(struct links *links)
{
	if (!links)
		return;
	free(links->items);
	free(links);
}

static const struct link *find_slot(const struct links *links, uint64_t slot)
{
	struct link key = {.slot = slot};

	return links->n ? bsearch(&key, links->items, links->n, sizeof(key), by_slot) : NULL;
}

static int bound_address(const struct link *link, uint64_t *ret_address)
{
	if (!link)
		return -ENOENT;
	if (!link->address)
		return -EXDEV;
	*ret_address = link->address;
	return 0;
}

int links_of_slot(const struct links *links, uint64_t slot, uint64_t *ret_address)
{
	return bound_address(find_slot(links, slot), ret_address);
}

static const struct link *find_stub(const struct links *links, uint64_t address)
{
	uint16_t machine = elf_image_machine(links->image);
	uint8_t code[2 * INSN_LENGTH_MAX];
	long n = links->n ? elf_image_read(links->image, address, code, sizeof(code)) : 0;
	size_t at = 0;
	struct insn insn;

	if (n <= 0 || insn_decode(machine, code, n, &insn))
		return NULL;
	if (insn.kind == INSN_ENDBR) {
		at = insn.length;
		if (insn_decode(machine, code + at, n - at, &insn))
			return NULL;
	}
	if (insn.kind != INSN_JMP_INDIRECT || !insn.has_slot)
		return NULL;
	return find_slot(links, address + at + insn.slot);
}

int links_of_stub(const struct links *links, uint64_t address, uint64_t *ret_address)
{
	return bound_address(find_stub(links, address), ret_address);
}

bool links_stub_ends(const struct links *links, uint64_t address)
{
	const struct link *link = find_stub(links, address);

	return link && link->ends;
}
