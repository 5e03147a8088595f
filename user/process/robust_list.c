// SPDX-License-Identifier: BSD-2-Clause
#include "process/robust_list.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t robust_list_address(pid_t tid)
{
	void *head = NULL;
	size_t n_bytes;

	return syscall(SYS_get_robust_list, tid, &head, &n_bytes) ? 0 : (uintptr_t)head;
}
