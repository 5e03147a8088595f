/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_ELF_BUILDER_H
#define SEEP_TESTS_ELF_BUILDER_H
/* A small but whole ELF file around some machine code: header, one executable PT_LOAD over
 * everything, .text, .symtab and their string tables. For tests and fuzzing. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUILT_BASE 0x10000 /* virtual address of the file's first byte */
#define BUILT_TEXT 0x100   /* file offset of .text */
#define BUILT_SYMBOLS_MAX 2048

struct built_symbol {
	const char *name;
	uint64_t at; /* bytes from .text's first */
	uint64_t size_bytes;
	uint8_t type; /* 0: STT_FUNC */
};

enum { BUILT_NULL, BUILT_TEXT_SECTION, BUILT_SYMTAB, BUILT_STRTAB, BUILT_SHSTRTAB, BUILT_SECTIONS };

/* Returns malloc'd bytes, or NULL; the caller frees. */
static inline uint8_t *elf_build(uint16_t machine, const void *code, size_t n_code,
				 const struct built_symbol *symbols, size_t n_symbols,
				 size_t *ret_bytes)
{
	static const char section_names[] = "\0.text\0.symtab\0.strtab\0.shstrtab";
	size_t symtab_at = (BUILT_TEXT + n_code + 7) & ~7ul,
	       strtab_at = symtab_at + (n_symbols + 1) * sizeof(Elf64_Sym);
	size_t n_strings = 1, shstrtab_at, sections_at, n_bytes;
	Elf64_Shdr sections[BUILT_SECTIONS] = {0};
	uint8_t *bytes;

	for (size_t i = 0; i < n_symbols; i++)
		n_strings += strlen(symbols[i].name) + 1;
	shstrtab_at = strtab_at + n_strings;
	sections_at = (shstrtab_at + sizeof(section_names) + 7) & ~7ul;
	n_bytes = sections_at + sizeof(sections);
	bytes = calloc(1, n_bytes);
	if (!bytes)
		return NULL;
	*(Elf64_Ehdr *)bytes = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = machine,
		.e_version = EV_CURRENT,
		.e_entry = BUILT_BASE + BUILT_TEXT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_shoff = sections_at,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = BUILT_SECTIONS,
		.e_shstrndx = BUILT_SHSTRTAB,
	};
	*(Elf64_Phdr *)(bytes + sizeof(Elf64_Ehdr)) = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_vaddr = BUILT_BASE,
		.p_filesz = n_bytes,
		.p_memsz = n_bytes,
	};
	if (n_code)
		memcpy(bytes + BUILT_TEXT, code, n_code);
	n_strings = 1;
	for (size_t i = 0; i < n_symbols; i++) {
		Elf64_Sym symbol = {
			.st_name = n_strings,
			.st_info = ELF64_ST_INFO(STB_GLOBAL,
						 symbols[i].type ? symbols[i].type : STT_FUNC),
			.st_shndx = BUILT_TEXT_SECTION,
			.st_value = BUILT_BASE + BUILT_TEXT + symbols[i].at,
			.st_size = symbols[i].size_bytes,
		};

		memcpy(bytes + symtab_at + (i + 1) * sizeof(symbol), &symbol, sizeof(symbol));
		strcpy((char *)bytes + strtab_at + n_strings, symbols[i].name);
		n_strings += strlen(symbols[i].name) + 1;
	}
	memcpy(bytes + shstrtab_at, section_names, sizeof(section_names));
	sections[BUILT_TEXT_SECTION] = (Elf64_Shdr){.sh_name = 1,
						    .sh_type = SHT_PROGBITS,
						    .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
						    .sh_addr = BUILT_BASE + BUILT_TEXT,
						    .sh_offset = BUILT_TEXT,
						    .sh_size = n_code};
	sections[BUILT_SYMTAB] = (Elf64_Shdr){.sh_name = 7,
					      .sh_type = SHT_SYMTAB,
					      .sh_offset = symtab_at,
					      .sh_size = strtab_at - symtab_at,
					      .sh_link = BUILT_STRTAB,
					      .sh_entsize = sizeof(Elf64_Sym)};
	sections[BUILT_STRTAB] = (Elf64_Shdr){
		.sh_name = 15, .sh_type = SHT_STRTAB, .sh_offset = strtab_at, .sh_size = n_strings};
	sections[BUILT_SHSTRTAB] = (Elf64_Shdr){.sh_name = 23,
						.sh_type = SHT_STRTAB,
						.sh_offset = shstrtab_at,
						.sh_size = sizeof(section_names)};
	memcpy(bytes + sections_at, sections, sizeof(sections));
	*ret_bytes = n_bytes;
	return bytes;
}

/* A file in memory with this content, or -1; the caller closes it. */
static inline int elf_to_fd(const void *bytes, size_t n_bytes)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, bytes, n_bytes) != (ssize_t)n_bytes) {
		close(fd);
		return -1;
	}
	return fd;
}

#endif
