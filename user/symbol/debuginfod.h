/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_DEBUGINFOD_H
#define SEEP_SYMBOL_DEBUGINFOD_H
/* Debug files from a debuginfod server, when the user asked for it by DEBUGINFOD_URLS, and for a
 * bounded time. */
#include <stdbool.h>
#include <stdint.h>

/* Zero-initialized but for wait_ns. Not thread-safe. */
struct debuginfod {
	uint64_t wait_ns; /* how long all fetches together may still take; then they fail at once */
	void *library;	  /* loaded at the first fetch; it brings curl and TLS, and stays */
	bool missing;
};

#define DEBUGINFOD_WAIT_NS (10ull * 1000000000)

/* Fetches the debug file of a build-id (hex), from the client's own cache or a server. Returns a
 * descriptor, or -errno: -ENOENT (no server has it), -ENOSYS (DEBUGINFOD_URLS unset or no client
 * library), -ETIMEDOUT (the time is spent; the client looks at its watch once a second, so the last
 * fetch may last a second longer). */
int debuginfod_fetch(struct debuginfod *d, const char *build_id);

#endif
