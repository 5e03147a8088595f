// SPDX-License-Identifier: BSD-2-Clause
/* The section is copied, and what libdw must not see is made unreadable for it in place: it skips a
 * CIE of an unknown version. The forms .eh_frame and .debug_frame differ in how a FDE names its CIE
 * (LSB Core, 10.6.1; DWARF 5, 6.4.1):
 *
 *	length (4 bytes, or ffffffff and 8)
 *	id (4 or 8)	CIE: 0 or -1; FDE: bytes from here back to the CIE, or its offset
 *	body
 *
 * so that .debug_frame, rewritten in the same pass, is an .eh_frame as well. libdw gets no
 * .eh_frame_hdr, whose table could lead it anywhere in the section; it keeps an index of its
 * own. */
#include "unwind/cfi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

#define LENGTH_64_BIT 0xffffffff
/* Behind the section in memory, so that nothing that libdw reads to the end of an entry is another
 * allocation. */
#define PADDING 64

struct commons {
	struct cfi_common *items; /* by offset */
	size_t n, cap;
};

struct entry {
	size_t at;     /* in the section */
	uint8_t *id;   /* in the copy */
	size_t n_id;   /* bytes: 4 or 8 */
	uint8_t *body; /* behind the id */
	uint8_t *end;
};

/* What the file around the section looks like. */
struct image {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	char names[24];
	uint8_t data[];
};

enum { SECTION_NULL, SECTION_CFI, SECTION_NAMES };

static const char names[24] = "\0.eh_frame\0.shstrtab";

/* Reads the entry at *at and moves on. Returns whether there was one. */
static bool next_entry(uint8_t *data, size_t n_bytes, size_t *at, struct entry *ret)
{
	size_t left = n_bytes - *at, n_head = 4;
	uint32_t length32;
	uint64_t length;

	if (left < 8)
		return false;
	memcpy(&length32, data + *at, sizeof(length32));
	length = length32;
	if (length32 == LENGTH_64_BIT) {
		n_head = 12;
		if (left < n_head)
			return false;
		memcpy(&length, data + *at + 4, sizeof(length));
	}
	ret->n_id = n_head == 4 ? 4 : 8;
	if (length <= ret->n_id || length > left - n_head)
		return false;
	ret->at = *at;
	ret->id = data + *at + n_head;
	ret->body = ret->id + ret->n_id;
	ret->end = ret->id + length;
	*at += n_head + length;
	return true;
}

static void write_id(struct entry *e, uint64_t id)
{
	memcpy(e->id, &id, e->n_id);
}

/* Whatever it was, libdw reads no more of it than this. */
static void hide(struct entry *e)
{
	write_id(e, 0);
	e->body[0] = 0;
}

