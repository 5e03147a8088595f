// SPDX-License-Identifier: BSD-2-Clause
/* x86-64: [legacy prefixes] [REX | VEX | EVEX] opcode [ModRM [SIB] [displacement]] [immediate].
 *
 * The opcode maps below (Intel SDM volume 2, appendix A, tables) hold one letter an
 * opcode, 16 a row: what follows the opcode byte. That gives every length. What an instruction
 * writes is worked out only for the integer instructions that compilers put in front of a
 * function's first push or branch; all others count as writing everything. */
#include <errno.h>
#include <stdio.h>

#include "plan/insn.h"

/* .  nothing     M  ModRM               x  invalid in 64-bit mode, or handled before the map
 * b  imm8        B  ModRM, imm8         s  rel8   w  imm16
 * z  imm16/32    Z  ModRM, imm16/32     j  rel32  e  imm16, imm8 (enter)
 * v  imm16/32/64                        o  address of 8 bytes
 * G  ModRM, and an immediate when ModRM.reg is 0 or 1 (group 3: test) */
static const char one_byte_map[] = "MMMMbzxxMMMMbzxx" /* 00 */
				   "MMMMbzxxMMMMbzxx"
				   "MMMMbzxxMMMMbzxx"
				   "MMMMbzxxMMMMbzxx"
				   "xxxxxxxxxxxxxxxx" /* 40 */
				   "................"
				   "xxxMxxxxzZbB...."
				   "ssssssssssssssss"
				   "BZxBMMMMMMMMMMMM" /* 80 */
				   "..........x....."
				   "oooo....bz......"
				   "bbbbbbbbvvvvvvvv"
				   "BBw.xxBZe.w..bx." /* c0 */
				   "MMMMxxx.MMMMMMMM"
				   "ssssbbbbjjxs...."
				   "x.xx..GG......MM";

static const char two_byte_map[] = "MMMMx.....x.xM.B" /* 0f 00 */
				   "MMMMMMMMMMMMMMMM"
				   "MMMMxxxxMMMMMMMM"
				   "......x.xxxxxxxx"
				   "MMMMMMMMMMMMMMMM" /* 0f 40 */
				   "MMMMMMMMMMMMMMMM"
				   "MMMMMMMMMMMMMMMM"
				   "BBBBMMM.MMxxMMMM"
				   "jjjjjjjjjjjjjjjj" /* 0f 80 */
				   "MMMMMMMMMMMMMMMM"
				   "...MBMMM...MBMMM"
				   "MMMMMMMMMMBMMMMM"
				   "MMBMBBBM........" /* 0f c0 */
				   "MMMMMMMMMMMMMMMM"
				   "MMMMMMMMMMMMMMMM"
				   "MMMMMMMMMMMMMMMM";

enum map { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VECTOR };

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };
#define BIT(r) (1u << (r))
#define GPR_ALL 0xffffu

struct cursor {
	const uint8_t *code;
	size_t n, at; /* at <= n */
};

/* An instruction taken apart. */
struct fields {
	uint8_t n_prefixes; /* legacy ones */
	bool operand16, address32, repe, repne;
	uint8_t rex; /* 0 without */
	enum map map;
	uint8_t opcode;
	bool has_modrm;
	uint8_t mod, reg, rm; /* reg and rm with REX's bits; rm_low without */
	uint8_t rm_low, reg_low;
	bool rip_relative;
	int32_t displacement;
	int64_t immediate; /* branch displacements; others are skipped */
};

static bool take(struct cursor *c, uint8_t *ret)
{
	if (c->at >= c->n || c->at >= INSN_LENGTH_MAX)
		return false;
	*ret = c->code[c->at++];
	return true;
}

/* A little-endian signed number of n_bytes, 1 to 8. */
static bool take_number(struct cursor *c, unsigned n_bytes, int64_t *ret)
{
	uint64_t value = 0;
	uint8_t byte = 0;

	for (unsigned i = 0; i < n_bytes; i++) {
		if (!take(c, &byte))
			return false;
		value |= (uint64_t)byte << (8 * i);
	}
	if (n_bytes < 8 && byte & 0x80)
		value |= ~0ULL << (8 * n_bytes);
	*ret = (int64_t)value;
	return true;
}

