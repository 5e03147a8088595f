// SPDX-License-Identifier: BSD-2-Clause
#include "unwind/table_rule.h"

#include <dwarf.h>
#include <errno.h>

#include "base/cleanup.h"

/* DWARF's numbers of x86-64 registers (psABI 1.0, figure 3.36). */
enum { RBP = 6, RSP = 7, RETURN_ADDRESS = 16 };

/* Where rsp is in the ucontext that a signal handler's frame holds. */
#define UCONTEXT_RSP 160

/* A value's expression. No operations and ops NULL: unchanged; no operations and ops set:
 * undefined. */
struct expression {
	Dwarf_Op *ops;
	size_t n;
};

static bool fits(int64_t value)
{
	return value == (int32_t)value;
}

/* Whether the operation is "register + offset". */
static bool is_based(const Dwarf_Op *op, unsigned *ret_register, int64_t *ret_offset)
{
	if (op->atom == DW_OP_bregx) {
		*ret_register = op->number < 256 ? op->number : 256;
		*ret_offset = op->number2;
		return true;
	}
	if (op->atom < DW_OP_breg0 || op->atom > DW_OP_breg31)
		return false;
	*ret_register = op->atom - DW_OP_breg0;
	*ret_offset = op->number;
	return true;
}

/* The expression that linkers write for the lazy part of a PLT, whose entries push 8 bytes after N
 * of their 16. */
static bool is_plt(const struct expression *e, struct wire_rule *ret)
{
	static const uint8_t atoms[] = {
		DW_OP_breg7, DW_OP_breg16, DW_OP_lit15, DW_OP_and,  0 /* literal N */,
		DW_OP_ge,    DW_OP_lit3,   DW_OP_shl,	DW_OP_plus,
	};

	if (e->n != ARRAY_SIZE(atoms))
		return false;
	for (size_t i = 0; i < e->n; i++)
		if (i != 4 && e->ops[i].atom != atoms[i])
			return false;
	if (e->ops[4].atom < DW_OP_lit0 || e->ops[4].atom > DW_OP_lit31 || e->ops[1].number ||
	    !fits(e->ops[0].number))
		return false;
	*ret = (struct wire_rule){.cfa = WIRE_CFA_PLT,
				  .cfa_off = e->ops[0].number,
				  .cfa_off2 = e->ops[4].atom - DW_OP_lit0};
	return true;
}

/* Sets ret's CFA, to WIRE_CFA_UNSUPPORTED where there is no kind for it. */
static void set_cfa(const struct expression *e, struct wire_rule *ret)
{
	unsigned based_on;
	int64_t offset, offset2 = 0;
	bool deref = e->n > 1;

	*ret = (struct wire_rule){.cfa = WIRE_CFA_UNSUPPORTED};
	if (!e->n || is_plt(e, ret) || !is_based(&e->ops[0], &based_on, &offset))
		return;
	if (deref && e->ops[1].atom != DW_OP_deref)
		return;
	if (e->n == 3 && e->ops[2].atom == DW_OP_plus_uconst)
		offset2 = e->ops[2].number;
	else if (e->n > 2)
		return;
	if ((based_on != RBP && based_on != RSP) || !fits(offset) || !fits(offset2))
		return;
	if (based_on == RBP)
		ret->cfa = deref ? WIRE_CFA_FP_DEREF : WIRE_CFA_FP;
	else
		ret->cfa = deref ? WIRE_CFA_SP_DEREF : WIRE_CFA_SP;
	ret->cfa_off = offset;
	ret->cfa_off2 = offset2;
}

/* Whether the value was saved in memory at CFA + offset. */
static bool is_saved(const struct expression *e, int64_t *ret_offset)
{
	if (!e->n || e->n > 2 || e->ops[0].atom != DW_OP_call_frame_cfa)
		return false;
	if (e->n == 2 && e->ops[1].atom != DW_OP_plus_uconst)
		return false;
	*ret_offset = e->n == 2 ? (int64_t)e->ops[1].number : 0;
	return true;
}

static void set_fp(const struct expression *e, struct wire_rule *ret)
{
	unsigned based_on;
	int64_t offset;

	ret->fp = WIRE_FP_UNDEFINED;
	if (!e->n) {
		ret->fp = e->ops ? WIRE_FP_UNDEFINED : WIRE_FP_SAME;
	} else if (is_saved(e, &offset) && fits(offset)) {
		ret->fp = WIRE_FP_AT_CFA;
		ret->fp_off = offset;
	} else if (e->n == 2 && e->ops[0].atom == DW_OP_call_frame_cfa &&
		   is_based(&e->ops[1], &based_on, &offset) && based_on == RBP && fits(offset)) {
		/* libdw puts the CFA on the stack before any register's expression. */
		ret->fp = WIRE_FP_AT_FP;
		ret->fp_off = offset;
	}
}

int table_rule(Dwarf_Frame *frame, struct wire_rule *ret)
{
	Dwarf_Op saved_ra[3], saved_fp[3];
	struct expression ra, fp, cfa;
	struct wire_rule rule;
	int64_t ra_offset;
	bool is_signal;
	int ra_register = dwarf_frame_info(frame, NULL, NULL, &is_signal);

	if (ra_register < 0 || dwarf_frame_cfa(frame, &cfa.ops, &cfa.n) ||
	    dwarf_frame_register(frame, RETURN_ADDRESS, saved_ra, &ra.ops, &ra.n) ||
	    dwarf_frame_register(frame, RBP, saved_fp, &fp.ops, &fp.n))
		return -EBADMSG;
	set_cfa(&cfa, &rule);
	if (ra_register != RETURN_ADDRESS) {
		rule.cfa = WIRE_CFA_UNSUPPORTED;
	} else if (is_signal) {
		rule.cfa = rule.cfa == WIRE_CFA_SP_DEREF && rule.cfa_off == UCONTEXT_RSP &&
					   !rule.cfa_off2
				   ? WIRE_CFA_SIGNAL
				   : WIRE_CFA_UNSUPPORTED;
	} else if (!ra.n && ra.ops) {
		rule.cfa = WIRE_CFA_STOP;
	} else if (!is_saved(&ra, &ra_offset) || ra_offset != -8) {
		rule.cfa = WIRE_CFA_UNSUPPORTED;
	}
	if (rule.cfa == WIRE_CFA_UNSUPPORTED || rule.cfa == WIRE_CFA_SIGNAL ||
	    rule.cfa == WIRE_CFA_STOP)
		rule = (struct wire_rule){.cfa = rule.cfa};
	else
		set_fp(&fp, &rule);
	*ret = rule;
	return 0;
}
