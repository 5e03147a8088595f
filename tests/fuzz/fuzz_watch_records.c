// SPDX-License-Identifier: BSD-2-Clause
/* What the task iterator hands out, read in pieces of any length as read(2) may cut it. Only our own program writes it; what must
 * hold all the same is that processes come out once each, in order, with cgroups that are there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "collect/watch_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void check(const struct watch_records *r)
{
	for (size_t i = 0; i < r->processes.n; i++) {
		const struct watch_process *p = &r->processes.items[i];

		if (i && p[-1].pid >= p->pid)
			abort();
		if (p->cgroup != WATCH_NO_CGROUP && p->cgroup >= r->cgroups.n)
			abort();
		if ((int64_t)(p->anon_bytes | p->file_bytes | p->shmem_bytes | p->swap_bytes) < 0)
			abort();
	}
}

/* As collect/watch.c reads: what is not whole yet is kept for the next piece. */
static void read_in_pieces(struct watch_records *r, const uint8_t *data, size_t n_bytes,
			   size_t piece)
{
	_cleanup_free_ uint64_t *aligned = malloc(n_bytes + 8);
	uint8_t *buffer = (uint8_t *)aligned;
	size_t n = 0, used = 0, taken = 0;
	struct diag d = {0};

	while (buffer && taken < n_bytes) {
		size_t more = n_bytes - taken < piece ? n_bytes - taken : piece;

		memcpy(buffer + n, data + taken, more);
		taken += more;
		n += more;
		if (watch_records_add(r, buffer, n, &used, &d)) {
			if (!d.text[0])
				abort();
			return;
		}
		if (used > n)
			abort();
		memmove(buffer, buffer + used, n - used);
		n -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct watch_records r = {.page_bytes = 4096};

	if (!n_bytes)
		return 0;
	for (int pass = 0; pass < 2; pass++) {
		watch_records_begin(&r);
		read_in_pieces(&r, data + 1, n_bytes - 1, pass ? n_bytes : 1 + data[0]);
		watch_records_end(&r);
		check(&r);
	}
	watch_records_done(&r);
	return 0;
}
