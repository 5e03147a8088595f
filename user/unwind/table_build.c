// SPDX-License-Identifier: BSD-2-Clause
/* A file's CFI to rows. Where functions of both sections describe the same code, .eh_frame's hold,
 * since that is what the program's own unwinder goes by; .debug_frame's are cut to what is left:
 *
 *	.eh_frame	   |--- f ---|        |--- g ---|
 *	.debug_frame	|------- f' ------|
 *	pieces		|f'|--- f ---| f' |   |--- g ---| */
#include <errno.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "elf/image.h"
#include "unwind/cfi.h"
#include "unwind/table_rows.h"
#include "unwind/table_rule.h"

/* All libdw may spend on a file, in cfi_function.n_steps; 2 to 3 s. The most that was seen is 490
 * million, of gnat1. */
#define STEPS_MAX (4ULL << 30)

/* A part of a function whose rows count. */
struct piece {
	uint64_t start, end;
	const struct cfi_function *function;
	struct cfi *cfi;
};

struct pieces {
	struct piece *items;
	size_t n, cap;
};

struct build {
	const char *name;
	struct diag *d;
	Elf *elf;
	struct elf_image *image;
	struct texts texts;
	struct cfi *eh, *debug;
	struct pieces pieces;
	struct table_rows rows;
	struct unwind_table *table;
	uint64_t n_steps;
};

static int out_of_memory(struct build *b)
{
	return diag_set(b->d, ENOMEM, "%s: unwind table: out of memory", b->name);
}

static int by_text(const void *a, const void *b)
{
	const struct text *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The executable segments, as far as 32 bits count from the first. */
static int read_texts(struct build *b)
{
	struct texts *texts = &b->texts;
	size_t n_segments, n = 0;
	uint64_t limit;

	if (elf_getphdrnum(b->elf, &n_segments))
		n_segments = 0;
	for (size_t i = 0; i < n_segments; i++) {
		struct text text;
		GElf_Phdr p;

		if (!gelf_getphdr(b->elf, i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X) ||
		    !p.p_filesz || __builtin_add_overflow(p.p_vaddr, p.p_filesz, &text.end))
			continue;
		text.start = p.p_vaddr;
		if (vec_push(texts, text))
			return out_of_memory(b);
	}
	if (!texts->n)
		return diag_set(b->d, ENODATA, "%s: no executable segment", b->name);
	qsort(texts->items, texts->n, sizeof(*texts->items), by_text);
	if (__builtin_add_overflow(texts->items[0].start, UINT32_MAX, &limit))
		return diag_set(b->d, EBADMSG, "%s: executable segment at %#" PRIx64, b->name,
				texts->items[0].start);
	for (size_t i = 0; i < texts->n; i++) {
		struct text text = texts->items[i];

		if (n && text.start < texts->items[n - 1].end)
			text.start = texts->items[n - 1].end;
		if (text.end > limit)
			text.end = limit;
		if (text.start < text.end)
			texts->items[n++] = text;
	}
	texts->n = n;
	return 0;
}

static bool find_section(struct build *b, const char *name, GElf_Shdr *ret)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(b->elf, &names))
		return false;
	while ((section = elf_nextscn(b->elf, section))) {
		const char *found =
			gelf_getshdr(section, ret) ? elf_strptr(b->elf, names, ret->sh_name) : NULL;

		if (found && !strcmp(found, name) && ret->sh_type != SHT_NOBITS)
			return true;
	}
	return false;
}

static int open_section(struct build *b, const char *name, bool debug, struct cfi **ret)
{
	_cleanup_free_ void *data = NULL;
	size_t n_bytes;
	GElf_Shdr section;
	int err;

	if (!find_section(b, name, &section))
		return -ENOENT;
	err = elf_image_section(b->image, name, &data, &n_bytes, b->d);
	if (err)
		return err;
	err = cfi_open(data, n_bytes, section.sh_addr, debug, &b->texts, ret);
	return err ? out_of_memory(b) : 0;
}

/* Where the segment of .eh_frame_hdr says that .eh_frame is (LSB Core, 10.6.2), in the one encoding
 * that linkers use. */
