// SPDX-License-Identifier: BSD-2-Clause
#include "plan/insn.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>

int insn_decode(uint16_t machine, const uint8_t *code, size_t n, struct insn *ret)
{
	switch (machine) {
	case EM_X86_64:
		return insn_x86_decode(code, n, ret);
	case EM_AARCH64:
		return insn_arm64_decode(code, n, ret);
	default:
		return -EILSEQ;
	}
}

static void format_hex(const uint8_t *code, unsigned length, char text[INSN_TEXT_SIZE])
{
	unsigned n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < length; i++) {
		if (n + sizeof("00 ..") > INSN_TEXT_SIZE) {
			snprintf(text + n, INSN_TEXT_SIZE - n, "..");
			return;
		}
		n += snprintf(text + n, INSN_TEXT_SIZE - n, i ? " %02x" : "%02x", code[i]);
	}
}

void insn_format(uint16_t machine, const uint8_t *code, const struct insn *insn,
		 char text[INSN_TEXT_SIZE])
{
	bool done = machine == EM_X86_64 ? insn_x86_format(code, insn, text)
					 : insn_arm64_format(code, insn, text);

	if (!done)
		format_hex(code, insn->length, text);
}
