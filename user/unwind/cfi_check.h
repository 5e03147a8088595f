/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_UNWIND_CFI_CHECK_H
#define SEEP_UNWIND_CFI_CHECK_H
/* Whether libdw may see an entry of a CFI section. libdw 0.188 believes much of what it reads:
 * operands that are cut off are read past the section's end, an augmentation string can lead
 * arbitrarily far, a register number decides how many GiB a state takes, each remembered state
 * copies that, and two entries that share an expression's bytes abort the program. So an entry
 * passes only if it decodes to its end, in bounds, with numbers that x86-64 code has. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One function's or fragment's entry (FDE). */
struct cfi_function {
	uint64_t start, end; /* [start, end), virtual addresses */
	size_t at;	     /* its entry's offset in the section */
	uint64_t n_steps; /* what it costs libdw to go through its rows, in bytes of instructions */
};

/* What functions share (CIE), as far as it decides how their entries read. */
struct cfi_common {
	size_t at;	  /* its offset in the section */
	uint8_t encoding; /* of code addresses, DW_EH_PE_* */
	bool sized;	  /* functions have augmentation data, led by its size */
};

/* [body, end): an entry's bytes after its id. Return whether it passed, and only then set ret.
 * body_address: the virtual address of body, to which code addresses are relative. ret->at is left
 * to the caller. */
bool cfi_check_common(const uint8_t *body, const uint8_t *end, struct cfi_common *ret);
bool cfi_check_function(const struct cfi_common *common, const uint8_t *body, const uint8_t *end,
			uint64_t body_address, struct cfi_function *ret);

#endif