static bool read_eh_frame_address(struct build *b, const GElf_Phdr *header, uint64_t *ret)
{
	static const uint8_t expected[] = {1 /* version */, 0x1b /* DW_EH_PE_pcrel | sdata4 */};
	Elf_Data *data = elf_getdata_rawchunk(b->elf, header->p_offset, 8, ELF_T_BYTE);
	int32_t distance;

	if (!data || memcmp(data->d_buf, expected, sizeof(expected)))
		return false;
	memcpy(&distance, (char *)data->d_buf + 4, sizeof(distance));
	*ret = header->p_vaddr + 4 + distance;
	return true;
}

/* A file without section headers: .eh_frame from where .eh_frame_hdr points to the end of that
 * segment, or to its own terminator. */
static int open_eh_frame_segment(struct build *b)
{
	GElf_Phdr header = {.p_type = PT_NULL}, p;
	uint64_t address = 0, skip;
	Elf_Data *data;
	size_t n;

	if (elf_getphdrnum(b->elf, &n))
		return -ENOENT;
	for (size_t i = 0; i < n && header.p_type != PT_GNU_EH_FRAME; i++)
		if (!gelf_getphdr(b->elf, i, &header))
			return -ENOENT;
	if (header.p_type != PT_GNU_EH_FRAME || !read_eh_frame_address(b, &header, &address))
		return -ENOENT;
	for (size_t i = 0; i < n; i++) {
		if (!gelf_getphdr(b->elf, i, &p) || p.p_type != PT_LOAD || address < p.p_vaddr ||
		    address - p.p_vaddr >= p.p_filesz)
			continue;
		skip = address - p.p_vaddr;
		data = elf_getdata_rawchunk(b->elf, p.p_offset + skip, p.p_filesz - skip,
					    ELF_T_BYTE);
		if (!data)
			return -ENOENT;
		return cfi_open(data->d_buf, data->d_size, address, false, &b->texts, &b->eh)
			       ? out_of_memory(b)
			       : 0;
	}
	return -ENOENT;
}

static int open_sections(struct build *b)
{
	int err = open_section(b, ".eh_frame", false, &b->eh);

	if (err == -ENOENT)
		err = open_eh_frame_segment(b);
	if (err && err != -ENOENT)
		return err;
	err = open_section(b, ".debug_frame", true, &b->debug);
	return err == -ENOENT ? 0 : err;
}

static int add_piece(struct build *b, struct cfi *cfi, const struct cfi_function *function,
		     uint64_t start, uint64_t end)
{
	struct piece piece = {.start = start, .end = end, .function = function, .cfi = cfi};

	return start < end && vec_push(&b->pieces, piece) ? out_of_memory(b) : 0;
}

