/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ELF_IMAGE_INTERNAL_H
#define SEEP_ELF_IMAGE_INTERNAL_H
/* What image.c and symbols.c share; nobody else includes this. */
#include <elf.h>

#include "elf/image.h"

/* A symbol table in memory; strings ends in NUL. */
struct symbol_table {
	const char *label; /* for messages: ".dynsym" */
	Elf64_Sym *symbols;
	size_t n;
	char *strings;
	size_t strings_bytes;
	bool loaded;
};

struct elf_image {
	int fd;
	char *name;
	uint64_t file_bytes;
	Elf64_Ehdr header;
	Elf64_Phdr *segments;
	size_t n_segments;
	Elf64_Shdr *sections;
	size_t n_sections;
	char *section_names; /* ends in NUL; NULL without a string table */
	size_t section_names_bytes;
	char *interpreter;
	char build_id[2 * ELF_BUILD_ID_MAX + 1];
	struct symbol_table dynamic, complete; /* .dynsym and .symtab */
};

/* Largest part of a file that is read, or unpacked, into memory at once. */
#define ELF_CONTENT_MAX (1ULL << 30) /* bytes */

/* Reads [offset, offset + n_bytes) of the file into memory with a NUL behind it; what: for the
 * diag. Returns 0 and memory of the caller's, -EBADMSG (past the file's end, or beyond
 * ELF_CONTENT_MAX), -ENOMEM, -EIO. */
int elf_image_load(const struct elf_image *image, const char *what, uint64_t offset,
		   uint64_t n_bytes, void **ret, struct diag *d);

/* The section's name for messages, "section 7" when it has none. text: room for it. */
const char *elf_image_section_label(const struct elf_image *image, size_t index, char text[64]);

#endif
