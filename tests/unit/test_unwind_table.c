// SPDX-License-Identifier: BSD-2-Clause
/* CFI to rows: each kind of rule by hand; real files against libdw, address by address; what
 * corrupt and hostile files must come to. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
/* After the headers that cmocka.h needs. */
#include <cmocka.h>

#include "base/cleanup.h"
#include "cfi_builder.h"
#include "elf_builder.h"
#include "unwind/table.h"

/* def_cfa rsp+8; return address at cfa-8: what every CIE begins with. */
#define ENTRY "\x0c\x07\x08\x90\x01"
#define COMMON(b, augmentation) cfi_common((b), (augmentation), ENTRY, 5)
#define FUNCTION(b, common, start, n_bytes, program)                                               \
	cfi_function((b), (common), (start), (n_bytes), (program), sizeof(program) - 1)

static int build_fd(int fd, struct unwind_table **ret, struct diag *d)
{
	int err = unwind_table_build(fd, "made", ret, d);

	close(fd);
	if (err)
		assert_true(d->text[0]);
	else
		assert_int_equal(unwind_table_check(*ret, d), 0);
	return err;
}

/* Builds and frees the sections. */
static int build(struct cfi_bytes *eh, struct cfi_bytes *debug, struct unwind_table **ret,
		 struct diag *d)
{
	size_t n;
	_cleanup_free_ uint8_t *file = cfi_build(eh, debug, &n);

	*ret = NULL;
	*d = (struct diag){0};
	if (eh)
		free(eh->data);
	if (debug)
		free(debug->data);
	return build_fd(elf_to_fd(file, n), ret, d);
}

static void expect(const struct unwind_table *table, uint64_t at, struct wire_rule expected)
{
	const struct wire_rule *rule = unwind_table_find(table, CFI_TEXT + at);

	assert_non_null(rule);
	assert_int_equal(rule->cfa, expected.cfa);
	assert_int_equal(rule->fp, expected.fp);
	assert_int_equal(rule->cfa_off, expected.cfa_off);
	assert_int_equal(rule->cfa_off2, expected.cfa_off2);
	assert_int_equal(rule->fp_off, expected.fp_off);
}

#define EXPECT(table, at, ...) expect((table), (at), (struct wire_rule){__VA_ARGS__})

