// SPDX-License-Identifier: BSD-2-Clause
/* What a traced process writes for seep to read as names: perf map lines, and through them any
 * symbol name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "symbol/demangle.h"
#include "symbol/perfmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void check_name(struct strings *pool, const char *name)
{
	const char *shown = demangle_intern(pool, name);

	if (!shown || !*shown || strlen(shown) > NAME_MAX_BYTES)
		abort();
	for (; *shown; shown++)
		if ((unsigned char)*shown < 0x20 || *shown == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct perfmap map = PERFMAP_INIT;
	struct strings pool = {0};
	ssize_t used = perfmap_add(&map, (const char *)data, n_bytes);

	if (used < 0 || (size_t)used > n_bytes || memchr(data + used, '\n', n_bytes - used))
		abort();
	for (size_t i = 0; i < n_bytes; i += 8) {
		uint64_t address = 0;
		const char *name;

		memcpy(&address, data + i, n_bytes - i < 8 ? n_bytes - i : 8);
		name = perfmap_find(&map, i % 16 ? address : address & 0xffff);
		if (name)
			check_name(&pool, name);
	}
	for (size_t i = 0; i < map.names_bytes && i < 4096; i += strlen(map.names + i) + 1)
		check_name(&pool, map.names + i);
	perfmap_done(&map);
	strings_done(&pool);
	return 0;
}
