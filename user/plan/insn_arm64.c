// SPDX-License-Identifier: BSD-2-Clause
/* AArch64, as far as a plan needs it: what the kernel simulates
 * (arch/arm64/kernel/probes/decode-insn.c) and where code goes; encodings from the Arm ARM (DDI
 * 0487), C4.1. Any other instruction counts as writing everything, so a probe goes to the entry,
 * past a bti at most. */
#include <errno.h>
#include <stdio.h>

#include "plan/insn.h"

static int64_t sign_extend(uint32_t value, unsigned bits)
{
	uint64_t sign = 1ULL << (bits - 1);

	return (int64_t)((value ^ sign) - sign);
}

static void set_branch(struct insn *insn, enum insn_kind kind, int64_t target)
{
	insn->kind = kind;
	insn->emulated = true;
	insn->has_target = true;
	insn->target = target;
	insn->writes = 0;
}

static uint32_t word_of(const uint8_t *code)
{
	return code[0] | code[1] << 8 | code[2] << 16 | (uint32_t)code[3] << 24;
}

static void decode_hint(uint32_t word, struct insn *insn)
{
	unsigned hint = word >> 5 & 0x7f;

	insn->writes = 0;
	if (hint == 0) /* simulated only since 6.13: counted as stepped */
		insn->kind = INSN_NOP;
	else if (hint >= 32 && hint <= 38)
		insn->kind = INSN_ENDBR; /* bti */
	else /* paciasp too: a return probe must replace the return address before it is signed */
		insn->writes = INSN_ALL;
}

int insn_arm64_decode(const uint8_t *code, size_t n, struct insn *ret)
{
	struct insn insn = {.length = 4, .writes = INSN_ALL};
	uint32_t word;

	if (n < 4)
		return -EILSEQ;
	word = word_of(code);
	if ((word & 0x7c000000) == 0x14000000) { /* b, bl */
		set_branch(&insn, word >> 31 ? INSN_CALL : INSN_JMP,
			   sign_extend(word & 0x3ffffff, 26) * 4);
	} else if ((word & 0xff000000) == 0x54000000) { /* b.cond */
		set_branch(&insn, INSN_JCC, sign_extend(word >> 5 & 0x7ffff, 19) * 4);
		insn.jumps_if_zero = (word & 0xf) == 0;
	} else if ((word & 0x7e000000) == 0x34000000) { /* cbz, cbnz */
		set_branch(&insn, INSN_JCC, sign_extend(word >> 5 & 0x7ffff, 19) * 4);
		insn.jumps_if_zero = !(word & 1 << 24);
		insn.tests_arg0 = (word & 0x1f) == 0 && word >> 31;
	} else if ((word & 0x7e000000) == 0x36000000) { /* tbz, tbnz */
		set_branch(&insn, INSN_JCC, sign_extend(word >> 5 & 0x3fff, 14) * 4);
	} else if ((word & 0xfffffc1f) == 0xd65f0000 ||
		   (word & 0xfffffbff) == 0xd65f0bff) { /* ret, reta[ab] */
		insn.kind = INSN_RET;
		insn.emulated = !(word & 0x800);
		insn.writes = 0;
	} else if ((word & 0xfffff01f) == 0xd503201f) {
		decode_hint(word, &insn);
	} else if ((word & 0xfefff000) == 0xd61f0000) { /* br, bra[ab] */
		insn.kind = INSN_JMP_INDIRECT;
	} else if ((word & 0xfefff000) == 0xd63f0000) { /* blr, blra[ab] */
		insn.kind = INSN_CALL_INDIRECT;
	} else if ((word & 0x1f000000) == 0x10000000 ||
		   (word & 0xbf000000) == 0x18000000) { /* adr(p), ldr literal */
		insn.emulated = true;
		insn.writes = (word & 0x1f) < 4 ? 1 << (word & 0x1f) : 0;
	} else if ((word & 0xffe00000) == 0xd4200000 || !(word >> 16)) { /* brk, udf */
		insn.kind = INSN_TRAP;
	}
	*ret = insn;
	return 0;
}

bool insn_arm64_format(const uint8_t *code, const struct insn *insn, char text[INSN_TEXT_SIZE])
{
	uint32_t word = word_of(code);
	const char *name = NULL;

	if (insn->kind == INSN_JMP)
		name = "b";
	else if (insn->kind == INSN_CALL)
		name = "bl";
	else if (insn->tests_arg0)
		name = insn->jumps_if_zero ? "cbz x0," : "cbnz x0,";
	if (name)
		snprintf(text, INSN_TEXT_SIZE, "%s %s0x%llx", name, insn->target < 0 ? "-" : "+",
			 (unsigned long long)(insn->target < 0 ? -insn->target : insn->target));
	else if (insn->kind == INSN_RET || insn->kind == INSN_NOP)
		snprintf(text, INSN_TEXT_SIZE, "%s", insn->kind == INSN_RET ? "ret" : "nop");
	else
		snprintf(text, INSN_TEXT_SIZE, ".inst 0x%08x", word);
	return true;
}
