/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_UNWIND_CFI_H
#define SEEP_UNWIND_CFI_H
/* A section of call frame information, made safe for libdw: it sees the entries that passed
 * cfi_check.h, and an ELF file that we wrote around them. */
#include <elfutils/libdw.h>

#include "unwind/cfi_check.h"

/* Executable code, [start, end). */
struct text {
	uint64_t start, end;
};

/* Sorted, without overlap. */
struct texts {
	struct text *items;
	size_t n, cap;
};

struct cfi {
	struct { /* sorted, without overlap, each inside one of the texts */
		struct cfi_function *items;
		size_t n, cap;
	} functions;
	size_t n_bad; /* functions left out because their entry is corrupt */
	Dwarf_CFI *
		handle; /* answers for the functions' addresses, and costs what their n_steps say */
	Elf *elf;	/* what handle reads; it reads image */
	void *image;
};

/* data: the section's content, copied. address: its virtual address. debug: it is .debug_frame,
 * else .eh_frame. Functions that start outside of the texts are left out: those that the linker
 * dropped. Returns 0 or -ENOMEM. The result is not thread-safe. */
int cfi_open(const void *data, size_t n_bytes, uint64_t address, bool debug,
	     const struct texts *texts, struct cfi **ret);
/* Accepts NULL. */
void cfi_close(struct cfi *cfi);

#endif
