/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_SCANNER_H
#define SEEP_REACH_SCANNER_H
/* Finds the words in a process's memory that point to blocks. A scanner belongs to one thread; what it reads by may be shared. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "reach/blocks.h"

/* Another process's memory, or what a test puts in its place. Both thread-safe. */
struct reach_reader {
	/* Reads up to n bytes at address. Returns how many there are from there on, 0 when none can be read, -ESRCH when the process
	 * is gone. */
	ssize_t (*read)(void *arg, uint64_t address, void *buffer, size_t n);
	/* The first bytes in [start, end) that the process has ever used; own: those pages only that are no file's and not shared with
	 * others. False when there are none. */
	bool (*touched)(void *arg, uint64_t start, uint64_t end, bool own, uint64_t *ret_start,
			uint64_t *ret_end);
	void *arg;
};

/* The word at `address` points to a block. */
typedef void (*reach_hit_fn)(void *arg, uint64_t address, uint32_t block);

/* Which words are taken for pointers. */
struct reach_pointers {
	bool interior; /* those into a block, not only those to its start */
	bool tagged; /* those with something else in bits 48 to 63 (NaN boxes, LAM, counters beside a pointer) or 0 to 2 */
};

struct reach_scanner {
	const struct reach_blocks *blocks;
	const struct reach_reader *reader;
	struct reach_pointers pointers;
	reach_hit_fn hit;
	void *arg;
	uint64_t n_bytes; /* that were looked at so far */
	/* Pages read lately, so that small neighbours cost one read: what is old by a pass is as good as what was read then. */
	uint64_t *cached; /* page addresses, 1: none */
	char *pages, *buffer;
};

/* The first five members of s are the caller's to set before. Takes 5 MiB. Returns 0 or -ENOMEM. */
int reach_scanner_init(struct reach_scanner *s);
void reach_scanner_done(struct reach_scanner *s);
/* Forgets the pages read. */
void reach_scanner_renew(struct reach_scanner *s);

/* Looks at all aligned words of a block, which lie wholly in it. What cannot be read is passed over. Returns 0, or -ESRCH when the
 * process is gone. */
int reach_scan_block(struct reach_scanner *s, uint32_t block);
/* The same of the words in [start, end) that lie in no block, of memory that was found touched; at most REACH_PIECE_BYTES. */
#define REACH_PIECE_BYTES (1U << 20)
int reach_scan_between(struct reach_scanner *s, uint64_t start, uint64_t end);
/* One word from elsewhere, with the address to tell of it. */
void reach_scan_word(struct reach_scanner *s, uint64_t address, uint64_t word);

#endif
