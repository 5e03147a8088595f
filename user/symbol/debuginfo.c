// SPDX-License-Identifier: BSD-2-Clause
/* Three steps lead to an address's frames. All compilation units' address ranges, from their top
 * DIEs alone, make one sorted table when the first address is asked for. The first address in a
 * unit makes a table of that unit's functions. From the function a path leads down through its
 * lexical blocks to the innermost inlined call that holds the address, here 0x1234:
 *
 *	unit [0x1000, 0x9000)
 *	  function serve [0x1000, 0x1800)
 *	    block [0x1200, 0x1300)
 *	      inlined read [0x1210, 0x1280)
 *	        inlined parse [0x1230, 0x1240)
 *
 * The frames are parse with the line that the line table has for 0x1234, read with the call_line of
 * parse's DIE, and serve with the call_line of read's.
 *
 * Corrupt DWARF can make each of these walks arbitrarily long (siblings that point into their own
 * children, range lists that everybody shares), so each has a budget of steps; when it is spent,
 * what was found so far counts. */
#include "symbol/debuginfo.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "symbol/demangle.h"

#define SECTIONS_MAX_BYTES (1ull << 30)
/* Of one unit's line program; libdw needs up to 100 times that to read it. */
#define LINES_MAX_BYTES (16u << 20)
#define UNITS_MAX (256u << 10)
#define INDEX_STEPS (16u << 20)
#define LOOKUP_STEPS (2u << 20)
#define NESTING_MAX 48
/* Ranges before the nearest one: how far one that encloses the address is looked for. */
#define WALK_MAX 32

struct range {
	uint64_t start, end;
	uint64_t die; /* offset of the unit's or function's DIE */
};

struct ranges {
	struct range *items;
	size_t n, cap;
};

/* One unit's functions. */
struct unit {
	struct unit *next;
	uint64_t die;
	struct ranges functions;
};

/* A section's content, owned by elf. */
struct content {
	const char *data;
	size_t n_bytes;
};

enum { INFO, LINES, STRINGS, LINE_STRINGS, N_CONTENTS };
static const char *const content_names[] = {".debug_info", ".debug_line", ".debug_str",
					    ".debug_line_str"};

struct debuginfo {
	Elf *elf;
	Dwarf *dwarf;
	struct debuginfo *alt;
	char alt_build_id[2 * 64 + 1];
	uint64_t sections_bytes;
	struct content contents[N_CONTENTS];
	bool indexed;
	struct ranges units;
	struct unit *unit_cache; /* few per report: a list, the latest first */
	size_t n_functions;
};

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end > y->end ? -1 : x->end < y->end;
}

static const struct range *ranges_find(const struct ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i > 0 && low - i < WALK_MAX; i--)
		if (address < ranges->items[i - 1].end)
			return &ranges->items[i - 1];
	return NULL;
}

static void ranges_sort(struct ranges *ranges)
{
	if (ranges->n)
		qsort(ranges->items, ranges->n, sizeof(*ranges->items), by_start);
}

/* Takes one step of the budget; false when it is spent. */
static bool step(size_t *budget)
{
	return *budget && (*budget)--;
}

/* Ranges that start at 0 are those of functions that the linker dropped. */
static void add_ranges(struct ranges *to, Dwarf_Die *die, size_t *budget)
{
	struct range range = {.die = dwarf_dieoffset(die)};
	Dwarf_Addr base, start, end;
	ptrdiff_t offset = 0;

	while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0 && step(budget)) {
		range.start = start;
		range.end = end;
		if (start && start < end && vec_push(to, range))
			return;
	}
}

static bool die_holds(Dwarf_Die *die, uint64_t address, size_t *budget)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t offset = 0;

	while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0 && step(budget))
		if (start <= address && address < end)
			return true;
	return false;
}