static void kinds_of_rules(void **state)
{
	/* start of a function, its program, and what must hold at its first byte */
	static const struct {
		const char *program;
		size_t n;
		struct wire_rule rule;
	} cases[] = {
#define CASE(text, ...)                                                                            \
	{                                                                                          \
		(text), sizeof(text) - 1,                                                          \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
		CASE("", .cfa = WIRE_CFA_SP, .cfa_off = 8),
		CASE("\x0e\x10\x86\x02", .cfa = WIRE_CFA_SP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA,
		     .fp_off = -16),
		CASE("\x0c\x06\x10\x86\x02", .cfa = WIRE_CFA_FP, .cfa_off = 16,
		     .fp = WIRE_FP_AT_CFA, .fp_off = -16),
		/* the lazy PLT: breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus */
		CASE("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22", .cfa = WIRE_CFA_PLT,
		     .cfa_off = 8, .cfa_off2 = 11),
		/* gcc's realigned stack: breg6 -8; deref; rbp by expression breg6 0 */
		CASE("\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00", .cfa = WIRE_CFA_FP_DEREF,
		     .cfa_off = -8, .fp = WIRE_FP_AT_FP),
		/* breg7 24; deref; plus_uconst 8 */
		CASE("\x0f\x05\x77\x18\x06\x23\x08", .cfa = WIRE_CFA_SP_DEREF, .cfa_off = 24,
		     .cfa_off2 = 8),
		CASE("\x07\x10", .cfa = WIRE_CFA_STOP),
		CASE("\x07\x06", .cfa = WIRE_CFA_SP, .cfa_off = 8, .fp = WIRE_FP_UNDEFINED),
		/* rbp saved where only rsp leads, in another register, or as a value */
		CASE("\x10\x06\x02\x77\x08", .cfa = WIRE_CFA_SP, .cfa_off = 8,
		     .fp = WIRE_FP_UNDEFINED),
		CASE("\x09\x06\x03", .cfa = WIRE_CFA_SP, .cfa_off = 8, .fp = WIRE_FP_UNDEFINED),
		CASE("\x14\x06\x02", .cfa = WIRE_CFA_SP, .cfa_off = 8, .fp = WIRE_FP_UNDEFINED),
		/* CFA by r10; return address at cfa-16, in rbx, unchanged; an expression of two
		 * registers */
		CASE("\x0c\x0a\x00", .cfa = WIRE_CFA_UNSUPPORTED),
		CASE("\x90\x02", .cfa = WIRE_CFA_UNSUPPORTED),
		CASE("\x09\x10\x03", .cfa = WIRE_CFA_UNSUPPORTED),
		CASE("\x08\x10", .cfa = WIRE_CFA_UNSUPPORTED),
		CASE("\x0f\x05\x77\x08\x76\x08\x22", .cfa = WIRE_CFA_UNSUPPORTED),
		/* an offset beyond 32 bits */
		CASE("\x0e\x80\x80\x80\x80\x10", .cfa = WIRE_CFA_UNSUPPORTED),
	};
	struct cfi_bytes eh = {0};
	size_t common = COMMON(&eh, "zR");
	struct unwind_table *table;
	struct diag d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cfi_function(&eh, common, 16 * i, 16, cases[i].program, cases[i].n);
	assert_int_equal(build(&eh, NULL, &table, &d), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect(table, 16 * i, cases[i].rule);
	assert_int_equal(table->n_fdes, ARRAY_SIZE(cases));
	assert_int_equal(table->n_bad_fdes, 0);
	assert_int_equal(table->text_bytes, CFI_TEXT_BYTES);
	assert_int_equal(table->unsupported_bytes, 16 * 6);
	assert_int_equal(table->covered_bytes, 16 * (ARRAY_SIZE(cases) - 6));
	unwind_table_destroy(table);
}

static void signal_frames(void **state)
{
	struct cfi_bytes eh = {0};
	size_t common = COMMON(&eh, "zRS");
	struct unwind_table *table;
	struct diag d;

	(void)state;
	/* glibc's __restore_rt: the CFA is rsp in the ucontext, breg7 160; deref */
	FUNCTION(&eh, common, 0, 16, "\x0f\x04\x77\xa0\x01\x06");
	FUNCTION(&eh, common, 16, 16, "");
	FUNCTION(&eh, common, 32, 16, "\x0f\x04\x77\xa8\x01\x06"); /* at another place */
	assert_int_equal(build(&eh, NULL, &table, &d), 0);
	EXPECT(table, 0, .cfa = WIRE_CFA_SIGNAL);
	EXPECT(table, 16, .cfa = WIRE_CFA_UNSUPPORTED);
	EXPECT(table, 32, .cfa = WIRE_CFA_UNSUPPORTED);
	unwind_table_destroy(table);
}

static void rows_and_gaps(void **state)
{
	struct cfi_bytes eh = {0};
	size_t common = COMMON(&eh, "zR");
	struct unwind_table *table;
	struct diag d;

	(void)state;
	/* push rbp; mov rsp, rbp; ...; a remembered state around a return in the middle */
	FUNCTION(&eh, common, 0x40, 0x40,
		 "\x41\x0e\x10\x86\x02\x43\x0d\x06\x50\x0a\x0c\x07\x08\xc6\x41\x0b");
	/* the same rule goes on: no row */
	FUNCTION(&eh, common, 0x80, 0x10, "");
	FUNCTION(&eh, common, 0x90, 0x10, "");
	assert_int_equal(build(&eh, NULL, &table, &d), 0);
	EXPECT(table, 0, .cfa = WIRE_CFA_NONE);
	EXPECT(table, 0x3f, .cfa = WIRE_CFA_NONE);
	EXPECT(table, 0x40, .cfa = WIRE_CFA_SP, .cfa_off = 8);
	EXPECT(table, 0x41, .cfa = WIRE_CFA_SP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA, .fp_off = -16);
	EXPECT(table, 0x44, .cfa = WIRE_CFA_FP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA, .fp_off = -16);
	EXPECT(table, 0x53, .cfa = WIRE_CFA_FP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA, .fp_off = -16);
	EXPECT(table, 0x54, .cfa = WIRE_CFA_SP, .cfa_off = 8);
	EXPECT(table, 0x55, .cfa = WIRE_CFA_FP, .cfa_off = 16, .fp = WIRE_FP_AT_CFA, .fp_off = -16);
	EXPECT(table, 0x9f, .cfa = WIRE_CFA_SP, .cfa_off = 8);
	assert_null(unwind_table_find(table, CFI_TEXT - 1));
	assert_null(unwind_table_find(table, CFI_TEXT + 0xa0));
	assert_null(unwind_table_find(table, UINT64_MAX));
	assert_int_equal(table->base, CFI_TEXT);
	assert_int_equal(table->n_rows, 8);
	assert_int_equal(unwind_table_bytes(table), 4096);
	unwind_table_destroy(table);
}

/* .debug_frame counts where .eh_frame says nothing; and alone. */
static void debug_frame(void **state)
{
	struct cfi_bytes eh = {0}, debug = {.debug = true};
	size_t common = COMMON(&eh, "zR"), debug_common = COMMON(&debug, "");
	struct unwind_table *table;
	struct diag d;

	(void)state;
	FUNCTION(&eh, common, 0x20, 0x10, "");
	FUNCTION(&eh, common, 0x40, 0x10, "");
	FUNCTION(&debug, debug_common, 0x10, 0x40, "\x0e\x18");
	assert_int_equal(build(&eh, &debug, &table, &d), 0);
	EXPECT(table, 0x0f, .cfa = WIRE_CFA_NONE);
	EXPECT(table, 0x10, .cfa = WIRE_CFA_SP, .cfa_off = 24);
	EXPECT(table, 0x20, .cfa = WIRE_CFA_SP, .cfa_off = 8);
	EXPECT(table, 0x30, .cfa = WIRE_CFA_SP, .cfa_off = 24);
	EXPECT(table, 0x40, .cfa = WIRE_CFA_SP, .cfa_off = 8);
	assert_null(unwind_table_find(table, CFI_TEXT + 0x50));
	assert_int_equal(table->covered_bytes, 0x40);
	unwind_table_destroy(table);

	debug = (struct cfi_bytes){.debug = true};
	debug_common = COMMON(&debug, "");
	/* what the linker drops stays behind at 0, over anything */
	FUNCTION(&debug, debug_common, -CFI_TEXT, 0x100000, "\x0e\x20");
	FUNCTION(&debug, debug_common, 0x10, 0x40, "\x0e\x18");
	assert_int_equal(build(NULL, &debug, &table, &d), 0);
	EXPECT(table, 0x10, .cfa = WIRE_CFA_SP, .cfa_off = 24);
	EXPECT(table, 0, .cfa = WIRE_CFA_NONE);
	assert_int_equal(table->n_bad_fdes, 0);
	unwind_table_destroy(table);
}

/* Each leaves a gap, is counted, and harms no other. */
static void corrupt_functions(void **state)
{
	static const struct {
		const char *program;
		size_t n;
	} programs[] = {
#define PROGRAM(text) {(text), sizeof(text) - 1}
		PROGRAM("\x3f"), /* no such instruction */
		PROGRAM("\x3e\x3e\x3e\x3e\x3e"),
		PROGRAM("\x05\xff\xff\xff\x1f\x01"), /* register 2^26: 1 GiB in libdw */
		PROGRAM("\x0f\x7f\x77\x08"),	     /* expression past the end */
		PROGRAM("\x0e\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* LEB128 without end */
		PROGRAM("\x0b"), /* nothing was remembered */
		PROGRAM("\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a"),
		PROGRAM("\x0a\x0b\x00\x00\x04\x01\x00"), /* an operand cut off */
		PROGRAM("\x0f\x01\x77\x0d\x06"), /* a register's offset after an expression */
	};
	size_t n = ARRAY_SIZE(programs), common, at;
	struct cfi_bytes eh = {0};
	struct unwind_table *table;
	struct diag d;
	uint32_t id;

	(void)state;
	common = COMMON(&eh, "zR");
	for (size_t i = 0; i < n; i++) {
		FUNCTION(&eh, common, 32 * i, 16, "");
		cfi_function(&eh, common, 32 * i + 16, 16, programs[i].program, programs[i].n);
	}
	/* one that has no CIE, one at each of a function, the middle of a CIE, and an unusable
	 * CIE */
	for (size_t i = 0; i < 4; i++) {
		size_t broken = cfi_common(&eh, i == 3 ? "zRQ" : "zR", ENTRY, 5);

		at = FUNCTION(&eh, broken, 32 * n + 16 * i, 16, "");
		id = (const uint32_t[]){at + 400, at + 4 - broken - 8, 4, at + 4 - broken}[i];
		memcpy(eh.data + at + 4, &id, sizeof(id));
	}
	FUNCTION(&eh, common, 32 * n + 64, 0, "");   /* empty */
	FUNCTION(&eh, common, 32 * n + 64, -16, ""); /* ends before it starts */
	FUNCTION(&eh, common, 8, 16, "");	     /* over another */
	FUNCTION(&eh, common, -0x8000, 16, "");	     /* outside of code: not counted */
	FUNCTION(&eh, common, 32 * n + 128, CFI_TEXT_BYTES, "\x0e\x40"); /* out of it */
	assert_int_equal(build(&eh, NULL, &table, &d), 0);
	for (size_t i = 0; i < n; i++) {
		EXPECT(table, 32 * i, .cfa = WIRE_CFA_SP, .cfa_off = 8);
		EXPECT(table, 32 * i + 16, .cfa = WIRE_CFA_NONE);
	}
	for (size_t i = 32 * n; i < 32 * n + 128; i++)
		EXPECT(table, i, .cfa = WIRE_CFA_NONE);
	EXPECT(table, 32 * n + 128, .cfa = WIRE_CFA_SP, .cfa_off = 64);
	EXPECT(table, CFI_TEXT_BYTES - 1, .cfa = WIRE_CFA_SP, .cfa_off = 64);
	assert_null(unwind_table_find(table, CFI_TEXT + CFI_TEXT_BYTES));
	assert_int_equal(table->n_bad_fdes, n + 7);
	unwind_table_destroy(table);
}

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Honest in form, made to cost: libdw reads a function's instructions anew for each row. */
static void endless_work(void **state)
{
	size_t n = 60000;
	_cleanup_free_ char *program = malloc(2 * n);
	uint64_t start = cpu_ms();
	struct unwind_table *table;
	struct cfi_bytes eh = {0};
	struct diag d;
	size_t common;

	(void)state;
	for (size_t i = 0; i < n; i++)
		memcpy(program + 2 * i, i % 2 ? "\x0a\x41" : "\x0b\x41", 2);
	program[0] = 0;
	program[1] = 0x41;
	common = COMMON(&eh, "zR");
	FUNCTION(&eh, common, 0, 16, "");
	cfi_function(&eh, common, 16, CFI_TEXT_BYTES - 16, program, n);
	assert_int_equal(build(&eh, NULL, &table, &d), 0);
	assert_int_equal(table->n_bad_fdes, 1);
	EXPECT(table, 15, .cfa = WIRE_CFA_SP, .cfa_off = 8);
	assert_null(unwind_table_find(table, CFI_TEXT + 16));
	unwind_table_destroy(table);

	/* A CIE with as much is read once. */
	eh = (struct cfi_bytes){0};
	memset(program, 0, 2 * n);
	memcpy(program, ENTRY, 5);
	common = cfi_common(&eh, "zR", program, 2 * n);
	for (size_t i = 0; i < 10000; i++)
		FUNCTION(&eh, common, 16 * i, 16, "\x41\x0e\x10\x42\x0e\x18");
	assert_int_equal(build(&eh, NULL, &table, &d), 0);
	assert_int_equal(table->n_fdes, 10000);
	unwind_table_destroy(table);
	assert_true(cpu_ms() - start < 5000); /* a hundredth of it without sanitizers */
}

static void too_many_rules(void **state)
{
	struct cfi_bytes eh = {0};
	struct unwind_table *table;
	size_t common = COMMON(&eh, "zR");
	struct diag d;

	(void)state;
	for (uint32_t i = 0; i < WIRE_RULES; i++) {
		uint8_t program[] = {0x0e, 0x80 | (i & 0x7f), 0x80 | (i >> 7 & 0x7f), i >> 14};

		cfi_function(&eh, common, 4 * i, 4, program, 4);
	}
	assert_int_equal(build(&eh, NULL, &table, &d), -EFBIG);
	assert_null(table);
}

static void without_cfi(void **state)
{
	struct cfi_bytes eh = {0};
	struct unwind_table *table;
	uint8_t *file;
	struct diag d;
	size_t n;

	(void)state;
	assert_int_equal(build(NULL, NULL, &table, &d), -ENODATA);
	cfi_put32(&eh, 0); /* the terminator alone */
	assert_int_equal(build(&eh, NULL, &table, &d), -ENODATA);
	eh = (struct cfi_bytes){0};
	FUNCTION(&eh, 0, 0, 16, "");
	assert_int_equal(build(&eh, NULL, &table, &d), -EBADMSG);

	file = cfi_build(NULL, NULL, &n);
	((Elf64_Ehdr *)file)->e_machine = EM_AARCH64;
	assert_int_equal(build_fd(elf_to_fd(file, n), &table, &d), -ENOTSUP);
	file[EI_CLASS] = ELFCLASS32;
	assert_int_equal(build_fd(elf_to_fd(file, n), &table, &d), -ENOTSUP);
	file[0] = 'X';
	assert_int_equal(build_fd(elf_to_fd(file, n), &table, &d), -ENOEXEC);
	free(file);
}

/* What check must refuse. */
static void refused_tables(void **state)
{
	struct wire_rule rules[] = {{.cfa = WIRE_CFA_NONE}, {.cfa = WIRE_CFA_SP, .cfa_off = 8}};
	struct wire_row rows[] = {{0, 0}, {4, 1}, {8, 0}};
	struct unwind_table table = {.base = 4096,
				     .rows = rows,
				     .n_rows = 3,
				     .rules = rules,
				     .n_rules = 2,
				     .text_bytes = 16,
				     .covered_bytes = 8,
				     .unsupported_bytes = 8};
	struct diag d = {0};

	(void)state;
	assert_int_equal(unwind_table_check(&table, &d), 0);
#define REFUSED(place, value)                                                                      \
	do {                                                                                       \
		__typeof__(place) good = (place);                                                  \
		d = (struct diag){0};                                                              \
		(place) = (value);                                                                 \
		assert_int_equal(unwind_table_check(&table, &d), -EBADMSG);                        \
		assert_true(d.text[0]);                                                            \
		(place) = good;                                                                    \
	} while (0)
	REFUSED(rows[1].pc, 8);
	REFUSED(rows[1].pc, 0);
	REFUSED(rows[2].pc, 3);
	REFUSED(rows[0].rule, 2);
	REFUSED(rows[2].rule, 1);
	REFUSED(rules[1].cfa, WIRE_CFA_GUESS);
	REFUSED(rules[1].fp, 4);
	REFUSED(rules[1].zero, 1);
	REFUSED(table.n_rows, 0);
	REFUSED(table.n_rows, (1u << 26) + 1);
	REFUSED(table.n_rules, WIRE_RULES);
	REFUSED(table.n_rules, 0);
	REFUSED(table.base, UINT64_MAX - 5);
	REFUSED(table.covered_bytes, 17);
	REFUSED(table.unsupported_bytes, 9);
	assert_int_equal(unwind_table_check(&table, &d), 0);
	unwind_table_destroy(NULL);
}

/* Against libdw, which reads the file itself. Registers and memory are made up; the rule and the
 * CFI must lead to the same CFA, the same place of the return address, and the same rbp. */

#define RSP 0x7fff12345670ULL
#define RBP 0x7fff12345800ULL

static uint64_t memory(uint64_t address)
{
	return address * 0x9e3779b97f4a7c15ULL;
}

/* The value of an expression, or false when it needs what is not known here. */
static bool evaluate(const Dwarf_Op *ops, size_t n, uint64_t pc, uint64_t cfa, uint64_t *ret)
{
	uint64_t stack[64] = {0}, *top = stack, x;

	for (size_t i = 0; i < n && top < stack + 60; i++) {
		uint8_t atom = ops[i].atom;
		unsigned number = atom == DW_OP_bregx ? ops[i].number
						      : (unsigned)atom - DW_OP_breg0;

		if (atom == DW_OP_bregx || (atom >= DW_OP_breg0 && atom <= DW_OP_breg31)) {
			if (number != 6 && number != 7 && number != 16)
				return false;
			*++top = (number == 6	? RBP
				  : number == 7 ? RSP
						: pc) +
				 (atom == DW_OP_bregx ? ops[i].number2 : ops[i].number);
		} else if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
			*++top = atom - DW_OP_lit0;
		} else if (atom == DW_OP_call_frame_cfa) {
			*++top = cfa;
		} else if (atom == DW_OP_plus_uconst) {
			*top += ops[i].number;
		} else if (atom == DW_OP_deref) {
			*top = memory(*top);
		} else {
			if (top <= stack + 1)
				return false;
			x = *top--;
			if (atom == DW_OP_and)
				*top &= x;
			else if (atom == DW_OP_ge)
				*top = (int64_t)*top >= (int64_t)x;
			else if (atom == DW_OP_shl)
				*top <<= x;
			else if (atom == DW_OP_plus)
				*top += x;
			else
				return false;
		}
	}
	*ret = *top;
	return top > stack;
}

static uint64_t cfa_by_rule(const struct wire_rule *rule, uint64_t pc)
{
	switch (rule->cfa) {
	case WIRE_CFA_SP:
		return RSP + rule->cfa_off;
	case WIRE_CFA_FP:
		return RBP + rule->cfa_off;
	case WIRE_CFA_SP_DEREF:
		return memory(RSP + rule->cfa_off) + rule->cfa_off2;
	case WIRE_CFA_FP_DEREF:
		return memory(RBP + rule->cfa_off) + rule->cfa_off2;
	case WIRE_CFA_PLT:
		return RSP + rule->cfa_off + ((pc & 15) >= (uint32_t)rule->cfa_off2 ? 8 : 0);
	}
	return 0;
}

static void compare_rbp(const struct wire_rule *rule, Dwarf_Frame *frame, uint64_t pc, uint64_t cfa)
{
	Dwarf_Op memory_of_ops[3], *ops;
	uint64_t place;
	size_t n;

	assert_int_equal(dwarf_frame_register(frame, 6, memory_of_ops, &ops, &n), 0);
	switch (rule->fp) {
	case WIRE_FP_SAME:
		assert_true(!n && !ops);
		break;
	case WIRE_FP_AT_CFA:
		assert_true(evaluate(ops, n, pc, cfa, &place));
		assert_int_equal(place, cfa + rule->fp_off);
		break;
	case WIRE_FP_AT_FP:
		assert_true(evaluate(ops, n, pc, cfa, &place));
		assert_int_equal(place, RBP + rule->fp_off);
		break;
	}
}

struct counts {
	size_t n, gaps, unsupported, stops, signals, undefined, plt;
};

static void compare_at(const struct unwind_table *table, Dwarf_CFI *cfi, uint64_t pc,
		       struct counts *counts)
{
	const struct wire_rule *rule = unwind_table_find(table, pc);
	Dwarf_Op memory_of_ops[3], *ops, *ra_ops;
	_cleanup_free_ Dwarf_Frame *frame = NULL;
	size_t n, n_ra;
	uint64_t cfa, place;
	bool known;

	counts->n++;
	if (dwarf_cfi_addrframe(cfi, pc, &frame)) {
		assert_true(!rule || rule->cfa == WIRE_CFA_NONE);
		counts->gaps++;
		return;
	}
	assert_non_null(rule);
	counts->undefined += rule->fp == WIRE_FP_UNDEFINED;
	assert_int_equal(dwarf_frame_register(frame, 16, memory_of_ops, &ra_ops, &n_ra), 0);
	assert_int_equal(dwarf_frame_cfa(frame, &ops, &n), 0);
	known = evaluate(ops, n, pc, 0, &cfa);
	counts->stops += rule->cfa == WIRE_CFA_STOP;
	assert_int_equal(rule->cfa == WIRE_CFA_STOP, !n_ra && ra_ops);
	if (rule->cfa == WIRE_CFA_STOP)
		return;
	if (rule->cfa == WIRE_CFA_SIGNAL) {
		assert_int_equal(cfa, memory(RSP + 160));
		counts->signals++;
		return;
	}
	if (rule->cfa == WIRE_CFA_UNSUPPORTED) {
		/* Nothing that is simply a register and an offset, and the return address below, is
		 * refused. */
		assert_true(!known || n > 1 || !evaluate(ra_ops, n_ra, pc, cfa, &place) ||
			    place != cfa - 8);
		counts->unsupported++;
		return;
	}
	assert_true(known);
	assert_int_equal(cfa_by_rule(rule, pc), cfa);
	assert_true(evaluate(ra_ops, n_ra, pc, cfa, &place));
	assert_int_equal(place, cfa - 8);
	compare_rbp(rule, frame, pc, cfa);
	counts->plt += rule->cfa == WIRE_CFA_PLT;
}

/* At the first and the last byte of each row. */
static struct counts compare_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct counts counts = {0};
	struct unwind_table *table;
	struct diag d = {0};
	Dwarf_CFI *cfi;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(elf);
	cfi = dwarf_getcfi_elf(elf);
	assert_non_null(cfi);
	assert_int_equal(unwind_table_build(fd, path, &table, &d), 0);
	assert_int_equal(unwind_table_check(table, &d), 0);
	assert_int_equal(table->n_bad_fdes, 0);
	for (size_t i = 0; i < table->n_rows; i++) {
		compare_at(table, cfi, table->base + table->rows[i].pc - (i > 0), &counts);
		compare_at(table, cfi, table->base + table->rows[i].pc, &counts);
	}
	unwind_table_destroy(table);
	dwarf_cfi_end(cfi);
	elf_end(elf);
	return counts;
}

static void as_libdw_libc(void **state)
{
	struct counts counts;

	(void)state;
	if (access("/lib/x86_64-linux-gnu/libc.so.6", R_OK))
		skip();
	counts = compare_file("/lib/x86_64-linux-gnu/libc.so.6");
	assert_true(counts.n > 20000);
	assert_true(counts.signals && counts.stops && counts.plt);
	assert_true(counts.gaps < counts.n / 2);
	assert_true(counts.unsupported < counts.n / 1000);
}

static void as_libdw_self(void **state)
{
	struct counts counts = compare_file("/proc/self/exe");

	(void)state;
	assert_true(counts.n > 100);
	assert_true(counts.stops && counts.plt); /* _start; the PLT */
}

/* Real files in unusual forms. */

static void assert_same_tables(const struct unwind_table *a, const struct unwind_table *b)
{
	assert_int_equal(a->base, b->base);
	assert_int_equal(a->n_rows, b->n_rows);
	assert_memory_equal(a->rows, b->rows, a->n_rows * sizeof(*a->rows));
	assert_int_equal(a->n_rules, b->n_rules);
	assert_memory_equal(a->rules, b->rules, a->n_rules * sizeof(*a->rules));
}

static void without_section_headers(void **state)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct unwind_table *whole, *bare;
	struct diag d = {0};
	off_t n = lseek(fd, 0, SEEK_END);
	_cleanup_free_ char *bytes = malloc(n);
	Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;

	(void)state;
	assert_int_equal(pread(fd, bytes, n, 0), n);
	header->e_shoff = header->e_shnum = header->e_shstrndx = 0;
	assert_int_equal(unwind_table_build(fd, "whole", &whole, &d), 0);
	assert_int_equal(build_fd(elf_to_fd(bytes, n), &bare, &d), 0);
	assert_same_tables(whole, bare);
	unwind_table_destroy(whole);
	unwind_table_destroy(bare);
}

