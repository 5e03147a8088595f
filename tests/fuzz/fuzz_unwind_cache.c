// SPDX-License-Identifier: BSD-2-Clause
/* Any bytes as a cached table, and the same with the checksum put right, so that what lies behind
 * it is reached: what is accepted must pass the check, and be packed again as it came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "unwind/cache.h"

#define BUILD_ID "0123456789abcdef"
#define CRC_AT 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void parse(const uint8_t *data, size_t n)
{
	_cleanup_free_ void *packed = NULL;
	struct unwind_table *table = NULL;
	struct diag d = {0};
	size_t n_packed;
	int err = unwind_cache_parse(data, n, BUILD_ID, &table, &d);

	if (!err == !table || !err != !d.text[0])
		abort();
	if (err)
		return;
	if (unwind_table_check(table, &d) || unwind_cache_pack(table, BUILD_ID, &packed, &n_packed))
		abort();
	if (n_packed != n || memcmp(packed, data, n))
		abort();
	unwind_table_find(table, table->base);
	unwind_table_destroy(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ uint8_t *right = malloc(n + 1);
	uint32_t crc = 0;

	parse(data, n);
	if (n < CRC_AT + 4)
		return 0;
	memcpy(right, data, n);
	memcpy(right + CRC_AT, &crc, sizeof(crc));
	crc = crc32_z(0, right, n);
	memcpy(right + CRC_AT, &crc, sizeof(crc));
	parse(right, n);
	return 0;
}
