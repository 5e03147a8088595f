/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_UNWIND_CACHE_H
#define SEEP_UNWIND_CACHE_H
/* Tables on disk, a file per build-id, so that a second seep need not read the CFI again. Never trusted: size, version, build-id,
 * checksum and content are checked on load, and a file that fails is built anew and replaced. */
#include <stdbool.h>

#include "unwind/table.h"

/* The directory: $SEEP_CACHE_DIR, else /var/cache/seep for root, else $XDG_CACHE_HOME/seep or ~/.cache/seep. malloc'ed;
 * NULL when SEEP_CACHE_DIR is set and empty (no cache), or without memory. */
char *unwind_cache_directory(void);

/* The table of the file open at fd: from the cache, else built and, as far as that works, saved (written beside and renamed; mode
 * 0600 in a directory of mode 0700). directory NULL: no cache. build_id: lower-case hex, "" : not cached. ret_cached, unless NULL:
 * whether it came from the cache. Returns unwind_table_build's results: trouble with the cache is no error. */
int unwind_cache_load(const char *directory, const char *build_id, int fd, const char *name,
		      struct unwind_table **ret, bool *ret_cached, struct diag *d);

/* The same from the cache only. Returns 0, or -ENOENT when it has none that is good. */
int unwind_cache_find(const char *directory, const char *build_id, struct unwind_table **ret);

/* The format, for the cache and its fuzz target. pack: malloc'ed, ret_n_bytes. parse: -EBADMSG with a diag for anything that pack
 * did not write for this build-id, also for what unwind_table_check refuses. */
int unwind_cache_pack(const struct unwind_table *table, const char *build_id, void **ret,
		      size_t *ret_n_bytes);
int unwind_cache_parse(const void *data, size_t n_bytes, const char *build_id,
		       struct unwind_table **ret, struct diag *d);

#endif