static void index_units(struct debuginfo *info)
{
	size_t budget = INDEX_STEPS, header_bytes;
	Dwarf_Off offset = 0, next;

	info->indexed = true;
	for (size_t n = 0; n < UNITS_MAX; n++, offset = next) {
		Dwarf_Die die;

		if (dwarf_next_unit(info->dwarf, offset, &next, &header_bytes, NULL, NULL, NULL,
				    NULL, NULL, NULL))
			break;
		if (!dwarf_offdie(info->dwarf, offset + header_bytes, &die))
			continue;
		if (dwarf_tag(&die) == DW_TAG_compile_unit ||
		    dwarf_tag(&die) == DW_TAG_skeleton_unit)
			add_ranges(&info->units, &die, &budget);
	}
	ranges_sort(&info->units);
}

static void collect_functions(struct ranges *functions, Dwarf_Die *parent, unsigned depth,
			      size_t *budget)
{
	Dwarf_Die die;

	if (depth > NESTING_MAX || dwarf_child(parent, &die))
		return;
	do {
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			add_ranges(functions, &die, budget);
			/* fall through - functions may hold classes and functions */
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_structure_type:
		case DW_TAG_class_type:
		case DW_TAG_union_type:
		case DW_TAG_lexical_block:
			collect_functions(functions, &die, depth + 1, budget);
		}
	} while (step(budget) && !dwarf_siblingof(&die, &die));
}

/* A DIE takes a byte at least, so no honest unit has more of them than bytes. */
static size_t unit_budget(struct debuginfo *info, Dwarf_Die *unit_die)
{
	Dwarf_Off start = dwarf_dieoffset(unit_die) - dwarf_cuoffset(unit_die), next;
	size_t header_bytes;

	if (dwarf_next_unit(info->dwarf, start, &next, &header_bytes, NULL, NULL, NULL, NULL, NULL,
			    NULL))
		return 0;
	return next - start < INDEX_STEPS ? next - start : INDEX_STEPS;
}

static const struct unit *unit_get(struct debuginfo *info, Dwarf_Die *unit_die)
{
	uint64_t offset = dwarf_dieoffset(unit_die);
	struct unit *unit;
	size_t budget;

	for (unit = info->unit_cache; unit; unit = unit->next)
		if (unit->die == offset)
			return unit;
	unit = calloc(1, sizeof(*unit));
	if (!unit)
		return NULL;
	unit->die = offset;
	budget = unit_budget(info, unit_die);
	collect_functions(&unit->functions, unit_die, 0, &budget);
	ranges_sort(&unit->functions);
	info->n_functions += unit->functions.n;
	unit->next = info->unit_cache;
	info->unit_cache = unit;
	return unit;
}

/* The DIEs from the function down to the innermost inlined call that holds address. Returns how
 * many. */
static size_t inline_path(Dwarf_Die *function, uint64_t address,
			  Dwarf_Die path[DEBUGINFO_FRAMES_MAX])
{
	size_t budget = LOOKUP_STEPS, n = 1;
	Dwarf_Die die;

	path[0] = *function;
	if (dwarf_child(function, &die))
		return n;
	for (;;) {
		int tag = dwarf_tag(&die);

		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block) &&
		    die_holds(&die, address, &budget)) {
			if (tag == DW_TAG_inlined_subroutine && n < DEBUGINFO_FRAMES_MAX)
				path[n++] = die;
			if (dwarf_child(&die, &die))
				return n;
		} else if (dwarf_siblingof(&die, &die)) {
			return n;
		}
		if (!step(&budget))
			return n;
	}
}

/* text, or NULL if it runs past the end of the section it lies in: libdw does not check that of
 * strings inside .debug_info. Text in none of the sections was made by libdw. */
static const char *terminated(const struct debuginfo *info, const char *text)
{
	for (; info && text; info = info->alt)
		for (size_t i = 0; i < N_CONTENTS; i++) {
			const struct content *c = &info->contents[i];

			if (c->n_bytes && text >= c->data && text < c->data + c->n_bytes)
				return memchr(text, 0, c->data + c->n_bytes - text) ? text : NULL;
		}
	return text;
}

static void set_name(const struct debuginfo *info, struct source_frame *frame, Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
		name = terminated(info, dwarf_formstring(&attribute));
	frame->linkage = name && demangle_applies(name);
	frame->name = frame->linkage ? name : terminated(info, dwarf_diename(die));
}

/* Whether libdw can be trusted with the unit's line program: it is small enough (its length stands
 * at the head of it, DWARF 5, 6.2.4), and the directory that libdw puts before file names is
 * terminated. */
