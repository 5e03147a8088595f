/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PLAN_SITE_H
#define SEEP_PLAN_SITE_H
/* The text of one function, and the instruction in it where a probe is cheapest and still right. */
#include "plan/plan.h"

#define FUNCTION_TEXT_MAX 65536 /* bytes; allocation functions have up to 10 kB */

struct function_text {
	uint16_t machine; /* EM_* */
	uint64_t address;
	size_t n_bytes;
	bool whole; /* bytes is all of the function, not only its beginning */
	uint8_t *bytes;
};

/* Reads the function at address. size_bytes: 0 or more than FUNCTION_TEXT_MAX is taken as unknown:
 * then only a beginning is read. Returns 0, -ERANGE (not in an executable segment), -ENOMEM. Free
 * with function_text_done. */
int function_text_read(struct elf_image *image, uint64_t address, uint64_t size_bytes,
		       struct function_text *ret);
void function_text_done(struct function_text *text);

/* Sets the probe's site, cost, instruction and reason, by the rules of UNWIND.md, "Where a probe is
 * cheap": straight from the entry, over instructions that leave the stack pointer and the arguments
 * of probe->function alone, to the first one that the kernel emulates, unless a jump of the
 * function's own lands between. Always finds one: offset 0 at worst. */
void site_choose(const struct function_text *text, struct plan_probe *probe);

/* Where the function hands everything to another by straight code: a jump with the arguments
 * untouched, or, with calls_too, a call that every path passes. Returns 0 and the target's address,
 * or -ENOENT. */
int site_find_forward(const struct function_text *text, enum plan_function function, bool calls_too,
		      uint64_t *ret_target);

#endif