/* Consumes legacy prefixes and REX; ret_byte is the first byte after them. A REX not followed by
 * the opcode is void. */
static bool take_prefixes(struct cursor *c, struct fields *f, uint8_t *ret_byte)
{
	uint8_t byte;

	for (;;) {
		if (!take(c, &byte))
			return false;
		if ((byte & 0xf0) == 0x40) {
			f->rex = byte;
			continue;
		}
		switch (byte) {
		case 0x66:
			f->operand16 = true;
			break;
		case 0x67:
			f->address32 = true;
			break;
		case 0xf2:
			f->repne = true;
			break;
		case 0xf3:
			f->repe = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0xf0:
			break;
		default:
			*ret_byte = byte;
			return true;
		}
		f->rex = 0;
		f->n_prefixes++;
	}
}

/* The rest of a VEX (c4, c5) or EVEX (62) prefix and the opcode. Vector instructions have an imm8
 * in map 3 and where the two-byte map has one; ret_letter is as in the maps above. */
static bool take_vector_opcode(struct cursor *c, struct fields *f, uint8_t first, char *ret_letter)
{
	unsigned n_payload = first == 0x62 ? 3 : first == 0xc4 ? 2 : 1, map = 1;
	uint8_t byte;

	if (f->rex)
		return false;
	for (unsigned i = 0; i < n_payload; i++) {
		if (!take(c, &byte))
			return false;
		if (i == 0 && first != 0xc5)
			map = byte & (first == 0x62 ? 0x07 : 0x1f);
	}
	if (!take(c, &f->opcode))
		return false;
	f->map = MAP_VECTOR;
	if (map == 1)
		*ret_letter = f->opcode == 0x77 && first != 0x62 ? '.'
			      : two_byte_map[f->opcode] == 'B'	 ? 'B'
								 : 'M';
	else if (map == 2 || (first == 0x62 && (map == 5 || map == 6)))
		*ret_letter = 'M';
	else if (map == 3)
		*ret_letter = 'B';
	else
		return false;
	return true;
}

static bool take_opcode(struct cursor *c, struct fields *f, char *ret_letter)
{
	uint8_t byte;

	if (!take_prefixes(c, f, &byte))
		return false;
	if (byte == 0xc4 || byte == 0xc5 || byte == 0x62)
		return take_vector_opcode(c, f, byte, ret_letter);
	f->opcode = byte;
	*ret_letter = one_byte_map[byte];
	if (byte != 0x0f)
		return *ret_letter != 'x';
	if (!take(c, &f->opcode))
		return false;
	f->map = MAP_0F;
	*ret_letter = two_byte_map[f->opcode];
	if (f->opcode == 0x38 || f->opcode == 0x3a) {
		f->map = f->opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
		*ret_letter = f->opcode == 0x38 ? 'M' : 'B';
		return take(c, &f->opcode);
	}
	return *ret_letter != 'x';
}

static bool take_modrm(struct cursor *c, struct fields *f)
{
	uint8_t modrm, sib = 0;
	int64_t displacement = 0;
	unsigned n_displacement;

	if (!take(c, &modrm))
		return false;
	f->has_modrm = true;
	f->mod = modrm >> 6;
	f->reg_low = modrm >> 3 & 7;
	f->rm_low = modrm & 7;
	f->reg = f->reg_low | (f->rex & 4) << 1;
	f->rm = f->rm_low | (f->rex & 1) << 3;
	if (f->mod == 3)
		return true;
	if (f->rm_low == 4 && !take(c, &sib))
		return false;
	n_displacement = f->mod == 1 ? 1 : f->mod == 2 ? 4 : 0;
	if (f->mod == 0 && (f->rm_low == 5 || (f->rm_low == 4 && (sib & 7) == 5)))
		n_displacement = 4;
	if (n_displacement && !take_number(c, n_displacement, &displacement))
		return false;
	f->rip_relative = f->mod == 0 && f->rm_low == 5;
	f->displacement = (int32_t)displacement;
	return true;
}

