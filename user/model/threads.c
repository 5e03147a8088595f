// SPDX-License-Identifier: BSD-2-Clause
#include "model/threads.h"

const char *const thread_register_names[THREAD_REGISTERS] = {
#if defined(__x86_64__)
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
	"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
#endif
};
