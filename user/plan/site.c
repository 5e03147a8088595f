// SPDX-License-Identifier: BSD-2-Clause
#include "plan/site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "elf/image.h"
#include "plan/insn.h"

#define BEGINNING_BYTES 64 /* read of a function of unknown size */
#define STRAIGHT_MAX 256   /* bytes: farther from the entry no site is looked for */

int function_text_read(struct elf_image *image, uint64_t address, uint64_t size_bytes,
		       struct function_text *ret)
{
	bool sized = size_bytes && size_bytes <= FUNCTION_TEXT_MAX;
	size_t n_wanted = sized ? size_bytes : BEGINNING_BYTES;
	uint8_t *bytes = malloc(n_wanted);
	long n;

	if (!bytes)
		return -ENOMEM;
	n = elf_image_read(image, address, bytes, n_wanted);
	if (n <= 0) {
		free(bytes);
		return -ERANGE;
	}
	*ret = (struct function_text){
		.machine = elf_image_machine(image),
		.address = address,
		.n_bytes = n,
		.whole = sized && (size_t)n == n_wanted,
		.bytes = bytes,
	};
	return 0;
}

void function_text_done(struct function_text *text)
{
	free(text->bytes);
	text->bytes = NULL;
}

static int decode_at(const struct function_text *text, size_t at, struct insn *ret)
{
	return at < text->n_bytes
		       ? insn_decode(text->machine, text->bytes + at, text->n_bytes - at, ret)
		       : -EILSEQ;
}

/* What must be as it was at the entry where the probe stands: the arguments that the function's
 * kind reads, and the stack pointer, by which a return probe and the unwinder find the caller. */
static uint8_t kept_roles(enum plan_function function)
{
	switch (function) {
	case PLAN_MALLOC:
	case PLAN_FREE:
		return INSN_SP | INSN_ARG0;
	case PLAN_CALLOC:
	case PLAN_REALLOC:
	case PLAN_MEMALIGN:
	case PLAN_MEMALIGN_SWAPPED:
		return INSN_SP | INSN_ARG0 | INSN_ARG1;
	default:
		return INSN_SP | INSN_ARG0 | INSN_ARG1 | INSN_ARG2;
	}
}

/* Whether a jump or call of the function's own lands in (0, site]: the probe would fire again
 * within one call. Indirect jumps are not followed: a table's targets lie behind the branch that
 * reads it. Where the function cannot be decoded to its end, the answer is yes for any site but 0.
 * ret_loops: a jump to the entry itself. */
static bool jumped_into(const struct function_text *text, size_t site, bool *ret_loops)
{
	bool into = !text->whole && site;
	struct insn insn;

	*ret_loops = false;
	for (size_t at = 0; text->whole && at < text->n_bytes; at += insn.length) {
		int64_t target;

		if (decode_at(text, at, &insn))
			return into || site;
		if (!insn.has_target)
			continue;
		target = (int64_t)at + insn.target;
		into |= target > 0 && target <= (int64_t)site;
		*ret_loops |= target == 0 && insn.kind != INSN_CALL;
	}
	return into;
}

/* What the straight code from the entry offers. */
struct offer {
	bool has_site;	/* the first emulated instruction, past a NULL check */
	bool has_check; /* the branch of free's NULL check */
	size_t site, check;
	size_t stopped; /* where the walk ended without a site */
	const char *why;
};

static void walk_straight(const struct function_text *text, enum plan_function function,
			  struct offer *ret)
{
	struct offer offer = {.why = "no emulated instruction within reach"};
	bool tested = false;
	struct insn insn;
	size_t at;

	for (at = 0; at < text->n_bytes && at < STRAIGHT_MAX; at += insn.length) {
		bool is_check;

		if (decode_at(text, at, &insn)) {
			offer.why = "unknown instruction";
			break;
		}
		/* je or cbz: argument 0 is not NULL behind it */
		is_check = function == PLAN_FREE && insn.kind == INSN_JCC && insn.jumps_if_zero &&
			   (tested || insn.tests_arg0) && !offer.has_check;
		if (insn.emulated && is_check) {
			offer.has_check = true;
			offer.check = at;
		} else if (insn.emulated) {
			offer.has_site = true;
			offer.site = at;
			break;
		} else if (insn.kind != INSN_OTHER && insn.kind != INSN_NOP &&
			   insn.kind != INSN_ENDBR) {
			offer.why = "control flow that is not emulated";
			break;
		} else if (insn.writes & kept_roles(function)) {
			offer.why = insn.writes & INSN_SP ? "the stack pointer may change"
							  : "an argument may change";
			break;
		}
		tested = insn.tests_arg0;
	}
	offer.stopped = at;
	*ret = offer;
}

static void place(const struct function_text *text, size_t site, struct plan_probe *probe)
{
	struct insn insn;

	probe->site = site;
	probe->cost = PLAN_STEPPED;
	if (decode_at(text, site, &insn)) {
		snprintf(probe->instruction, sizeof(probe->instruction), "(unknown)");
		return;
	}
	if (insn.emulated)
		probe->cost = PLAN_EMULATED;
	insn_format(text->machine, text->bytes + site, &insn, probe->instruction);
}

void site_choose(const struct function_text *text, struct plan_probe *probe)
{
	struct offer offer;
	bool loops = false;
	const char *reason;

	walk_straight(text, probe->function, &offer);
	if (offer.has_site && !jumped_into(text, offer.site, &loops)) {
		reason = offer.has_check ? "first emulated instruction after the NULL check"
			 : offer.site	 ? "first emulated instruction that every call passes"
					 : "the entry is emulated";
		place(text, offer.site, probe);
	} else if (offer.has_check && !jumped_into(text, offer.check, &loops)) {
		reason = "the NULL check's branch, which every call passes";
		place(text, offer.check, probe);
	} else {
		reason = NULL;
		place(text, 0, probe);
	}
	if (reason)
		snprintf(probe->reason, sizeof(probe->reason), "%s%s", reason,
			 loops ? "; the entry is a loop's head" : "");
	else if (offer.has_site)
		snprintf(probe->reason, sizeof(probe->reason), "offset 0: %s +0x%zx",
			 text->whole ? "a jump may land between it and"
				     : "size unknown, jumps may land before",
			 offer.site);
	else
		snprintf(probe->reason, sizeof(probe->reason), "offset 0: at +0x%zx %s",
			 offer.stopped, offer.why);
}

int site_find_forward(const struct function_text *text, enum plan_function function, bool calls_too,
		      uint64_t *ret_target)
{
	uint8_t written = 0;
	struct insn insn;

	for (size_t at = 0; at < STRAIGHT_MAX && !decode_at(text, at, &insn); at += insn.length) {
		if (insn.has_target &&
		    ((insn.kind == INSN_JMP && !(written & kept_roles(function))) ||
		     (insn.kind == INSN_CALL && calls_too))) {
			*ret_target = text->address + at + insn.target;
			return 0;
		}
		if (insn.kind != INSN_OTHER && insn.kind != INSN_PUSH && insn.kind != INSN_NOP &&
		    insn.kind != INSN_ENDBR)
			break;
		written |= insn.writes;
	}
	return -ENOENT;
}
