// SPDX-License-Identifier: BSD-2-Clause
/* Any bytes as a file, or, by the first byte, as the .eh_frame (e), the .debug_frame (d) or both
 * (b, in halves) of a file that is well formed otherwise: what comes of it must pass the check and
 * answer for any address. */
#include "../unit/cfi_builder.h"
#include "../unit/elf_builder.h"
#include "base/cleanup.h"
#include "unwind/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int open_input(const uint8_t *data, size_t n)
{
	_cleanup_free_ uint8_t *file = NULL;
	size_t half, n_file;

	if (!n || (data[0] != 'e' && data[0] != 'd' && data[0] != 'b'))
		return elf_to_fd(data, n);
	half = data[0] == 'e' ? n - 1 : data[0] == 'd' ? 0 : (n - 1) / 2;
	file = cfi_build(&(struct cfi_bytes){.data = (uint8_t *)data + 1, .n = half},
			 &(struct cfi_bytes){.data = (uint8_t *)data + 1 + half, .n = n - 1 - half},
			 &n_file);
	return elf_to_fd(file, n_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_close_ int fd = open_input(data, n);
	struct unwind_table *table = NULL;
	struct diag d = {0};
	int err;

	if (fd < 0)
		return 0;
	err = unwind_table_build(fd, "fuzz", &table, &d);
	if (!err == !table || !err != !d.text[0])
		abort();
	if (err)
		return 0;
	if (unwind_table_check(table, &d) || unwind_table_bytes(table) % 4096)
		abort();
	for (size_t i = 0; i < table->n_rows; i++) {
		const struct wire_row *row = &table->rows[i];
		bool last = i == table->n_rows - 1;

		if (unwind_table_find(table, table->base + row->pc) !=
		    (last ? NULL : &table->rules[row->rule]))
			abort();
	}
	unwind_table_find(table, 0);
	unwind_table_find(table, UINT64_MAX);
	unwind_table_destroy(table);
	return 0;
}
