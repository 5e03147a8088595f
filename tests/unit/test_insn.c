// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "plan/insn.h"

static size_t from_hex(const char *hex, uint8_t *bytes, size_t max)
{
	size_t n = 0;
	unsigned byte;

	for (int used; n < max && sscanf(hex, "%2x%n", &byte, &used) == 1; hex += used)
		bytes[n++] = byte;
	return n;
}

struct known {
	const char *hex;
	enum insn_kind kind;
	bool emulated;
	uint8_t writes;
	int64_t target;	  /* 0: none */
	const char *text; /* NULL: hex, not looked at */
};

/* Encodings checked by hand against the SDM and by objdump. */
static const struct known x86[] = {
	{"55", INSN_PUSH, true, INSN_SP, 0, "push %rbp"},
	{"4154", INSN_PUSH, true, INSN_SP, 0, "push %r12"},
	{"4055", INSN_PUSH, false, INSN_SP, 0, "push %rbp"}, /* the kernel takes only prefix 41 */
	{"6655", INSN_PUSH, false, INSN_SP, 0, NULL},
	{"5f", INSN_OTHER, false, INSN_SP | INSN_ARG0, 0, NULL}, /* pop %rdi */
	{"90", INSN_NOP, true, 0, 0, "nop"},
	{"6690", INSN_NOP, false, 0, 0, "nop"},
	{"0f1f440000", INSN_NOP, false, 0, 0, "nop"},
	{"662e0f1f840000000000", INSN_NOP, false, 0, 0, "nop"},
	{"f390", INSN_OTHER, false, INSN_ALL, 0, NULL}, /* pause */
	{"4990", INSN_OTHER, false, INSN_ALL, 0, NULL}, /* xchg %rax,%r8 */
	{"f30f1efa", INSN_ENDBR, false, 0, 0, "endbr64"},
	{"f3480f1ec8", INSN_OTHER, false, INSN_ALL, 0, NULL}, /* rdsspq %rax */
	{"eb10", INSN_JMP, true, 0, 0x12, "jmp +0x10"},
	{"e9fbffffff", INSN_JMP, true, 0, 0, "jmp -0x5"},
	{"f2e910000000", INSN_JMP, false, 0, 0x16, "jmp +0x10"}, /* bnd */
	{"74af", INSN_JCC, true, 0, -0x4f, "je -0x51"},
	{"0f84af000000", INSN_JCC, true, 0, 0xb5, "je +0xaf"},
	{"0f8793000000", INSN_JCC, true, 0, 0x99, "ja +0x93"},
	{"e305", INSN_JCC, false, INSN_ALL, 7, NULL}, /* jrcxz */
	{"e800000000", INSN_CALL, true, INSN_SP, 5, "call +0x0"},
	{"666648e800000000", INSN_CALL, false, INSN_SP, 8, NULL},
	{"c3", INSN_RET, false, INSN_ALL, 0, "ret"},
	{"f3c3", INSN_RET, false, INSN_ALL, 0, "ret"},
	{"c20800", INSN_RET, false, INSN_ALL, 0, "ret"},
	{"0f0b", INSN_TRAP, false, INSN_ALL, 0, NULL},
	{"ffe0", INSN_JMP_INDIRECT, false, INSN_ALL, 0, NULL},
	{"ff2510000000", INSN_JMP_INDIRECT, false, INSN_ALL, 0, NULL},
	{"ffd0", INSN_CALL_INDIRECT, false, INSN_ALL, 0, NULL},
	{"4885ff", INSN_OTHER, false, 0, 0, "test %rdi,%rdi"},
	{"85ff", INSN_OTHER, false, 0, 0, NULL},
	{"803d7b0e140000", INSN_OTHER, false, 0, 0, "80 3d 7b 0e 14 00 00"}, /* cmpb $0x0,x(%rip) */
	{"4881ff00100000", INSN_OTHER, false, 0, 0, NULL},		     /* cmp $0x1000,%rdi */
	{"4889f8", INSN_OTHER, false, 0, 0, "mov %rdi,%rax"},
	{"4889fe", INSN_OTHER, false, INSN_ARG1, 0, "mov %rdi,%rsi"},
	{"488b057b0e1400", INSN_OTHER, false, 0, 0, NULL},		/* mov x(%rip),%rax */
	{"64488b38", INSN_OTHER, false, INSN_ARG0, 0, NULL},		/* mov %fs:(%rax),%rdi */
	{"4c8b01", INSN_OTHER, false, 0, 0, NULL},			/* mov (%rcx),%r8 */
	{"48897c2408", INSN_OTHER, false, 0, 0, NULL},			/* mov %rdi,0x8(%rsp) */
	{"4883ec18", INSN_OTHER, false, INSN_SP, 0, NULL},		/* sub $0x18,%rsp */
	{"4883fc18", INSN_OTHER, false, 0, 0, NULL},			/* cmp $0x18,%rsp */
	{"48f7e2", INSN_OTHER, false, INSN_ARG2, 0, NULL},		/* mul %rdx */
	{"48f7c101000000", INSN_OTHER, false, 0, 0, NULL},		/* test $0x1,%rcx */
	{"f6c101", INSN_OTHER, false, 0, 0, NULL},			/* test $0x1,%cl */
	{"b610", INSN_OTHER, false, INSN_ARG2, 0, NULL},		/* mov $0x10,%dh */
	{"40b610", INSN_OTHER, false, INSN_ARG1, 0, NULL},		/* mov $0x10,%sil */
	{"49be0807060504030201", INSN_OTHER, false, 0, 0, NULL},	/* movabs $...,%r14 */
	{"66b80100", INSN_OTHER, false, 0, 0, NULL},			/* mov $0x1,%ax */
	{"c1e903", INSN_OTHER, false, INSN_ARG3, 0, NULL},		/* shr $0x3,%ecx */
	{"0fb6f2", INSN_OTHER, false, INSN_ARG1, 0, NULL},		/* movzbl %dl,%esi */
	{"4c0faff7", INSN_OTHER, false, 0, 0, NULL},			/* imul %rdi,%r14 */
	{"480f44fe", INSN_OTHER, false, INSN_ARG0, 0, NULL},		/* cmove %rsi,%rdi */
	{"48a1efcdab8967452301", INSN_OTHER, false, INSN_ALL, 0, NULL}, /* movabs ...,%rax */
	{"c8100000", INSN_OTHER, false, INSN_ALL, 0, NULL},		/* enter */
	{"660f6f0500000000", INSN_OTHER, false, 0, 0, NULL},		/* movdqa x(%rip),%xmm0 */
	{"660f3a0fc108", INSN_OTHER, false, INSN_ALL, 0, NULL},		/* palignr */
	{"c5f877", INSN_OTHER, false, INSN_ALL, 0, NULL},		/* vzeroupper */
	{"c5fdefc0", INSN_OTHER, false, INSN_ALL, 0, NULL},		/* vpxor */
	{"c4e37d46c120", INSN_OTHER, false, INSN_ALL, 0, NULL},		/* vperm2i128 */
	{"62f17c484810", INSN_OTHER, false, INSN_ALL, 0, NULL},
	{"62f37d483f0e00", INSN_OTHER, false, INSN_ALL, 0, NULL}, /* vpcmpub with an immediate */
};

