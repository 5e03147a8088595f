/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_REGISTERS_BPF_H
#define SEEP_BPF_REGISTERS_BPF_H
/* A machine's registers by what the calling conventions use them for. */

#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
#define ARG1(ctx) ((ctx)->rdi)
#define ARG2(ctx) ((ctx)->rsi)
#define ARG3(ctx) ((ctx)->rdx)
#define SYSCALL_ARG4(ctx) ((ctx)->r10)
#define RESULT(ctx) ((ctx)->rax)
#define SP(ctx) ((ctx)->rsp)
#define FP(ctx) ((ctx)->rbp)
#define IP(ctx) ((ctx)->rip)
#else
#error "no register names for this machine yet"
#endif

#endif
