/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_HOST_MEMORY_H
#define SEEP_PROCESS_HOST_MEMORY_H
/* What /proc/meminfo says of the host. Thread-safe. */
#include <stdint.h>

/* Bytes. */
struct host_memory {
	uint64_t total_bytes, available_bytes;
	uint64_t swap_bytes, swap_free_bytes;
};

/* Fills ret from the text of /proc/meminfo; what is missing there is 0. */
void host_memory_parse(const char *text, struct host_memory *ret);
/* All 0 when it cannot be read. */
void host_memory_read(struct host_memory *ret);

#endif
