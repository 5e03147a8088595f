/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_PRIVILEGE_H
#define SEEP_PROCESS_PRIVILEGE_H
#include "base/diag.h"

/* Whether we may trace at all, before anything is tried: capabilities (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, and
 * CAP_SYS_PTRACE for other users' processes), kernel BTF, lockdown. Returns 0, or -EPERM / -ENOTSUP with EXIT_REFUSED and a
 * diag that names what is missing and how to get it. */
int privilege_check(struct diag *d);

/* Turns a failed load into words: names the capability, the limit (RLIMIT_MEMLOCK) or the kernel feature. log: libbpf's and the
 * verifier's last words, or "". Returns -err. */
int privilege_explain(struct diag *d, int err, const char *step, const char *log);

#endif
