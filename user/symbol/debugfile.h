/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_DEBUGFILE_H
#define SEEP_SYMBOL_DEBUGFILE_H
/* Where the symbols and DWARF that were stripped from a file lie:
 * /usr/lib/debug/.build-id/ab/cdef.debug, or the name that .gnu_debuglink gives
 * (https://sourceware.org/gdb/current/onlinedocs/gdb.html/Separate-Debug-Files.html), on this host
 * and inside the process's root, or on a debuginfod server. */
#include <stdint.h>
#include <sys/types.h>

struct debuginfod;

struct debugfile_query {
	const char *debug_path; /* colon-separated absolute directories */
	const char *path;	/* of the stripped file, as mapped */
	pid_t pid;		/* whose root is searched besides ours; 0: none */
	const char *build_id;	/* hex, "" unknown */
	const char *link;	/* .gnu_debuglink's name, NULL without one */
	uint32_t link_crc;
};

/* Opens the first file with that build-id or, where the stripped one has none, with the link's
 * CRC-32; a file at the right place with other content is passed over. Returns a descriptor, or
 * -ENOENT. */
int debugfile_find(const struct debugfile_query *query, struct debuginfod *servers);

#endif
