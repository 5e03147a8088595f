/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_ROBUST_LIST_H
#define SEEP_PROCESS_ROBUST_LIST_H
#include <stdint.h>
#include <sys/types.h>

/* Where a thread keeps the head of its list of robust futexes (get_robust_list(2)): glibc and musl have it in the thread's descriptor, at the
 * top of its stack. 0: it has none, is gone, or may not be asked. */
uint64_t robust_list_address(pid_t tid);

#endif
