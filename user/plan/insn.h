/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PLAN_INSN_H
#define SEEP_PLAN_INSN_H
/* One machine instruction: how long it is, where it jumps, and whether a probe may stand behind
 * it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum insn_kind {
	INSN_OTHER,
	INSN_PUSH,	   /* of a general register */
	INSN_NOP,	   /* of any length */
	INSN_ENDBR,	   /* endbr64, bti: marks a target of indirect branches */
	INSN_JMP,	   /* direct */
	INSN_JCC,	   /* direct and conditional: falls through too */
	INSN_CALL,	   /* direct */
	INSN_JMP_INDIRECT, /* through a register or memory; slot when it is a fixed place */
	INSN_CALL_INDIRECT,
	INSN_RET,
	INSN_TRAP, /* ud2, hlt, int3: nothing follows */
};

/* What an instruction may change, in roles that both machines have. */
enum insn_writes {
	INSN_ARG0 = 1 << 0, /* rdi, x0 */
	INSN_ARG1 = 1 << 1, /* rsi, x1 */
	INSN_ARG2 = 1 << 2, /* rdx, x2 */
	INSN_ARG3 = 1 << 3, /* rcx, x3 */
	INSN_SP = 1 << 4,
	INSN_ALL = 0x1f,
};

#define INSN_LENGTH_MAX 15 /* bytes */

struct insn {
	uint8_t length; /* bytes */
	enum insn_kind kind;
	bool emulated;	    /* the kernel's uprobes emulate it instead of stepping it (UNWIND.md) */
	uint8_t writes;	    /* enum insn_writes; a role is absent only when proven untouched */
	bool tests_arg0;    /* compares argument 0 with NULL: test %rdi,%rdi; cbz x0 */
	bool jumps_if_zero; /* je; cbz */
	bool has_target;    /* of JMP, JCC, CALL (also loop and xbegin: JCC, not emulated) */
	int64_t target;	    /* bytes from the instruction's first */
	bool has_slot;	    /* of the INDIRECT kinds: jmp *slot(%rip) */
	int64_t slot;	    /* bytes from the instruction's first */
};

/* Decodes the first instruction of code[0, n). machine: EM_X86_64 or EM_AARCH64. x86-64 lengths
 * come from the opcode maps of the Intel SDM, volume 2, appendix A, with VEX and EVEX: integer,
 * x87, SSE, AVX, AVX-512; what is invalid in 64-bit mode, XOP and APX's REX2 are refused.
 * Returns 0, or -EILSEQ when the bytes are no instruction known here or go on past n.
 * Thread-safe. */
int insn_decode(uint16_t machine, const uint8_t *code, size_t n, struct insn *ret);

#define INSN_TEXT_SIZE 32 /* bytes with the NUL */
/* What insn_decode read from code as text, in AT&T style: "push %r12", "je +0xaf" (displacement as
 * encoded, from the next instruction on x86, from this one on AArch64), "test %rdi,%rdi"; forms not
 * needed by the plan as hex bytes. */
void insn_format(uint16_t machine, const uint8_t *code, const struct insn *insn,
		 char text[INSN_TEXT_SIZE]);

/* The machines' own parts of the two above; same contracts. */
int insn_x86_decode(const uint8_t *code, size_t n, struct insn *ret);
bool insn_x86_format(const uint8_t *code, const struct insn *insn, char text[INSN_TEXT_SIZE]);
int insn_arm64_decode(const uint8_t *code, size_t n, struct insn *ret);
bool insn_arm64_format(const uint8_t *code, const struct insn *insn, char text[INSN_TEXT_SIZE]);

#endif