static unsigned immediate_bytes(const struct fields *f, char letter)
{
	unsigned full = f->operand16 && !(f->rex & 8) ? 2 : 4;

	switch (letter) {
	case 'b':
	case 'B':
	case 's':
		return 1;
	case 'w':
		return 2;
	case 'e':
		return 3;
	case 'j': /* Intel ignores an operand-size prefix here */
		return 4;
	case 'z':
	case 'Z':
		return full;
	case 'v':
		return f->rex & 8 ? 8 : full;
	case 'o':
		return f->address32 ? 4 : 8;
	case 'G':
		return f->reg_low > 1 ? 0 : f->opcode == 0xf6 ? 1 : full;
	default:
		return 0;
	}
}

static bool take_all(struct cursor *c, struct fields *f)
{
	unsigned n_immediate;
	char letter;

	if (!take_opcode(c, f, &letter))
		return false;
	if ((letter == 'M' || letter == 'B' || letter == 'Z' || letter == 'G') && !take_modrm(c, f))
		return false;
	if (f->map == MAP_ONE && f->opcode == 0x8f && f->reg_low) /* XOP */
		return false;
	n_immediate = immediate_bytes(f, letter);
	if (f->map == MAP_0F && f->opcode == 0x78 &&
	    (f->operand16 || f->repne)) /* SSE4a extrq, insertq */
		n_immediate = 2;
	return !n_immediate || take_number(c, n_immediate, &f->immediate);
}

/* Register number r of an 8-bit operand: without REX, 4 to 7 are ah, ch, dh, bh. */
static uint16_t byte_register(const struct fields *f, unsigned r)
{
	return BIT(!f->rex && r >= 4 && r < 8 ? r - 4 : r);
}

static uint16_t rm_written(const struct fields *f, bool is_byte)
{
	if (f->mod != 3)
		return 0;
	return is_byte ? byte_register(f, f->rm) : BIT(f->rm);
}

static uint16_t reg_written(const struct fields *f, bool is_byte)
{
	return is_byte ? byte_register(f, f->reg) : BIT(f->reg);
}

/* Operations with the operand forms of add (00 to 05): or, adc, ..., cmp. */
static uint16_t arithmetic_written(const struct fields *f, bool is_byte)
{
	if (f->opcode >= 0x38) /* cmp */
		return 0;
	switch (f->opcode & 7) {
	case 0:
	case 1:
		return rm_written(f, is_byte);
	case 2:
	case 3:
		return reg_written(f, is_byte);
	default:
		return BIT(RAX);
	}
}

/* Groups 3, 4 and 5: f6, f7, fe, ff. */
static uint16_t group_written(const struct fields *f, bool is_byte)
{
	if (f->opcode < 0xf8) {
		if (f->reg_low < 2) /* test */
			return 0;
		return f->reg_low < 4 ? rm_written(f, is_byte)
				      : BIT(RAX) | BIT(RDX); /* not, neg; mul to idiv */
	}
	return f->reg_low < 2 ? rm_written(f, is_byte) : GPR_ALL; /* inc, dec */
}

static uint16_t one_byte_written(const struct fields *f)
{
	uint8_t op = f->opcode, low = (op & 7) | (f->rex & 1) << 3;
	bool is_byte = !(op & 1);

	if (op < 0x40)
		return arithmetic_written(f, is_byte);
	switch (op) {
	case 0x63:
	case 0x69:
	case 0x6b:
	case 0x8b:
	case 0x8d: /* movslq, imul, mov, lea */
		return reg_written(f, false);
	case 0x8a:
		return reg_written(f, true);
	case 0x80:
	case 0x81:
	case 0x83: /* arithmetic with an immediate; /7 is cmp */
		return f->reg_low == 7 ? 0 : rm_written(f, is_byte);
	case 0x84:
	case 0x85:
	case 0xa8:
	case 0xa9: /* test */
		return 0;
	case 0x88:
	case 0x89: /* mov */
	case 0xc0:
	case 0xc1:
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3: /* shifts */
		return rm_written(f, is_byte);
	case 0xc6:
	case 0xc7: /* mov; with another ModRM.reg xabort, xbegin */
		return f->reg_low ? GPR_ALL : rm_written(f, is_byte);
	case 0x98:
		return BIT(RAX);
	case 0x99:
		return BIT(RAX) | BIT(RDX);
	case 0xf6:
	case 0xf7:
	case 0xfe:
	case 0xff:
		return group_written(f, is_byte);
	default:
		if (op >= 0xb0 && op <= 0xb7)
			return byte_register(f, low);
		return op >= 0xb8 && op <= 0xbf ? BIT(low) : GPR_ALL;
	}
}

