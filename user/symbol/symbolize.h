/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_SYMBOLIZE_H
#define SEEP_SYMBOL_SYMBOLIZE_H
/* Addresses of a process to frames with function, file, line and inlining. One symbolizer serves
 * all processes: files are loaded once per build-id (or device, inode and mtime without one) and
 * kept. One thread at a time may symbolize and trim; address spaces may change in other threads
 * meanwhile, which never wait for a file to be read. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "model/report.h"

struct mapping;
struct maps;
struct symbolizer;
struct address_space;

struct symbolizer_options {
	/* Colon-separated absolute directories of debug files, NULL: "/usr/lib/debug"; those beside
	 * the file (.debug/) are always tried. */
	const char *debug_path;
	int no_lines; /* function names only */
};

int symbolizer_create(const struct symbolizer_options *options, struct symbolizer **ret,
		      struct diag *d);
/* After its address spaces. */
void symbolizer_destroy(struct symbolizer *s);
/* Gives back most of the symbols and DWARF held (a big program's are larger than all else that seep
 * keeps); to be called after each report. Frames already looked up stay; a new address in a module
 * given back reads its file again. */
void symbolizer_trim(struct symbolizer *s);

/* The executable mappings of one process over its life; they stay after it exits. */
int address_space_create(struct symbolizer *s, pid_t pid, struct address_space **ret);
/* Another reference, for address_space_destroy: it stays until the last is dropped. Returns space. */
struct address_space *address_space_hold(struct address_space *space);
/* Accepts NULL. */
void address_space_destroy(struct address_space *space);

/* Says that m is mapped (from now on; it replaces what lay there before). The file is opened at
 * once, while the process lives, and its descriptor shared between processes that map the same
 * file; the content is read only when a frame in it is first asked for. Adding a mapping twice is
 * cheap and changes nothing. Returns 0 or -ENOMEM; a file that cannot be opened is remembered by
 * name: its frames show module+offset. */
int address_space_add(struct address_space *space, const struct mapping *m);
/* Whether adding m would replace another file's mapping. */
bool address_space_conflicts(const struct address_space *space, const struct mapping *m);
/* Adds every executable mapping of a process's maps. Returns 0 or -ENOMEM. */
int address_space_update(struct address_space *space, const struct maps *maps);

/* Code may give way to other code at the same addresses (dlclose, then dlopen). The caller numbers such changes: what
 * address_space_add replaces is still found by viewing a version before the one set then. A mapping that is added once more
 * with an earlier version was there since that one at the latest. Both begin at 0. The view is that of the thread that
 * symbolizes. */
void address_space_set_version(struct address_space *space, uint32_t version);
void address_space_view(struct address_space *space, uint32_t version);

/* Frames of one stack of n addresses, leaf first: addresses[0] is a return address like all others
 * unless leaf_is_exact. A return address is looked up one byte before, in the call, but what a signal
 * interrupted (the frame behind the code that handlers return to) at the address itself; the frame's
 * offset is the address itself either way, in the module's virtual addresses (in anonymous or
 * unreadable mappings: from the mapping's start, or the offset in the file). Each address becomes
 * one or more frames (inlined ones before the function they are inlined into). Names are printable
 * UTF-8 and bounded, whatever the file says. With DEBUGINFOD_URLS set, debug files may be fetched:
 * 10 seconds altogether in the symbolizer's life. ret_frames is malloc'ed, strings belong to the
 * symbolizer. Returns 0 or -ENOMEM. Never a bare address where a mapping is known: function, else
 * module+offset. */
int symbolize_stack(struct symbolizer *s, struct address_space *space, const uint64_t *addresses,
		    size_t n, int leaf_is_exact, struct frame **ret_frames, size_t *ret_n);

/* Fingerprints of a site, never 0: exact over build-id (else module's base name) and offset of each
 * address, without inlined frames, so that it is the same whether or not a host has the debug
 * files; family over the function names (module's base name where there is none), inlined ones too,
 * so that it survives a rebuild that inlines other calls. Stable across hosts and address space
 * randomization; generated code counts by its name. */
void symbolize_fingerprints(const struct frame *frames, size_t n, uint64_t *ret_exact,
			    uint64_t *ret_family);

#endif
