/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ELF_IMAGE_H
#define SEEP_ELF_IMAGE_H
/* An ELF file, read with every offset checked against the file's size: these files are untrusted and seep runs as root.
 * The file is read by pread into memory of ours (never mmapped: a file that shrinks must not raise SIGBUS). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define ELF_BUILD_ID_MAX 64 /* bytes; GNU uses 20 or 16 */

struct elf_image; /* opaque */

struct elf_symbol {
	const char *name; /* owned by the image, NUL-terminated */
	uint64_t address; /* st_value: virtual address in the file's own terms */
	uint64_t size_bytes;
	uint8_t type;	 /* STT_* */
	uint8_t binding; /* STB_* */
	bool dynamic;	 /* from .dynsym, else .symtab */
};

/* name: for messages, copied. fd stays the caller's and is not needed after the call returns... except that sections
 * are read on demand, so the image keeps a dup of it. Returns 0; -ENOEXEC (not an ELF file), -ENOTSUP (32-bit, other
 * byte order or machine), -EBADMSG (corrupt, the diag names section and field), -EIO. */
int elf_image_open(int fd, const char *name, struct elf_image **ret, struct diag *d);
void elf_image_close(struct elf_image *image);

uint16_t elf_image_type(const struct elf_image *image);	   /* ET_EXEC, ET_DYN */
uint16_t elf_image_machine(const struct elf_image *image); /* EM_X86_64, EM_AARCH64 */
uint64_t elf_image_entry(const struct elf_image *image);
/* PT_INTERP's path, or NULL for a static program. */
const char *elf_image_interpreter(const struct elf_image *image);
/* The GNU build-id as lower-case hex, or "" without one. */
const char *elf_image_build_id(const struct elf_image *image);

/* Virtual address to file offset and back through PT_LOAD; -ERANGE when no segment holds it. */
int elf_image_to_offset(const struct elf_image *image, uint64_t address, uint64_t *ret_offset);
int elf_image_to_address(const struct elf_image *image, uint64_t offset, uint64_t *ret_address);
/* The virtual address of the first byte of an executable mapping that shows [offset, offset + n_bytes) of the file. Mappings begin
 * at a page, which may be before their segment and even in another one's content: the executable segment that fills
 * most of it counts. -ERANGE when none does. */
int elf_image_mapped_address(const struct elf_image *image, uint64_t offset, uint64_t n_bytes,
			     uint64_t *ret_address);

/* Calls visit for every defined symbol with a name of .dynsym, then .symtab, until it returns non-zero, which is
 * returned. A corrupt table: -EBADMSG with a diag, after the symbols before the defect were visited. */
int elf_image_each_symbol(struct elf_image *image,
			  int (*visit)(const struct elf_symbol *symbol, void *arg), void *arg,
			  struct diag *d);

/* Reads n_bytes of text, so from an executable segment only, at a virtual address into buf. Returns
 * the bytes read, which may be fewer at the end of a segment's file content, or -ERANGE. */
long elf_image_read(struct elf_image *image, uint64_t address, void *buf, size_t n_bytes);

/* Content of a section by name, decompressed when SHF_COMPRESSED; NULL data and -ENOENT without it. Caller frees. */
int elf_image_section(struct elf_image *image, const char *name, void **ret_data, size_t *ret_bytes,
		      struct diag *d);

#endif