static void test_x86_encodings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(x86); i++) {
		uint8_t code[INSN_LENGTH_MAX + 1];
		size_t n = from_hex(x86[i].hex, code, sizeof(code));
		char text[INSN_TEXT_SIZE];
		struct insn insn;

		print_message("%s\n", x86[i].hex);
		for (size_t short_n = 0; short_n < n; short_n++)
			assert_int_equal(insn_decode(EM_X86_64, code, short_n, &insn), -EILSEQ);
		assert_int_equal(insn_decode(EM_X86_64, code, n, &insn), 0);
		assert_int_equal(insn.length, n);
		assert_int_equal(insn.kind, x86[i].kind);
		assert_int_equal(insn.emulated, x86[i].emulated);
		assert_int_equal(insn.writes, x86[i].writes);
		if (x86[i].target) {
			assert_true(insn.has_target);
			assert_int_equal(insn.target, x86[i].target);
		}
		insn_format(EM_X86_64, code, &insn, text);
		if (x86[i].text)
			assert_string_equal(text, x86[i].text);
	}
}

static void test_x86_refuses(void **state)
{
	static const char *const hex[] = {
		"06",	      "ea0000000000", "d500",
		"0f04",	      "0f3b",	      "62f07c4810",
		"c4e47d46c1", "8fe97801c0",   "6666666666666666666666666666666690",
		"48c5f877",
	};
	struct insn insn;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hex); i++) {
		uint8_t code[32] = {0};

		from_hex(hex[i], code, sizeof(code));
		print_message("%s\n", hex[i]);
		assert_int_equal(insn_decode(EM_X86_64, code, sizeof(code), &insn), -EILSEQ);
	}
}

static void test_null_checks(void **state)
{
	struct insn insn;

	(void)state;
	assert_int_equal(insn_decode(EM_X86_64, (const uint8_t *)"\x48\x85\xff", 3, &insn), 0);
	assert_true(insn.tests_arg0);
	assert_int_equal(insn_decode(EM_X86_64, (const uint8_t *)"\x48\x85\xf6", 3, &insn), 0);
	assert_false(insn.tests_arg0);
	assert_int_equal(insn_decode(EM_X86_64, (const uint8_t *)"\x74\x10", 2, &insn), 0);
	assert_true(insn.jumps_if_zero);
	assert_int_equal(insn_decode(EM_X86_64, (const uint8_t *)"\x75\x10", 2, &insn), 0);
	assert_false(insn.jumps_if_zero);
	assert_int_equal(
		insn_decode(EM_X86_64, (const uint8_t *)"\xff\x25\x10\x00\x00\x00", 6, &insn), 0);
	assert_true(insn.has_slot);
	assert_int_equal(insn.slot, 0x16);
}