static uint16_t two_byte_written(const struct fields *f)
{
	uint8_t op = f->opcode;

	if ((op & 0xf0) == 0x40) /* cmov */
		return reg_written(f, false);
	if ((op & 0xf0) == 0x90) /* set */
		return rm_written(f, true);
	switch (op) {
	case 0x0d:
	case 0x18:
	case 0x1f: /* prefetch, nop */
	case 0x10:
	case 0x11:
	case 0x28:
	case 0x29:
	case 0x57:
	case 0x6e:
	case 0x6f:
	case 0x7f:
	case 0xef: /* SSE */
	case 0xa3: /* bt */
		return 0;
	case 0xaf:
	case 0xb6:
	case 0xb7:
	case 0xbe:
	case 0xbf:
	case 0xbc:
	case 0xbd: /* imul, movz, movs, bsf, bsr */
		return reg_written(f, false);
	case 0xba: /* bt, then bts, btr, btc */
		return f->reg_low == 4 ? 0 : rm_written(f, false);
	default:
		return GPR_ALL;
	}
}

static uint8_t roles_of(uint16_t registers)
{
	return (registers & BIT(RDI) ? INSN_ARG0 : 0) | (registers & BIT(RSI) ? INSN_ARG1 : 0) |
	       (registers & BIT(RDX) ? INSN_ARG2 : 0) | (registers & BIT(RCX) ? INSN_ARG3 : 0) |
	       (registers & BIT(RSP) ? INSN_SP : 0);
}

static void set_branch(const struct fields *f, struct insn *insn, enum insn_kind kind,
		       bool emulated)
{
	insn->kind = kind;
	insn->has_target = true;
	insn->target = insn->length + f->immediate;
	insn->emulated = emulated && !f->n_prefixes && !f->rex;
	insn->writes = kind == INSN_CALL ? INSN_SP : 0;
}

static void set_indirect(const struct fields *f, struct insn *insn, enum insn_kind kind)
{
	insn->kind = kind;
	insn->has_slot = f->rip_relative && !f->address32;
	insn->slot = (int64_t)insn->length + f->displacement;
}

static void classify_one_byte(const struct fields *f, struct insn *insn)
{
	uint8_t op = f->opcode;

	if (op >= 0x50 && op <= 0x57) {
		insn->kind = INSN_PUSH;
		insn->writes = INSN_SP;
		insn->emulated = !f->n_prefixes && (!f->rex || f->rex == 0x41);
	} else if (op >= 0x58 && op <= 0x5f) {
		insn->writes = roles_of(BIT(RSP) | BIT((op & 7) | (f->rex & 1) << 3));
	} else if (op == 0x90 && !(f->rex & 1) && !f->repe) {
		insn->kind = INSN_NOP;
		insn->writes = 0;
		insn->emulated = insn->length == 1;
	} else if (op >= 0x70 && op <= 0x7f) {
		set_branch(f, insn, INSN_JCC, true);
		insn->jumps_if_zero = op == 0x74;
	} else if ((op >= 0xe0 && op <= 0xe3) || (op == 0xc7 && f->mod == 3 && f->reg_low == 7)) {
		set_branch(f, insn, INSN_JCC, false); /* loop, jrcxz; xbegin */
		insn->writes = INSN_ALL;
	} else if (op == 0xe8) {
		set_branch(f, insn, INSN_CALL, true);
	} else if (op == 0xe9 || op == 0xeb) {
		set_branch(f, insn, INSN_JMP, true);
	} else if (op == 0xc2 || op == 0xc3) {
		insn->kind = INSN_RET;
	} else if (op == 0xcc || op == 0xf4) {
		insn->kind = INSN_TRAP;
	} else if (op == 0xff && (f->reg_low == 2 || f->reg_low == 3)) {
		set_indirect(f, insn, INSN_CALL_INDIRECT);
	} else if (op == 0xff && (f->reg_low == 4 || f->reg_low == 5)) {
		set_indirect(f, insn, INSN_JMP_INDIRECT);
	} else {
		insn->writes = roles_of(one_byte_written(f));
		insn->tests_arg0 = op == 0x85 && f->rex & 8 && f->mod == 3 && f->reg == RDI &&
				   f->rm == RDI;
	}
}