static bool lines_are_sane(const struct debuginfo *info, Dwarf_Die *unit_die)
{
	const struct content *lines = &info->contents[LINES];
	Dwarf_Attribute attribute;
	Dwarf_Word offset;
	uint64_t length;
	uint32_t length32;

	if (!dwarf_attr(unit_die, DW_AT_stmt_list, &attribute) ||
	    dwarf_formudata(&attribute, &offset))
		return false;
	if (dwarf_attr(unit_die, DW_AT_comp_dir, &attribute) &&
	    !terminated(info, dwarf_formstring(&attribute)))
		return false;
	if (lines->n_bytes < 12 || offset > lines->n_bytes - 12)
		return false;
	memcpy(&length32, lines->data + offset, sizeof(length32));
	length = length32;
	if (length32 == 0xffffffff)
		memcpy(&length, lines->data + offset + 4, sizeof(length));
	return length <= LINES_MAX_BYTES;
}

static void set_line(struct source_frame *frame, Dwarf_Die *unit_die, uint64_t address)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit_die, address);
	int number = 0;

	if (!line)
		return;
	frame->file = dwarf_linesrc(line, NULL, NULL);
	if (!dwarf_lineno(line, &number) && number > 0)
		frame->line = number;
}

/* Where the inlined DIE was called. */
static void set_call_site(struct source_frame *frame, Dwarf_Die *unit_die, Dwarf_Die *inlined)
{
	Dwarf_Attribute attribute;
	Dwarf_Files *files;
	Dwarf_Word number;
	size_t n_files;

	if (dwarf_attr(inlined, DW_AT_call_file, &attribute) &&
	    !dwarf_formudata(&attribute, &number) &&
	    !dwarf_getsrcfiles(unit_die, &files, &n_files) && number < n_files)
		frame->file = dwarf_filesrc(files, number, NULL, NULL);
	if (dwarf_attr(inlined, DW_AT_call_line, &attribute) &&
	    !dwarf_formudata(&attribute, &number) && number <= UINT32_MAX)
		frame->line = number;
}

size_t debuginfo_frames(struct debuginfo *info, uint64_t address, struct source_frame *frames)
{
	Dwarf_Die unit_die, function, path[DEBUGINFO_FRAMES_MAX];
	const struct range *range;
	const struct unit *unit;
	bool lines;
	size_t n;

	if (!info->indexed)
		index_units(info);
	range = ranges_find(&info->units, address);
	if (!range || !dwarf_offdie(info->dwarf, range->die, &unit_die))
		return 0;
	lines = lines_are_sane(info, &unit_die);
	unit = unit_get(info, &unit_die);
	range = unit ? ranges_find(&unit->functions, address) : NULL;
	frames[0] = (struct source_frame){0};
	if (!range || !dwarf_offdie(info->dwarf, range->die, &function)) {
		if (lines)
			set_line(&frames[0], &unit_die, address);
		return 1;
	}
	n = inline_path(&function, address, path);
	for (size_t i = 0; i < n; i++) {
		frames[i] = (struct source_frame){0};
		set_name(info, &frames[i], &path[n - 1 - i]);
		if (i && lines)
			set_call_site(&frames[i], &unit_die, &path[n - i]);
	}
	if (lines)
		set_line(&frames[0], &unit_die, address);
	return n;
}

/* Adds up the sections that libdw will read and unpack. The old .zdebug form hides its size and is
 * left alone. */
static int measure_sections(struct debuginfo *info)
{
	Elf_Scn *section = NULL;
	bool has_info = false;
	size_t names;

	if (elf_getshdrstrndx(info->elf, &names))
		return -ENODATA;
	while ((section = elf_nextscn(info->elf, section))) {
		GElf_Shdr header;
		GElf_Chdr packed;
		const char *name;
		uint64_t size;

		if (!gelf_getshdr(section, &header))
			return -EBADMSG;
		name = elf_strptr(info->elf, names, header.sh_name);
		if (!name || strncmp(name, ".debug", 6)) {
			if (name && !strncmp(name, ".zdebug", 7))
				return -ENODATA;
			continue;
		}
		has_info |= !strcmp(name, ".debug_info") && header.sh_type != SHT_NOBITS;
		size = header.sh_flags & SHF_COMPRESSED && gelf_getchdr(section, &packed)
			       ? packed.ch_size
			       : header.sh_size;
		if (header.sh_type != SHT_NOBITS &&
		    __builtin_add_overflow(info->sections_bytes, size, &info->sections_bytes))
			return -EFBIG;
	}
	if (!has_info)
		return -ENODATA;
	return info->sections_bytes > SECTIONS_MAX_BYTES ? -EFBIG : 0;
}