static void vdso(void **state)
{
	char *image = (char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (Elf64_Ehdr *)image;
	struct unwind_table *table;
	struct diag d = {0};

	(void)state;
	if (!image)
		skip();
	/* Its section headers are its end. */
	assert_int_equal(
		build_fd(elf_to_fd(image, header->e_shoff + header->e_shnum * sizeof(Elf64_Shdr)),
			 &table, &d),
		0);
	assert_true(table->n_fdes > 1);
	assert_true(table->covered_bytes > 100);
	unwind_table_destroy(table);
}

/* Any byte of the CFI may be wrong. */
static void mutations(void **state)
{
	struct cfi_bytes eh = {0};
	size_t common = COMMON(&eh, "zR"), n, n_section;
	_cleanup_free_ uint8_t *file = NULL;
	struct unwind_table *table;
	struct diag d;

	(void)state;
	FUNCTION(&eh, common, 0, 16,
		 "\x41\x0e\x10\x86\x02\x43\x0d\x06\x0a\x45\x0c\x07\x08\x41\x0b");
	FUNCTION(&eh, common, 16, 16, "\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22");
	FUNCTION(&eh, common, 32, 16, "\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00\x2e\x10");
	cfi_put32(&eh, 0);
	n_section = eh.n;
	file = cfi_build(&eh, NULL, &n);
	free(eh.data);
	for (size_t i = n - n_section; i < n; i++) {
		uint8_t good = file[i];

		for (unsigned value = 0; value < 256; value += 3) {
			file[i] = value;
			if (!build_fd(elf_to_fd(file, n), &table, &d))
				unwind_table_destroy(table);
		}
		file[i] = good;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_of_rules),
		cmocka_unit_test(signal_frames),
		cmocka_unit_test(rows_and_gaps),
		cmocka_unit_test(debug_frame),
		cmocka_unit_test(corrupt_functions),
		cmocka_unit_test(endless_work),
		cmocka_unit_test(too_many_rules),
		cmocka_unit_test(without_cfi),
		cmocka_unit_test(refused_tables),
		cmocka_unit_test(as_libdw_libc),
		cmocka_unit_test(as_libdw_self),
		cmocka_unit_test(without_section_headers),
		cmocka_unit_test(vdso),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