static void classify_two_byte(const struct fields *f, struct insn *insn)
{
	uint8_t op = f->opcode;

	if (op == 0x1e && f->repe && f->mod == 3 && f->reg_low == 7 && f->rm_low == 2) {
		insn->kind = INSN_ENDBR;
		insn->writes = 0;
	} else if (op >= 0x80 && op <= 0x8f) {
		set_branch(f, insn, INSN_JCC, true);
		insn->jumps_if_zero = op == 0x84;
	} else if (op == 0x0b || op == 0xb9 || op == 0xff) {
		insn->kind = INSN_TRAP;
	} else {
		insn->kind = op == 0x1f ? INSN_NOP : INSN_OTHER;
		insn->writes = roles_of(two_byte_written(f));
	}
}

int insn_x86_decode(const uint8_t *code, size_t n, struct insn *ret)
{
	struct cursor c = {.code = code, .n = n};
	struct insn insn = {.writes = INSN_ALL};
	struct fields f = {0};

	if (!take_all(&c, &f))
		return -EILSEQ;
	insn.length = c.at;
	if (f.map == MAP_ONE)
		classify_one_byte(&f, &insn);
	else if (f.map == MAP_0F)
		classify_two_byte(&f, &insn);
	*ret = insn;
	return 0;
}

static const char *const register_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
					       "rsi", "rdi", "r8",  "r9",  "r10", "r11",
					       "r12", "r13", "r14", "r15"};

static const char *const condition_names[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
						"s", "ns", "p", "np", "l", "ge", "le", "g"};

static void format_branch(const struct insn *insn, const char *name, const char *suffix,
			  char text[INSN_TEXT_SIZE])
{
	int64_t displacement = insn->target - insn->length;

	snprintf(text, INSN_TEXT_SIZE, "%s%s %c0x%llx", name, suffix, displacement < 0 ? '-' : '+',
		 (unsigned long long)(displacement < 0 ? -displacement : displacement));
}

bool insn_x86_format(const uint8_t *code, const struct insn *insn, char text[INSN_TEXT_SIZE])
{
	struct cursor c = {.code = code, .n = insn->length};
	struct fields f = {0};

	if (!take_all(&c, &f))
		return false;
	if (insn->kind == INSN_PUSH)
		snprintf(text, INSN_TEXT_SIZE, "push %%%s",
			 register_names[(f.opcode & 7) | (f.rex & 1) << 3]);
	else if (insn->kind == INSN_NOP || insn->kind == INSN_ENDBR || insn->kind == INSN_RET)
		snprintf(text, INSN_TEXT_SIZE, "%s",
			 insn->kind == INSN_NOP	  ? "nop"
			 : insn->kind == INSN_RET ? "ret"
						  : "endbr64");
	else if (insn->kind == INSN_JMP || insn->kind == INSN_CALL)
		format_branch(insn, insn->kind == INSN_JMP ? "jmp" : "call", "", text);
	else if (insn->kind == INSN_JCC && (f.map == MAP_0F || f.opcode <= 0x7f))
		format_branch(insn, "j", condition_names[f.opcode & 15], text);
	else if (f.map == MAP_ONE && (f.opcode == 0x85 || f.opcode == 0x89) && f.mod == 3 &&
		 f.rex & 8)
		snprintf(text, INSN_TEXT_SIZE, "%s %%%s,%%%s", f.opcode == 0x85 ? "test" : "mov",
			 register_names[f.reg], register_names[f.rm]);
	else
		return false;
	return true;
}
