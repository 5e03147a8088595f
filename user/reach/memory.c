// SPDX-License-Identifier: BSD-2-Clause
#include "reach/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/heir.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGE_PRESENT (1ULL << 63)
#define PAGE_SWAPPED (1ULL << 62)
#define PAGE_SHARED (1ULL << 61) /* of a file, or of shared memory */
#define ENTRIES 512		 /* read at once */

int reach_memory_open(pid_t pid, struct reach_memory *ret, struct diag *d)
{
	pid_t reader = heir_reader(pid);
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", reader);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return diag_set(d, ESRCH, "process %d has ended", pid);
	if (fd < 0)
		return diag_set_hint(d, errno, EXIT_REFUSED,
				     "run as root, or with CAP_SYS_PTRACE and CAP_SYS_ADMIN",
				     "the memory of process %d cannot be read: %s", pid,
				     strerror(errno));
	*ret = (struct reach_memory){reader, fd};
	return 0;
}

void reach_memory_close(struct reach_memory *m)
{
	if (m->pagemap >= 0)
		close(m->pagemap);
	m->pagemap = -1;
}

static ssize_t read_memory(void *arg, uint64_t address, void *buffer, size_t n)
{
	const struct reach_memory *m = arg;
	struct iovec to = {buffer, n}, from = {(void *)address, n};
	ssize_t got = process_vm_readv(m->pid, &to, 1, &from, 1, 0);

	if (got >= 0)
		return got;
	return errno == ESRCH ? -ESRCH : 0;
}

static bool is_touched(uint64_t entry, bool own)
{
	return entry & (PAGE_PRESENT | PAGE_SWAPPED) && !(own && entry & PAGE_SHARED);
}

static bool find_touched(void *arg, uint64_t start, uint64_t end, bool own, uint64_t *ret_start,
			 uint64_t *ret_end)
{
	const struct reach_memory *m = arg;
	const uint64_t page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t first = start / page_bytes, last = (end + page_bytes - 1) / page_bytes;
	uint64_t from = 0, entries[ENTRIES];
	bool found = false;

	while (first < last) {
		size_t n = last - first < ENTRIES ? last - first : ENTRIES;
		ssize_t got =
			pread(m->pagemap, entries, n * sizeof(*entries), first * sizeof(*entries));

		if (got < (ssize_t)sizeof(*entries))
			break;
		n = got / sizeof(*entries);
		for (size_t i = 0; i < n; i++, first++) {
			bool touched = is_touched(entries[i], own);

			if (touched && !found)
				from = first;
			else if (!touched && found)
				last = first;
			found |= touched;
			if (last == first)
				break;
		}
		/* No piece is longer. */
		if (found && (first - from) * page_bytes >= REACH_PIECE_BYTES)
			break;
	}
	if (!found)
		return false;
	*ret_start = from * page_bytes > start ? from * page_bytes : start;
	*ret_end = first * page_bytes < end ? first * page_bytes : end;
	return true;
}

struct reach_reader reach_memory_reader(struct reach_memory *m)
{
	return (struct reach_reader){read_memory, find_touched, m};
}
