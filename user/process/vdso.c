// SPDX-License-Identifier: BSD-2-Clause
#include "process/vdso.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

int vdso_open(void)
{
	const Elf64_Ehdr *header = (const void *)getauxval(AT_SYSINFO_EHDR);
	size_t n_bytes;
	int fd;

	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG))
		return -ENOENT;
	/* Its section headers are the last thing in it. */
	n_bytes = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, header, n_bytes) == (ssize_t)n_bytes)
		return fd;
	close(fd);
	return -EIO;
}