static const struct known arm64[] = {
	{"fd7bbfa9", INSN_OTHER, false, INSN_ALL, 0,
	 ".inst 0xa9bf7bfd"},				    /* stp x29,x30,[sp,#-16]! */
	{"5f2403d5", INSN_ENDBR, false, 0, 0, NULL},	    /* bti c */
	{"3f2303d5", INSN_OTHER, false, INSN_ALL, 0, NULL}, /* paciasp */
	{"1f2003d5", INSN_NOP, false, 0, 0, "nop"},
	{"400000b4", INSN_JCC, true, 0, 8, "cbz x0, +0x8"},
	{"40000035", INSN_JCC, true, 0, 8, NULL}, /* cbnz w0 */
	{"ffffff17", INSN_JMP, true, 0, -4, "b -0x4"},
	{"02000094", INSN_CALL, true, 0, 8, "bl +0x8"},
	{"40000054", INSN_JCC, true, 0, 8, NULL}, /* b.eq */
	{"c0035fd6", INSN_RET, true, 0, 0, "ret"},
	{"ff0b5fd6", INSN_RET, false, 0, 0, "ret"},		    /* retaa */
	{"00021fd6", INSN_JMP_INDIRECT, false, INSN_ALL, 0, NULL},  /* br x16 */
	{"00003fd6", INSN_CALL_INDIRECT, false, INSN_ALL, 0, NULL}, /* blr x0 */
	{"00000010", INSN_OTHER, true, INSN_ARG0, 0, NULL},	    /* adr x0 */
	{"10000090", INSN_OTHER, true, 0, 0, NULL},		    /* adrp x16 */
};

static void test_arm64_encodings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(arm64); i++) {
		char text[INSN_TEXT_SIZE];
		struct insn insn;
		uint8_t code[4];

		assert_int_equal(from_hex(arm64[i].hex, code, 4), 4);
		print_message("%s\n", arm64[i].hex);
		assert_int_equal(insn_decode(EM_AARCH64, code, 3, &insn), -EILSEQ);
		assert_int_equal(insn_decode(EM_AARCH64, code, 4, &insn), 0);
		assert_int_equal(insn.kind, arm64[i].kind);
		assert_int_equal(insn.emulated, arm64[i].emulated);
		assert_int_equal(insn.writes, arm64[i].writes);
		if (arm64[i].target)
			assert_int_equal(insn.target, arm64[i].target);
		insn_format(EM_AARCH64, code, &insn, text);
		if (arm64[i].text)
			assert_string_equal(text, arm64[i].text);
	}
}

/* objdump is the judge: the same lengths and branch targets over all of libc's allocator. The code
 * between malloc and reallocarray is malloc.c's. */
static void test_against_objdump(void **state)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0, n_checked = 0;
	FILE *out;

	(void)state;
	if (access("/usr/bin/objdump", X_OK) || access("/lib/x86_64-linux-gnu/libc.so.6", R_OK)) {
		print_message("skipped: no objdump or no libc here\n");
		skip();
	}
	out = popen("lib=/lib/x86_64-linux-gnu/libc.so.6; "
		    "at=$(nm -D $lib | sed -n 's/ T __libc_malloc@@.*//p'); "
		    "objdump -dw --start-address=0x$at --stop-address=$((0x$at + 0x2000)) $lib",
		    "r");
	assert_non_null(out);
	while (getline(&line, &cap, out) > 0) {
		char *hex = strchr(line, '\t'), *text = hex ? strchr(hex + 1, '\t') : NULL,
		     *operand;
		unsigned long address = strtoul(line, NULL, 16);
		uint8_t code[INSN_LENGTH_MAX + 1];
		struct insn insn;
		size_t n;

		if (!text)
			continue;
		*text++ = '\0';
		n = from_hex(hex + 1, code, sizeof(code));
		if (insn_decode(EM_X86_64, code, n, &insn) || insn.length != n)
			fail_msg("%lx: %s: %s", address, hex + 1, text);
		operand = strchr(text, ' ');
		if (insn.has_target && strtoul(operand, NULL, 16) != address + insn.target)
			fail_msg("%lx: target %lx: %s", address, address + insn.target, text);
		n_checked++;
	}
	pclose(out);
	print_message("%zu instructions\n", n_checked);
	assert_true(n_checked > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x86_encodings),	cmocka_unit_test(test_x86_refuses),
		cmocka_unit_test(test_null_checks),	cmocka_unit_test(test_arm64_encodings),
		cmocka_unit_test(test_against_objdump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
