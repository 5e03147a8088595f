/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_WALK_HOST_H
#define SEEP_TESTS_WALK_HOST_H
/* bpf/unwind.bpf.h compiled for the host: the kernel's helpers, on this process's own memory and on tables in ours. Included by
 * one file of a program: it defines the maps. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wire.h"

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define __noinline __attribute__((noinline))
#define barrier() __asm__ volatile("" ::: "memory")

struct wire_unwind unwind_shared;
static struct wire_settings settings = {.max_frames = WIRE_MAX_FRAMES};

/* Segments are arrays of pages; a page past the end is NULL, as in the kernel. */
static struct {
	struct wire_row_page *pages;
	u32 n_pages;
} host_segments[WIRE_SEGMENTS];

static struct wire_row_page *row_page(u32 segment, u32 page)
{
	if (segment >= WIRE_SEGMENTS || page >= host_segments[segment].n_pages)
		return NULL;
	return &host_segments[segment].pages[page];
}

/* Of a return probe that waits: what stands at host_trampoline.slot. */
static struct {
	u64 address, slot, original;
} host_trampoline;

static u64 trampoline_address(void)
{
	return host_trampoline.address;
}

static u64 original_return(u64 slot, u64 value)
{
	return slot == host_trampoline.slot ? host_trampoline.original : value;
}

/* As the kernel's: all or nothing, and never a signal. */
static long bpf_probe_read_user(void *to, u32 n, const void *from)
{
	struct iovec local = {to, n}, remote = {(void *)from, n};

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)n)
		return 0;
	memset(to, 0, n);
	return -14;
}

#define bpf_loop(n, step, context, flags) host_loop((n), (long (*)(u32, void *))(step), (context))

static long host_loop(u32 n, long (*step)(u32, void *), void *context)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (step(i, context))
			return i + 1;
	return n;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-function-type"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "spaces.bpf.h"

#include "unwind.bpf.h"
#pragma GCC diagnostic pop

#endif
