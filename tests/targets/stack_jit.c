/* SPDX-License-Identifier: BSD-2-Clause */
/* Generated code with frame pointers, and under and above it compiled code without: code from before the start, code that was
 * mapped a moment ago and code that has been there for a while. CFI made by hand tells backtrace() of it; nothing tells seep. */
#include "stack.h"

enum { SETTLE_US = 400000 };

typedef long call_fn(int depth);
typedef long jit_fn(call_fn *call, int depth);

void __register_frame(void *eh_frame);

/* f(call, depth): push %rbp; mov %rsp, %rbp; mov %rdi, %rax; mov %esi, %edi; call *%rax; pop %rbp; ret */
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8,
				     0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3};

/* A CIE, an FDE and the end. Padded with DW_CFA_nop. */
struct frame_info {
	uint32_t cie_bytes, cie_id;
	uint8_t version, augmentation, code_unit, data_unit, return_column, rules[7];
	uint32_t fde_bytes, to_cie;
	uint64_t start, n_code;
	uint8_t changes[16];
	uint32_t end;
} __attribute__((packed));

static jit_fn *jit; /* that `compiled` calls */

STACK_FN jit_fn *make_jit(void)
{
	char *page = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);
	struct frame_info *info = (struct frame_info *)(page + 4096);

	if (page == MAP_FAILED)
		ledger_die("mmap");
	memcpy(page, code, sizeof(code));
	*info = (struct frame_info){
		.cie_bytes = 16,
		.version = 1,
		.code_unit = 1,
		.data_unit = 0x78, /* -8 */
		.return_column = 16,
		.rules = {0x0c, 7, 8, 0x90, 1}, /* CFA rsp + 8; the return address below it */
		.fde_bytes = 36,
		.to_cie = 24,
		.start = (uint64_t)page,
		.n_code = sizeof(code),
		/* after push: CFA rsp + 16, rbp saved; after mov: CFA rbp + 16; after pop: rsp + 8 */
		.changes = {0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x48, 0x0c, 7, 8},
	};
	__register_frame(info);
	if (mprotect(page, 4096, PROT_READ | PROT_EXEC))
		ledger_die("mprotect");
	return (jit_fn *)page;
}

/* Generated and compiled frames by turns. */
STACK_FN long compiled(int depth)
{
	long got = 0;

	if (depth > 0)
		got = jit(compiled, depth - 1);
	stack_malloc(140 + (size_t)depth);
	return got + depth;
}

int main(int argc, char **argv)
{
	jit = make_jit();
	stack_start(argc, argv);
	compiled(10);
	jit = make_jit();
	stacks.fresh = 1;
	compiled(10);
	usleep(SETTLE_US);
	stacks.fresh = 0;
	compiled(10);
	stack_finish();
	return 0;
}
