// SPDX-License-Identifier: BSD-2-Clause
#include "unwind/cfi_check.h"

#include <dwarf.h>
#include <string.h>

/* libdw's bounds of a LEB128 differ between signed and unsigned beyond this. */
#define LEB128_MAX_BYTES 9
/* x86-64 numbers 130 registers (psABI 1.0, figure 3.36). */
#define REGISTERS 256
/* Compilers do not nest them. */
#define REMEMBERED_MAX 16
/* Of one entry, in bytes; 20 KB is the most that was seen, in cc1. */
#define INSTRUCTIONS_MAX (1u << 20)
/* What libdw does for a row besides reading its instructions, and for a remembered state, in bytes
 * of instructions. */
#define ROW_STEPS 64
#define STATE_STEPS 64

/* Reads on while there is something to read: after bad is set, zeros. */
struct reader {
	const uint8_t *at, *end;
	bool bad;
};

static const uint8_t *take(struct reader *r, uint64_t n_bytes)
{
	const uint8_t *at = r->at;

	if (r->bad || n_bytes > (uint64_t)(r->end - at)) {
		r->bad = true;
		return NULL;
	}
	r->at += n_bytes;
	return at;
}

static uint64_t take_fixed(struct reader *r, size_t n_bytes)
{
	const uint8_t *at = take(r, n_bytes);
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, n_bytes);
	return value;
}

/* Unsigned; of a signed one, only that it is there. */
static uint64_t take_leb128(struct reader *r)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < LEB128_MAX_BYTES; i++) {
		uint64_t byte = take_fixed(r, 1);

		value |= (byte & 0x7f) << 7 * i;
		if (!(byte & 0x80))
			return value;
	}
	r->bad = true;
	return 0;
}

static size_t encoded_bytes(uint8_t encoding)
{
	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return 8;
	case DW_EH_PE_udata4:
	case DW_EH_PE_sdata4:
		return 4;
	}
	return 0;
}

static uint64_t take_encoded(struct reader *r, uint8_t encoding)
{
	uint64_t value = take_fixed(r, encoded_bytes(encoding));

	return (encoding & 0x0f) == DW_EH_PE_sdata4 ? (uint64_t)(int32_t)value : value;
}

/* Operands of call frame instructions (DWARF 5, 6.4.2), a letter each: 1, 2, 4 bytes; register;
 * number (LEB128); block of so many bytes. NULL: not known, or not used on x86-64. */
static const char *const operands[DW_CFA_GNU_args_size + 1] = {
	[DW_CFA_nop] = "",
	[DW_CFA_advance_loc1] = "1",
	[DW_CFA_advance_loc2] = "2",
	[DW_CFA_advance_loc4] = "4",
	[DW_CFA_offset_extended] = "rn",
	[DW_CFA_restore_extended] = "r",
	[DW_CFA_undefined] = "r",
	[DW_CFA_same_value] = "r",
	[DW_CFA_register] = "rr",
	[DW_CFA_remember_state] = "",
	[DW_CFA_restore_state] = "",
	[DW_CFA_def_cfa] = "rn",
	[DW_CFA_def_cfa_register] = "r",
	[DW_CFA_def_cfa_offset] = "n",
	[DW_CFA_def_cfa_expression] = "b",
	[DW_CFA_expression] = "rb",
	[DW_CFA_offset_extended_sf] = "rn",
	[DW_CFA_def_cfa_sf] = "rn",
	[DW_CFA_def_cfa_offset_sf] = "n",
	[DW_CFA_val_offset] = "rn",
	[DW_CFA_val_offset_sf] = "rn",
	[DW_CFA_val_expression] = "rb",
	[DW_CFA_GNU_args_size] = "n",
};

static const char *operands_of(uint8_t instruction)
{
	switch (instruction & 0xc0) {
	case DW_CFA_advance_loc:
	case DW_CFA_restore:
		return "";
	case DW_CFA_offset:
		return "n";
	}
	return instruction <= DW_CFA_GNU_args_size ? operands[instruction] : NULL;
}

static void take_operand(struct reader *r, char kind)
{
	switch (kind) {
	case 'r':
		r->bad |= take_leb128(r) >= REGISTERS;
		break;
	case 'n':
		take_leb128(r);
		break;
	case 'b':
		take(r, take_leb128(r));
		break;
	default:
		take(r, kind - '0');
	}
}

