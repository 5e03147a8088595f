/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_ACCOUNT_H
#define SEEP_REACH_ACCOUNT_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct glibc_heap;
struct memory_account;
struct resident;

struct account_block {
	uint64_t address, size_bytes; /* as malloc returned it, as was asked for */
};

/* What a process's memory is made of. blocks: n that are recorded as outstanding; sorted by this. The three were taken shortly one after
 * the other: a block that is free by now is not counted. */
void account_memory(const struct glibc_heap *heap, const struct resident *resident,
		    struct account_block *blocks, size_t n, struct memory_account *ret);
/* The same of a living process, read now: some gigabytes of heap a second. All of ret is 0 when it cannot be read. */
void account_read(pid_t pid, struct account_block *blocks, size_t n, struct memory_account *ret);

#endif