static int by_piece(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int cut_pieces(struct build *b)
{
	size_t n_eh = b->eh ? b->eh->functions.n : 0,
	       n_debug = b->debug ? b->debug->functions.n : 0;
	const struct cfi_function *eh = n_eh ? b->eh->functions.items : NULL;
	size_t first = 0;
	int err = 0;

	for (size_t i = 0; i < n_eh && !err; i++)
		err = add_piece(b, b->eh, &eh[i], eh[i].start, eh[i].end);
	for (size_t i = 0; i < n_debug && !err; i++) {
		const struct cfi_function *f = &b->debug->functions.items[i];
		uint64_t start = f->start;
		size_t j;

		while (first < n_eh && eh[first].end <= f->start)
			first++;
		for (j = first; j < n_eh && eh[j].start < f->end && !err; j++) {
			err = add_piece(b, b->debug, f, start, eh[j].start);
			start = eh[j].end;
		}
		if (!err)
			err = add_piece(b, b->debug, f, start, f->end);
	}
	if (b->pieces.n && n_debug)
		qsort(b->pieces.items, b->pieces.n, sizeof(*b->pieces.items), by_piece);
	return err;
}

/* The rule at pc and the end of its row; where libdw cannot say, a gap, to the function's end if
 * that is not known either. Returns whether it could. */
static bool read_row(const struct piece *piece, uint64_t pc, struct wire_rule *ret,
		     uint64_t *ret_end)
{
	Dwarf_Frame *frame;
	Dwarf_Addr end;
	bool good;

	*ret = (struct wire_rule){.cfa = WIRE_CFA_NONE};
	*ret_end = piece->end;
	if (dwarf_cfi_addrframe(piece->cfi->handle, pc, &frame))
		return false;
	good = dwarf_frame_info(frame, NULL, &end, NULL) >= 0 && end > pc;
	if (good && end < piece->end)
		*ret_end = end;
	good = good && !table_rule(frame, ret);
	free(frame);
	return good;
}

static void count_bytes(struct unwind_table *table, const struct wire_rule *rule, uint64_t n_bytes)
{
	if (rule->cfa == WIRE_CFA_UNSUPPORTED)
		table->unsupported_bytes += n_bytes;
	else if (rule->cfa != WIRE_CFA_NONE)
		table->covered_bytes += n_bytes;
}

/* The piece's rows and a gap behind them. */
static int add_rows(struct build *b, const struct piece *piece)
{
	static const struct wire_rule none = {.cfa = WIRE_CFA_NONE};
	uint64_t n_steps = b->n_steps + piece->function->n_steps, pc = piece->start, end;
	struct wire_rule rule;
	bool bad = n_steps > STEPS_MAX;
	int err = 0;

	if (!bad) {
		b->n_steps = n_steps;
		for (; pc < piece->end && !err; pc = end) {
			bad |= !read_row(piece, pc, &rule, &end);
			count_bytes(b->table, &rule, end - pc);
			err = table_rows_add(&b->rows, pc, &rule);
		}
	}
	if (!err)
		err = table_rows_add(&b->rows, pc, &none);
	b->table->n_fdes += pc != piece->start;
	b->table->n_bad_fdes += bad;
	return err;
}

static int build_rows(struct build *b)
{
	int err = table_rows_begin(&b->rows, b->texts.items[0].start);

	for (size_t i = 0; i < b->texts.n; i++)
		b->table->text_bytes += b->texts.items[i].end - b->texts.items[i].start;
	if (b->eh)
		b->table->n_bad_fdes += b->eh->n_bad;
	if (b->debug)
		b->table->n_bad_fdes += b->debug->n_bad;
	for (size_t i = 0; i < b->pieces.n && !err; i++)
		err = add_rows(b, &b->pieces.items[i]);
	if (err == -EFBIG)
		return diag_set(b->d, EFBIG, "%s: CFI: too many rows or rules", b->name);
	if (err)
		return out_of_memory(b);
	if (b->rows.rows.n == 1 && b->table->n_bad_fdes)
		return diag_set(b->d, EBADMSG, "%s: CFI: none of %u entries can be read", b->name,
				b->table->n_bad_fdes);
	if (b->rows.rows.n == 1)
		return diag_set(b->d, ENODATA, "%s: no CFI (.eh_frame, .debug_frame)", b->name);
	table_rows_move(&b->rows, b->table);
	return 0;
}

static int open_file(struct build *b, int fd)
{
	int err = elf_image_open(fd, b->name, &b->image, b->d);

	if (err)
		return err;
	if (elf_image_machine(b->image) != EM_X86_64)
		return diag_set(b->d, ENOTSUP, "%s: CFI of machine %u", b->name,
				elf_image_machine(b->image));
	elf_version(EV_CURRENT);
	b->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!b->elf || elf_kind(b->elf) != ELF_K_ELF)
		return diag_set(b->d, EBADMSG, "%s: %s", b->name, elf_errmsg(-1));
	b->table = calloc(1, sizeof(*b->table));
	return b->table ? 0 : out_of_memory(b);
}

int unwind_table_build(int fd, const char *name, struct unwind_table **ret, struct diag *d)
{
	struct build b = {.name = name, .d = d};
	int err;

	(void)((err = open_file(&b, fd)) || (err = read_texts(&b)) || (err = open_sections(&b)) ||
	       (err = cut_pieces(&b)) || (err = build_rows(&b)));
	if (!err) {
		*ret = b.table;
		b.table = NULL;
	}
	unwind_table_destroy(b.table);
	table_rows_done(&b.rows);
	free(b.pieces.items);
	cfi_close(b.debug);
	cfi_close(b.eh);
	free(b.texts.items);
	elf_end(b.elf);
	elf_image_close(b.image);
	return err;
}