static const struct cfi_common *find_common(const struct commons *commons, size_t at)
{
	size_t low = 0, high = commons->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (commons->items[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < commons->n && commons->items[low].at == at ? &commons->items[low] : NULL;
}

/* Whether the function starts in one of the texts; its end is cut to that one's. */
static bool cut_to_text(const struct texts *texts, struct cfi_function *function)
{
	size_t low = 0, high = texts->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (texts->items[middle].end <= function->start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == texts->n || function->start < texts->items[low].start)
		return false;
	if (function->end > texts->items[low].end)
		function->end = texts->items[low].end;
	return true;
}

static int read_common(struct commons *commons, struct entry *e)
{
	struct cfi_common common;

	write_id(e, 0);
	if (!cfi_check_common(e->body, e->end, &common)) {
		hide(e);
		return 0;
	}
	common.at = e->at;
	return vec_push(commons, common);
}

/* id_at: of the entry's id in the section. common_at: where the entry says that its CIE is. */
static int read_function(struct cfi *cfi, const struct commons *commons, const struct texts *texts,
			 struct entry *e, uint64_t id_at, uint64_t common_at, uint64_t address)
{
	const struct cfi_common *common = find_common(commons, common_at);
	struct cfi_function function;

	if (!common ||
	    !cfi_check_function(common, e->body, e->end, address + id_at + e->n_id, &function)) {
		hide(e);
		cfi->n_bad++;
		return 0;
	}
	if (!cut_to_text(texts, &function)) {
		hide(e);
		return 0;
	}
	write_id(e, id_at - common_at);
	function.at = e->at;
	return vec_push(&cfi->functions, function);
}

/* Returns how many bytes of data hold entries that libdw may read, or -ENOMEM. */
static ssize_t read_entries(struct cfi *cfi, uint8_t *data, size_t n_bytes, uint64_t address,
			    bool debug, const struct texts *texts)
{
	struct commons commons = {0};
	struct entry e;
	size_t at = 0;
	int err = 0;

	while (!err && next_entry(data, n_bytes, &at, &e)) {
		uint64_t id = 0, id_at = e.id - data;

		memcpy(&id, e.id, e.n_id);
		if (id == (!debug ? 0 : e.n_id == 4 ? UINT32_MAX : UINT64_MAX))
			err = read_common(&commons, &e);
		else
			err = read_function(cfi, &commons, texts, &e, id_at,
					    debug ? id : id_at - id, address);
	}
	free(commons.items);
	return err ? err : (ssize_t)at;
}

static int by_start(const void *a, const void *b)
{
	const struct cfi_function *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Linkers write them sorted but for the code that they move to the front. Of overlapping ones the
 * first stays. */
static void sort_functions(struct cfi *cfi, uint8_t *data, size_t n_bytes)
{
	struct cfi_function *items = cfi->functions.items;
	size_t n = 0;

	if (cfi->functions.n)
		qsort(items, cfi->functions.n, sizeof(*items), by_start);
	for (size_t i = 0; i < cfi->functions.n; i++) {
		size_t at = items[i].at;
		struct entry e;

		if (n && items[i].start < items[n - 1].end) {
			if (next_entry(data, n_bytes, &at, &e))
				hide(&e);
			cfi->n_bad++;
		} else {
			items[n++] = items[i];
		}
	}
	cfi->functions.n = n;
}

static void write_image(struct image *image, size_t n_bytes, uint64_t address)
{
	memset(image, 0, sizeof(*image));
	image->header = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shoff = offsetof(struct image, sections),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
		.e_shstrndx = SECTION_NAMES,
	};
	image->sections[SECTION_CFI] = (Elf64_Shdr){
		.sh_name = 1,
		.sh_type = SHT_PROGBITS,
		.sh_addr = address,
		.sh_offset = offsetof(struct image, data),
		.sh_size = n_bytes,
	};
	image->sections[SECTION_NAMES] = (Elf64_Shdr){
		.sh_name = 11,
		.sh_type = SHT_STRTAB,
		.sh_offset = offsetof(struct image, names),
		.sh_size = sizeof(names),
	};
	memcpy(image->names, names, sizeof(names));
}

int cfi_open(const void *data, size_t n_bytes, uint64_t address, bool debug,
	     const struct texts *texts, struct cfi **ret)
{
	struct cfi *cfi = calloc(1, sizeof(*cfi));
	struct image *image = malloc(sizeof(*image) + n_bytes + PADDING);
	ssize_t n_read;

	if (!cfi || !image)
		goto out;
	cfi->image = image;
	memcpy(image->data, data, n_bytes);
	memset(image->data + n_bytes, 0, PADDING);
	n_read = read_entries(cfi, image->data, n_bytes, address, debug, texts);
	if (n_read < 0)
		goto out;
	sort_functions(cfi, image->data, n_read);
	write_image(image, n_read, address);
	if (cfi->functions.n) {
		elf_version(EV_CURRENT);
		cfi->elf = elf_memory(cfi->image, sizeof(*image) + n_read + PADDING);
		cfi->handle = cfi->elf ? dwarf_getcfi_elf(cfi->elf) : NULL;
		if (!cfi->handle)
			goto out;
	}
	*ret = cfi;
	return 0;
out:
	if (!cfi || !cfi->image)
		free(image);
	cfi_close(cfi);
	return -ENOMEM;
}

void cfi_close(struct cfi *cfi)
{
	if (!cfi)
		return;
	dwarf_cfi_end(cfi->handle);
	elf_end(cfi->elf);
	free(cfi->functions.items);
	free(cfi->image);
	free(cfi);
}
