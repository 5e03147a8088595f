/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_DEBUGINFO_H
#define SEEP_SYMBOL_DEBUGINFO_H
/* DWARF of one file: from a virtual address to source lines and the functions inlined there. Over
 * libdw, with an index of our own, because libdw's needs .debug_aranges, which clang does not
 * write. The file is untrusted: what libdw would do without bound (unpack, walk, read a line table,
 * open other files by name) is bounded here. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct debuginfo; /* opaque */

/* Strings belong to the debuginfo. */
struct source_frame {
	const char *name; /* NULL unknown */
	bool linkage;	  /* name is mangled, else a plain one, which may lack its namespace */
	const char *file; /* NULL unknown */
	uint32_t line;	  /* 0 unknown */
};

/* Inlined into one another at one address; deeper ones are left out. */
#define DEBUGINFO_FRAMES_MAX 64

/* fd stays the caller's and is not needed after the call. The sections are read, not mapped, so
 * that a file that shrinks cannot kill us. Returns 0; -ENODATA without DWARF; -EFBIG when it is
 * beyond 1 GiB unpacked; -EBADMSG; -ENOMEM. Not thread-safe. */
int debuginfo_open(int fd, struct debuginfo **ret);
void debuginfo_close(struct debuginfo *info);

/* The build-id (hex) of the file that dwz moved shared parts of this DWARF to, "" when there is
 * none. */
const char *debuginfo_alt_build_id(const struct debuginfo *info);
/* Supplies that file; fd stays the caller's. Required before debuginfo_frames when there is one:
 * libdw would open whatever path the section names. Returns 0 or debuginfo_open's errors. */
int debuginfo_set_alt(struct debuginfo *info, int fd);

/* What the source says about address, innermost function first; all but the last are inlined into
 * the next. frames: room for DEBUGINFO_FRAMES_MAX. Returns how many: 0 where nothing is known. */
size_t debuginfo_frames(struct debuginfo *info, uint64_t address, struct source_frame *frames);

/* Memory held, roughly. */
size_t debuginfo_bytes(const struct debuginfo *info);

#endif
