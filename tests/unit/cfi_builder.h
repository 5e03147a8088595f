/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_CFI_BUILDER_H
#define SEEP_TESTS_CFI_BUILDER_H
/* Call frame information made by hand, and an ELF file around it: its code is there in name only.
 * For tests and fuzzing. */
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CFI_TEXT 0x10000ULL /* executable segment: virtual address */
#define CFI_TEXT_BYTES 0x100000
#define CFI_SECTION 0x800000ULL /* virtual address of .eh_frame */

struct cfi_bytes {
	uint8_t *data;
	size_t n, cap;
	bool debug; /* in .debug_frame's form */
};

static inline void cfi_put(struct cfi_bytes *b, const void *data, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n);
		b->data = realloc(b->data, b->cap);
		if (!b->data)
			abort();
	}
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static inline void cfi_put32(struct cfi_bytes *b, uint32_t value)
{
	cfi_put(b, &value, sizeof(value));
}

/* Sets the length of the entry that begins at `at` and ends here, padded as compilers do. */
static inline void cfi_end_entry(struct cfi_bytes *b, size_t at)
{
	uint32_t length;

	while (b->n % 8)
		cfi_put(b, "", 1);
	length = b->n - at - 4;
	memcpy(b->data + at, &length, sizeof(length));
}

/* A CIE with the program; its offset. augmentation: "zR", "zRS", or "" in .debug_frame. */
static inline size_t cfi_common(struct cfi_bytes *b, const char *augmentation, const void *program,
				size_t n_program)
{
	size_t at = b->n;

	cfi_put32(b, 0);
	cfi_put32(b, b->debug ? UINT32_MAX : 0);
	cfi_put(b, "\1", 1);
	cfi_put(b, augmentation, strlen(augmentation) + 1);
	cfi_put(b, "\1\x78\x10", 3); /* code * 1, data * -8, return address 16 */
	if (augmentation[0] == 'z')
		cfi_put(b, "\1\x1b", 2); /* pcrel sdata4 */
	cfi_put(b, program, n_program);
	cfi_end_entry(b, at);
	return at;
}

/* A FDE of [CFI_TEXT + start, + n_bytes) with the program; its offset. */
static inline size_t cfi_function(struct cfi_bytes *b, size_t common, uint64_t start,
				  uint64_t n_bytes, const void *program, size_t n_program)
{
	size_t at = b->n;

	start += CFI_TEXT;
	cfi_put32(b, 0);
	cfi_put32(b, b->debug ? common : at + 4 - common);
	if (b->debug) {
		cfi_put(b, &start, 8);
		cfi_put(b, &n_bytes, 8);
	} else {
		cfi_put32(b, start - (CFI_SECTION + b->n));
		cfi_put32(b, n_bytes);
		cfi_put(b, "", 1);
	}
	cfi_put(b, program, n_program);
	cfi_end_entry(b, at);
	return at;
}

/* The file. Either section may be NULL. Returns malloc'd bytes. */
static inline uint8_t *cfi_build(const struct cfi_bytes *eh, const struct cfi_bytes *debug,
				 size_t *ret_bytes)
{
	static const char names[] = "\0.eh_frame\0.debug_frame\0.shstrtab";
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment;
		Elf64_Shdr sections[4];
		char names[40];
	} * file;
	size_t n_eh = eh ? eh->n : 0, n_debug = debug ? debug->n : 0,
	       n_bytes = sizeof(*file) + n_eh + n_debug;

	file = calloc(1, n_bytes);
	if (!file)
		abort();
	file->header = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_shoff = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
		.e_shstrndx = 3,
	};
	file->segment = (Elf64_Phdr){.p_type = PT_LOAD,
				     .p_flags = PF_R | PF_X,
				     .p_vaddr = CFI_TEXT,
				     .p_filesz = CFI_TEXT_BYTES,
				     .p_memsz = CFI_TEXT_BYTES};
	file->sections[1] = (Elf64_Shdr){.sh_name = 1,
					 .sh_type = eh ? SHT_PROGBITS : SHT_NOBITS,
					 .sh_addr = CFI_SECTION,
					 .sh_offset = sizeof(*file),
					 .sh_size = n_eh};
	file->sections[2] = (Elf64_Shdr){.sh_name = 11,
					 .sh_type = debug ? SHT_PROGBITS : SHT_NOBITS,
					 .sh_offset = sizeof(*file) + n_eh,
					 .sh_size = n_debug};
	file->sections[3] = (Elf64_Shdr){.sh_name = 24,
					 .sh_type = SHT_STRTAB,
					 .sh_offset = (char *)file->names - (char *)file,
					 .sh_size = sizeof(file->names)};
	memcpy(file->names, names, sizeof(names));
	if (n_eh)
		memcpy(file + 1, eh->data, n_eh);
	if (n_debug)
		memcpy((char *)(file + 1) + n_eh, debug->data, n_debug);
	*ret_bytes = n_bytes;
	return (uint8_t *)file;
}

#endif