/* All instructions up to the end. ret_n_steps: see struct cfi_function. */
static bool check_instructions(struct reader *r, uint64_t *ret_n_steps)
{
	uint64_t n_bytes = r->end - r->at, n_rows = 1, n_states = 0, depth = 0;

	if (n_bytes > INSTRUCTIONS_MAX)
		return false;
	while (!r->bad && r->at < r->end) {
		uint8_t instruction = take_fixed(r, 1);
		const char *kinds = operands_of(instruction);

		if (!kinds)
			return false;
		for (; *kinds; kinds++)
			take_operand(r, *kinds);
		if (instruction == DW_CFA_remember_state) {
			n_states++;
			if (++depth > REMEMBERED_MAX)
				return false;
		} else if (instruction == DW_CFA_restore_state) {
			if (!depth--)
				return false;
		} else if ((instruction & 0xc0) == DW_CFA_advance_loc ||
			   (instruction >= DW_CFA_advance_loc1 &&
			    instruction <= DW_CFA_advance_loc4)) {
			n_rows++;
		}
	}
	*ret_n_steps = n_rows * (ROW_STEPS + n_bytes + n_states * STATE_STEPS);
	return !r->bad;
}

/* r: the augmentation's data, led by its size. */
static bool check_augmentation(struct reader *r, const char *augmentation,
			       struct cfi_common *common)
{
	uint64_t n_bytes = take_leb128(r);
	const uint8_t *at = take(r, n_bytes);
	struct reader data;
	uint8_t encoding;

	if (!at)
		return false;
	data = (struct reader){.at = at, .end = at + n_bytes};
	for (; *augmentation; augmentation++) {
		switch (*augmentation) {
		case 'S': /* the frame of a signal's handler */
			continue;
		case 'L': /* how the function's language data is addressed */
			take(&data, 1);
			continue;
		case 'R': /* how code is */
			common->encoding = take_fixed(&data, 1);
			continue;
		case 'P': /* personality routine */
			encoding = take_fixed(&data, 1);
			if (!encoded_bytes(encoding) || (encoding & 0x70) == DW_EH_PE_aligned)
				return false;
			take(&data, encoded_bytes(encoding));
			continue;
		}
		return false;
	}
	return !data.bad;
}

bool cfi_check_common(const uint8_t *body, const uint8_t *end, struct cfi_common *ret)
{
	struct reader r = {.at = body, .end = end};
	struct cfi_common common = {.encoding = DW_EH_PE_absptr};
	uint8_t version = take_fixed(&r, 1);
	const char *augmentation = (const char *)r.at;
	size_t n_text = strnlen(augmentation, r.end - r.at);
	uint64_t n_steps;

	if (version != 1 && version != 3 && version != 4)
		return false;
	take(&r, n_text + 1);
	if (version == 4 && (take_fixed(&r, 1) != 8 || take_fixed(&r, 1) != 0))
		return false; /* sizes of addresses and of segment selectors */
	take_leb128(&r);      /* code alignment */
	take_leb128(&r);      /* data alignment */
	r.bad |= (version == 1 ? take_fixed(&r, 1) : take_leb128(&r)) >= REGISTERS;
	if (r.bad)
		return false;
	common.sized = augmentation[0] == 'z';
	if (common.sized ? !check_augmentation(&r, augmentation + 1, &common) : n_text)
		return false;
	if (!encoded_bytes(common.encoding) ||
	    (common.encoding & 0xf0 && (common.encoding & 0xf0) != DW_EH_PE_pcrel))
		return false;
	if (!check_instructions(&r, &n_steps))
		return false;
	*ret = common;
	return true;
}

bool cfi_check_function(const struct cfi_common *common, const uint8_t *body, const uint8_t *end,
			uint64_t body_address, struct cfi_function *ret)
{
	struct reader r = {.at = body, .end = end};
	struct cfi_function function = {0};

	function.start = take_encoded(&r, common->encoding);
	if ((common->encoding & 0xf0) == DW_EH_PE_pcrel)
		function.start += body_address;
	function.end = function.start + take_encoded(&r, common->encoding);
	if (common->sized)
		take(&r, take_leb128(&r));
	if (r.bad || function.end <= function.start || !check_instructions(&r, &function.n_steps))
		return false;
	*ret = function;
	return true;
}