/* After libdw has unpacked them. libdw's line table reader relies on string sections that end in
 * NUL. */
static int find_contents(struct debuginfo *info)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(info->elf, &names))
		return -EBADMSG;
	while ((section = elf_nextscn(info->elf, section))) {
		GElf_Shdr header;
		Elf_Data *data;
		const char *name;

		name = gelf_getshdr(section, &header) ? elf_strptr(info->elf, names, header.sh_name)
						      : NULL;
		for (size_t i = 0; name && i < N_CONTENTS; i++) {
			if (info->contents[i].data || strcmp(name, content_names[i]) ||
			    header.sh_type == SHT_NOBITS) /* of two, libdw takes the first */
				continue;
			data = elf_rawdata(section, NULL);
			if (!data || !data->d_buf || !data->d_size)
				continue;
			info->contents[i] = (struct content){data->d_buf, data->d_size};
			if (i >= STRINGS && ((char *)data->d_buf)[data->d_size - 1])
				return -EBADMSG;
		}
	}
	return 0;
}

static int read_alt_link(struct debuginfo *info)
{
	const void *id;
	const char *path;
	ssize_t n = dwelf_dwarf_gnu_debugaltlink(info->dwarf, &path, &id);
	const unsigned char *bytes = id;

	if (n < 0 || n > 64)
		return -EBADMSG;
	for (ssize_t i = 0; i < n; i++) {
		info->alt_build_id[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		info->alt_build_id[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	return 0;
}

int debuginfo_open(int fd, struct debuginfo **ret)
{
	struct debuginfo *info = calloc(1, sizeof(*info));
	int err = -EBADMSG;

	if (!info)
		return -ENOMEM;
	elf_version(EV_CURRENT);
	info->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!info->elf || elf_kind(info->elf) != ELF_K_ELF)
		goto out;
	err = measure_sections(info);
	if (err)
		goto out;
	err = -EBADMSG;
	info->dwarf = dwarf_begin_elf(info->elf, DWARF_C_READ, NULL);
	if (!info->dwarf)
		goto out;
	(void)((err = find_contents(info)) || (err = read_alt_link(info)));
	if (err)
		goto out;
	elf_cntl(info->elf, ELF_C_FDDONE); /* dwarf_begin_elf has read all that will be needed */
	*ret = info;
	return 0;
out:
	debuginfo_close(info);
	return err;
}

void debuginfo_close(struct debuginfo *info)
{
	struct unit *unit;

	if (!info)
		return;
	while ((unit = info->unit_cache)) {
		info->unit_cache = unit->next;
		free(unit->functions.items);
		free(unit);
	}
	free(info->units.items);
	dwarf_end(info->dwarf);
	elf_end(info->elf);
	debuginfo_close(info->alt);
	free(info);
}

const char *debuginfo_alt_build_id(const struct debuginfo *info)
{
	return info->alt_build_id;
}

int debuginfo_set_alt(struct debuginfo *info, int fd)
{
	struct debuginfo *alt;
	int err = debuginfo_open(fd, &alt);

	if (err)
		return err;
	/* dwz makes no chains of them, and libdw would follow this one by itself. */
	if (alt->alt_build_id[0]) {
		debuginfo_close(alt);
		return -EBADMSG;
	}
	debuginfo_close(info->alt);
	info->alt = alt;
	dwarf_setalt(info->dwarf, alt->dwarf);
	return 0;
}

size_t debuginfo_bytes(const struct debuginfo *info)
{
	if (!info)
		return 0;
	return info->sections_bytes + (info->units.cap + info->n_functions) * sizeof(struct range) +
	       debuginfo_bytes(info->alt);
}
